// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace gatehouse::bench {

/// A number or a text of a table.
using Cell = nlohmann::ordered_json;

/// A figure that has a target: an upper bound.
struct Figure {
  std::string name;
  double limit = 0;
  double measured = 0;
  std::string unit;
};

/// Collects what a benchmark finds: prints each table as it is complete, writes all of it as JSON.
class Report {
 public:
  /// `bench`: the benchmark's name. `clock`: what a nanosecond is here, `time` or `instructions`.
  Report(std::string bench, std::string clock);

  /// Prints a table and keeps it. Every row has one cell for each of `columns`.
  void Table(const std::string& title, const std::vector<std::string>& columns,
             const std::vector<std::vector<Cell>>& rows);
  /// A sentence under the last table.
  void Note(const std::string& text);
  void Add(Figure figure);

  [[nodiscard]] Result<void> Write(const std::string& path) const;

 private:
  nlohmann::ordered_json json_;
};

/// Prints a table to the standard output: texts to the left, numbers to the right.
void PrintTable(const std::string& title, const std::vector<std::string>& columns,
                const std::vector<std::vector<Cell>>& rows);

/// Prints the figures of the reports in `files` beside their targets.
[[nodiscard]] Result<void> Summarize(const std::vector<std::string>& files);

}  // namespace gatehouse::bench
