// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/parse.h"

namespace gatehouse::policy {

/// Collects what is wrong with one text, up to kDiagnosticsMax errors and as many warnings. Not
/// thread-safe.
class Diagnostics {
 public:
  explicit Diagnostics(std::string_view file) : file_(file) {}

  /// An error, unless it is said to be a warning.
  void Add(Position position, std::string path, std::string cause, std::string remedy = {},
           Severity severity = Severity::kError);
  /// No more errors are taken in.
  [[nodiscard]] bool full() const { return errors_ >= kDiagnosticsMax; }
  /// How many errors there are.
  [[nodiscard]] size_t errors() const { return errors_; }
  /// All of them and the warnings, in the order of the text; leaves none.
  [[nodiscard]] std::vector<Diagnostic> Take();

 private:
  std::string file_;
  std::vector<Diagnostic> list_;  // in the order of the text
  size_t errors_ = 0;
  size_t warnings_ = 0;
};

/// `text` in double quotes for a message: short, in one line, nothing unprintable.
[[nodiscard]] std::string Quote(std::string_view text);

/// Text of a document inside of a path: unquoted if it looks like a name.
[[nodiscard]] std::string PathKey(std::string_view text);

/// The one of `near` that `name` may be a typing error of; "": none.
[[nodiscard]] std::string_view Nearest(std::string_view name,
                                       const std::vector<std::string_view>& near);

/// A remedy for a name that is not one of `known`: the nearest of `near` (a superset), if one is
/// near enough to be a typing error, and what is known.
[[nodiscard]] std::string NameRemedy(std::string_view name,
                                     const std::vector<std::string_view>& known,
                                     const std::vector<std::string_view>& near);

}  // namespace gatehouse::policy
