// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::cli {

/// Columns as wide as their widest cell, two spaces between, header in capitals. Pure.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// As many cells as there are columns; an empty cell prints as "-".
  void Add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  /// Ends with a newline; no spaces at the ends of lines.
  [[nodiscard]] std::string ToString() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Width on a terminal, one column for each code point of UTF-8.
[[nodiscard]] size_t DisplayWidth(std::string_view text);

/// `text` with control characters (of terminals, of line structure) written as \xNN, so that a file
/// name from a workload cannot act on the reader's terminal.
[[nodiscard]] std::string Printable(std::string_view text);

/// 1536 -> "1.5 KiB".
[[nodiscard]] std::string HumanBytes(uint64_t bytes);

}  // namespace gatehouse::cli
