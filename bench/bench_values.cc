// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "benches.h"
#include "kernel_objects.h"
#include "programs.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr uint32_t kValueCounts[] = {1, 10, 1000, 10'000};
constexpr size_t kPathLengths[] = {24, 128, 1024, 4095};
constexpr size_t kComponents[] = {255, 15, 1};
constexpr uint32_t kPatternCounts[] = {50, 5000};
constexpr size_t kPatternPathBytes = 100;
constexpr double kPatternRatioLimit = 10;
constexpr double kPatternCountRatioLimit = 1.10;
constexpr double kQuiet =
    0.1;  // of the rounds: those that other work on the machine disturbed least

/// `count` values, the first of which is `program`.
Policy WithValues(uint32_t count, const std::string& program) {
  Policy policy{0, {program}};
  for (uint32_t i = 1; i < count; ++i) policy.allowed.push_back(PathOf(i));
  return policy;
}

Result<double> QuietNs(Design& design, const Probe& probe, const Settings& settings) {
  GH_ASSIGN(const std::vector<double> costs, DecisionNs(design, probe, settings));
  return Quantile(costs, kQuiet);
}

Result<void> ByValues(const Settings& settings, Report& report, const Cgroups& cgroups,
                      const Programs& programs, const Runner& bound) {
  const std::string allowed = programs.Make("allowed"), denied = programs.Make("denied");
  const std::string elsewhere = programs.Make("elsewhere");
  const Policy other{1, {elsewhere}};
  std::vector<std::vector<Cell>> rows;
  for (const DesignEntry& entry : kDesigns) {
    if (!settings.Wants(entry)) continue;
    for (const uint32_t count : kValueCounts) {
      GH_ASSIGN(
          const std::unique_ptr<Design> design,
          entry.start({.backend = settings.backend, .base_events = kernel::BaseEvents::kOff}));
      const Policy policies[] = {WithValues(count, allowed), other};
      const Growth growth = Grow(*design, std::span(cgroups.workloads()).first(2), policies);
      if (growth.in_force != 2) return Fail(ErrorCode::kSystem, entry.name, growth.refusal);
      GH_ASSIGN(const double hit, QuietNs(*design, {&bound, allowed, true}, settings));
      GH_ASSIGN(const double unknown, QuietNs(*design, {&bound, denied, false}, settings));
      GH_ASSIGN(const double miss, QuietNs(*design, {&bound, elsewhere, false}, settings));
      rows.push_back({entry.name, count, hit, miss, unknown});
    }
  }
  report.Table("Cost of one decision by number of values, lowest tenth of the rounds",
               {"design", "values", "in the set", "not in it", "in no policy"}, rows);
  return {};
}

Result<void> ByLength(const Settings& settings, Report& report, const Cgroups& cgroups,
                      const Programs& programs, const Runner& bound) {
  std::vector<std::vector<Cell>> rows;
  for (const size_t length : kPathLengths) {
    std::vector<Cell> row{length};
    for (const size_t component : kComponents) {
      const std::string allowed = programs.MakeDeep(length, component, 'a');
      const std::string denied = programs.MakeDeep(length, component, 'b');
      GH_ASSIGN(
          const std::unique_ptr<Design> design,
          StartGatehouse({.backend = settings.backend, .base_events = kernel::BaseEvents::kOff}));
      const Policy policy = WithValues(kValuesPerPolicy, allowed);
      const Growth growth = Grow(*design, std::span(cgroups.workloads()).first(1), {&policy, 1});
      if (growth.in_force != 1) return Fail(ErrorCode::kSystem, design->name(), growth.refusal);
      GH_TRY(Check(*design, {&bound, denied, false}));
      GH_ASSIGN(const double cost, QuietNs(*design, {&bound, allowed, true}, settings));
      row.emplace_back(cost);
    }
    rows.push_back(std::move(row));
  }
  report.Table("Cost of one decision by length of the path, lowest tenth of the rounds; 50 values",
               {"bytes", "in components of 255", "of 15", "of 1"}, rows);
  return {};
}

/// Patterns as policies have them; those of the first kind may still take any path at its end.
std::string PatternOf(uint32_t i) {
  const std::string number = std::to_string(i);
  switch (i % 5) {
    case 0:
      return "**/name-" + number;
    case 1:
      return "/srv/app-" + number + "/releases/*/bin/*";
    case 2:
      return "/opt/*-" + number + "-*/lib/[a-z]*.so*";
    case 3:
      return "/usr/lib/module-" + number + "/**";
    default:
      return "/home/user-" + number + "/.cache/**/tool-?";
  }
}

Result<void> ByPatterns(const Settings& settings, Report& report, const Cgroups& cgroups,
                        const Programs& programs, const Runner& bound) {
  constexpr size_t kComponent = 15;
  const std::string allowed = programs.MakeDeep(kPatternPathBytes, kComponent, 'a');
  const std::string denied = programs.MakeDeep(kPatternPathBytes, kComponent, 'b');
  std::vector<std::vector<Cell>> rows;
  std::vector<double> exact, patterns;
  for (const bool of_patterns : {false, true}) {
    for (const uint32_t count : kPatternCounts) {
      Policy policy = WithValues(count, allowed);
      policy.of_patterns = of_patterns;
      for (uint32_t i = 1; of_patterns && i < count; ++i) policy.allowed[i] = PatternOf(i);
      if (of_patterns) policy.allowed[0] = "**" + allowed.substr(allowed.rfind('/'));
      GH_ASSIGN(
          const std::unique_ptr<Design> design,
          StartGatehouse({.backend = settings.backend, .base_events = kernel::BaseEvents::kOff}));
      const Growth growth = Grow(*design, std::span(cgroups.workloads()).first(1), {&policy, 1});
      if (growth.in_force != 1) return Fail(ErrorCode::kSystem, design->name(), growth.refusal);
      GH_ASSIGN(const double hit, QuietNs(*design, {&bound, allowed, true}, settings));
      GH_ASSIGN(const double miss, QuietNs(*design, {&bound, denied, false}, settings));
      rows.push_back({of_patterns ? "patterns" : "paths", count, hit, miss});
      (of_patterns ? patterns : exact).push_back(hit);
    }
  }
  report.Table(
      "Cost of one decision on a path of 100 bytes by patterns, lowest tenth of the rounds",
      {"values", "number", "in the set", "not in it"}, rows);
  report.Add({"decision, 5,000 patterns against 5,000 paths", kPatternRatioLimit,
              patterns.back() / exact.back(), "x"});
  report.Add({"decision, 5,000 patterns against 50", kPatternCountRatioLimit,
              patterns.back() / patterns.front(), "x"});
  return {};
}

}  // namespace

Result<void> BenchValues(const Settings& settings, Report& report) {
  const Programs programs;
  const Cgroups cgroups(2);
  const Runner bound(cgroups.workloads()[0].cgroup);
  GH_ASSIGN(const RunStatistics statistics, RunStatistics::Enable());
  GH_TRY(ByValues(settings, report, cgroups, programs, bound));
  GH_TRY(ByLength(settings, report, cgroups, programs, bound));
  return ByPatterns(settings, report, cgroups, programs, bound);
}

}  // namespace gatehouse::bench
