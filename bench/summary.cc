// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cmath>
#include <fstream>

#include "report.h"

namespace gatehouse::bench {
namespace {

std::vector<Cell> Row(const nlohmann::ordered_json& report, const nlohmann::ordered_json& figure) {
  const double limit = figure.at("limit"), measured = figure.at("measured");
  const std::string unit = figure.at("unit");
  const std::string outcome =
      measured <= limit ? "met"
                        : fmt::format("MISSED by {:.1f} %", 100 * (measured - limit) / limit);
  return {
      figure.at("name"), fmt::format("at most {:g} {}", limit, unit),
      fmt::format("{:.4g} {}", measured, unit), outcome,
      fmt::format("{}, {} possible CPUs, {}", report.at("kernel").get<std::string>(),
                  report.at("possible_cpus").get<int>(), report.at("clock").get<std::string>())};
}

}  // namespace

Result<void> Summarize(const std::vector<std::string>& files) {
  std::vector<std::vector<Cell>> rows;
  for (const std::string& path : files) {
    std::ifstream file(path);
    if (!file) return FailErrno(path, "cannot read", errno);
    const auto report = nlohmann::ordered_json::parse(file, nullptr, false);
    if (report.is_discarded())
      return Fail(ErrorCode::kInvalid, path, "not the JSON of a benchmark");
    for (const auto& figure : report.at("figures")) rows.push_back(Row(report, figure));
  }
  PrintTable("Figures and targets", {"figure", "target", "measured", "met?", "where"}, rows);
  return {};
}

}  // namespace gatehouse::bench
