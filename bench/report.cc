// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>

namespace gatehouse::bench {
namespace {

std::string Grouped(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    const size_t left = digits.size() - i;
    if (i > 0 && left % 3 == 0 && digits[i - 1] != '-') grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string Text(const Cell& cell) {
  if (cell.is_string()) return cell.get<std::string>();
  if (cell.is_number_integer()) return Grouped(cell.get<int64_t>());
  if (!cell.is_number()) return "-";
  const double number = cell.get<double>();
  constexpr double kNoDecimals = 1000, kOneDecimal = 10;
  if (std::abs(number) >= kNoDecimals) return Grouped(std::llround(number));
  return fmt::format("{:.{}f}", number, std::abs(number) >= kOneDecimal ? 1 : 2);
}

std::string FirstLineWith(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return {};
}

}  // namespace

void PrintTable(const std::string& title, const std::vector<std::string>& columns,
                const std::vector<std::vector<Cell>>& rows) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    size_t width = columns[i].size();
    for (const auto& row : rows) width = std::max(width, Text(row.at(i)).size());
    widths.push_back(width);
  }
  fmt::print("\n{}\n", title);
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool number = !rows.empty() && rows.front().at(i).is_number();
    fmt::print(fmt::runtime(number ? "  {:>{}}" : "  {:<{}}"), columns[i], widths[i]);
  }
  fmt::print("\n");
  for (const auto& row : rows) {
    for (size_t i = 0; i < columns.size(); ++i) {
      const bool number = rows.front().at(i).is_number();
      fmt::print(fmt::runtime(number ? "  {:>{}}" : "  {:<{}}"), Text(row.at(i)), widths[i]);
    }
    fmt::print("\n");
  }
  std::fflush(stdout);
}

Report::Report(std::string bench, std::string clock) {
  utsname system{};
  uname(&system);
  json_["bench"] = std::move(bench);
  json_["clock"] = std::move(clock);
  json_["date"] = fmt::format("{:%F %R} UTC", fmt::gmtime(std::time(nullptr)));
  json_["kernel"] = system.release;
  json_["cpu"] = FirstLineWith("/proc/cpuinfo", "model name");
  json_["possible_cpus"] = get_nprocs_conf();
  json_["running_cpus"] = get_nprocs();
  json_["tables"] = nlohmann::ordered_json::array();
  json_["figures"] = nlohmann::ordered_json::array();
}

void Report::Table(const std::string& title, const std::vector<std::string>& columns,
                   const std::vector<std::vector<Cell>>& rows) {
  PrintTable(title, columns, rows);
  json_["tables"].push_back(
      {{"title", title}, {"columns", columns}, {"rows", rows}, {"notes", Cell::array()}});
}

void Report::Note(const std::string& text) {
  fmt::print("  {}\n", text);
  std::fflush(stdout);
  json_["tables"].back()["notes"].push_back(text);
}

void Report::Add(Figure figure) {
  json_["figures"].push_back({{"name", figure.name},
                              {"limit", figure.limit},
                              {"measured", figure.measured},
                              {"unit", figure.unit}});
}

Result<void> Report::Write(const std::string& path) const {
  std::ofstream file(path);
  file << json_.dump(2) << "\n" << std::flush;
  if (!file) return FailErrno(path, "cannot write", errno);
  return {};
}

}  // namespace gatehouse::bench
