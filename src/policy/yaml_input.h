// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <streambuf>
#include <string_view>

#include "policy/parse.h"

namespace gatehouse::policy {

/// Feeds one document to yaml-cpp, and ends it early if the parser takes in too much without having
/// got anything out of it: it queues a whole flow collection before its first event, at up to 360
/// bytes for each `a,`. Not thread-safe.
class YamlInput : public std::streambuf {
 public:
  /// `document` must outlive this. An end marker is added, so that yaml-cpp notices every scalar
  /// that is not closed: it accepts one that ends in an escaped line break.
  YamlInput(std::string_view document, const ParseLimits& limits);

  /// The parser made something of what it read: the budget is whole again.
  void Progress();
  /// From here on the document is at its end.
  void Stop() { stopped_ = true; }
  /// Whether the budget was used up.
  [[nodiscard]] bool exhausted() const { return exhausted_; }

 protected:
  int_type underflow() override;
  int_type pbackfail(int_type c) override;
  std::streamsize xsgetn(char* to, std::streamsize bytes) override;

 private:
  void Area(std::string_view text, size_t offset);

  std::string_view document_;
  std::string_view end_;  // the added marker
  const ParseLimits& limits_;
  size_t bytes_ = 0;       // read since the last progress
  size_t indicators_ = 0;  // among these
  bool in_end_ = false;
  bool stopped_ = false;
  bool exhausted_ = false;
};

}  // namespace gatehouse::policy
