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

}  // namespace

Result<void> BenchValues(const Settings& settings, Report& report) {
  const Programs programs;
  const Cgroups cgroups(2);
  const Runner bound(cgroups.workloads()[0].cgroup);
  GH_ASSIGN(const RunStatistics statistics, RunStatistics::Enable());
  GH_TRY(ByValues(settings, report, cgroups, programs, bound));
  return ByLength(settings, report, cgroups, programs, bound);
}

}  // namespace gatehouse::bench
