// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace gatehouse::kube {

/// Cuts what a server sends into the texts of single objects while it comes, so that a list of ten
/// thousand is never in memory as a whole. It only looks for where objects begin and end: whether
/// each is JSON is for the parser of its text to say. Not thread-safe.
class JsonSplitter {
 public:
  enum class Shape {
    kSequence,  ///< objects one after the other: a watch
    kList,      ///< one object, and what is wanted are the entries of its field `items`
  };
  /// Takes the text of an object, which is valid until it returns. False: nothing more is wanted.
  using Sink = std::function<bool(std::string_view text)>;

  JsonSplitter(Shape shape, size_t object_bytes_max, Sink sink);

  /// Takes the next bytes. Error: they are not of this shape, or an object is too large; or the
  /// sink wants no more (kind kRefused). After an error it is of no use.
  [[nodiscard]] Result<void> Feed(std::string_view bytes);
  /// The input is at its end. Of a list: its text without the entries of `items`. Error: it ended
  /// within an object.
  [[nodiscard]] Result<std::string> Finish();

 private:
  enum class Between { kFirst, kNext, kEntry };  // what may come next within `items`

  /// Whether it belongs to a string, the quotes included.
  bool InString(char c);
  [[nodiscard]] Result<void> Outside(char c);
  [[nodiscard]] Result<void> Emit();

  Shape shape_;
  size_t object_bytes_max_;
  Sink sink_;

  std::string object_;    // the part of the object that has come
  std::string envelope_;  // of a list: all but its items
  std::string string_;    // of the envelope's top level: the last string
  std::string key_;       // and the last that a colon followed
  size_t depth_ = 0;
  size_t object_depth_ = 0;  // where the present object ends; 0: in none
  Between between_ = Between::kFirst;
  bool in_items_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool done_ = false;  // the list's object has ended
};

}  // namespace gatehouse::kube
