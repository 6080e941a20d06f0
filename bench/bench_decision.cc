// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "benches.h"
#include "kernel_objects.h"
#include "programs.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr double kRatioLimit = 1.10;
constexpr double kQuiet =
    0.1;  // of the rounds: those that other work on the machine disturbed least

struct Subject {
  const char* name;
  Probe probe;
  std::vector<double> one_ns;   // with one policy
  std::vector<double> many_ns;  // with many
};

Result<void> Measure(Design& design, std::span<Subject> subjects,
                     std::vector<double> Subject::* costs, const Settings& settings) {
  for (Subject& subject : subjects) {
    GH_ASSIGN(const std::vector<double> more, DecisionNs(design, subject.probe, settings));
    std::ranges::copy(more, std::back_inserter(subject.*costs));
  }
  return {};
}

}  // namespace

Result<void> BenchDecision(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const uint32_t alternations = settings.instructions || settings.quick ? 1 : 3;
  const Programs programs;
  const std::string allowed = programs.Make("allowed"), denied = programs.Make("denied");
  const std::string elsewhere = programs.Make("elsewhere");  // allowed to another workload
  std::vector<Policy> policies = MakePolicies(many);
  policies[0].allowed[0] = allowed;
  policies[1].allowed[0] = elsewhere;
  const Cgroups cgroups(many);
  const std::span<const Workload> workloads = cgroups.workloads();
  const Runner bound(workloads[0].cgroup), unbound(cgroups.unbound());
  GH_ASSIGN(const RunStatistics statistics, RunStatistics::Enable());

  std::vector<std::vector<Cell>> rows;
  {
    GH_ASSIGN(const std::unique_ptr<Design> empty, StartEmpty({.backend = settings.backend}));
    GH_ASSIGN(const std::vector<double> floor_ns,
              DecisionNs(*empty, {&unbound, allowed}, settings));
    rows.push_back(
        {"empty program", "", 0, Quantile(floor_ns, kQuiet), Quantile(floor_ns, kQuiet), 1.0});
  }
  for (const DesignEntry& entry : kDesigns) {
    if (!settings.Wants(entry)) continue;
    const bool ours = &entry == &kDesigns[0];
    std::array subjects{
        Subject{"bound, allowed", {&bound, allowed, true}, {}, {}},
        Subject{"bound, denied", {&bound, denied, false}, {}, {}},
        Subject{"bound, denied, allowed elsewhere", {&bound, elsewhere, false}, {}, {}},
        Subject{"unbound", {&unbound, denied, true}, {}, {}},
    };
    GH_ASSIGN(const std::unique_ptr<Design> design,
              entry.start({.backend = settings.backend, .base_events = kernel::BaseEvents::kOff}));
    const Growth first = Grow(*design, workloads.first(1), std::span(policies).first(1));
    if (first.in_force != 1) return Fail(ErrorCode::kSystem, entry.name, first.refusal);
    uint32_t in_force = 0;
    const uint32_t goal = std::min(many, entry.policies_max);
    for (uint32_t i = 0; i < alternations; ++i) {
      GH_TRY(Measure(*design, subjects, &Subject::one_ns, settings));
      const auto rest = workloads.subspan(1, goal - 1);
      in_force = 1 + Grow(*design, rest, std::span(policies).subspan(1, goal - 1)).in_force;
      GH_TRY(Measure(*design, subjects, &Subject::many_ns, settings));
      GH_TRY(design->RemovePolicies(std::span(policies).subspan(1, in_force - 1)));
      design->RemoveWorkloads(rest);
    }
    for (const Subject& subject : subjects) {
      const double one = Quantile(subject.one_ns, kQuiet), all = Quantile(subject.many_ns, kQuiet);
      rows.push_back({entry.name, subject.name, in_force, one, all, all / one});
      if (!ours) continue;
      report.Add({std::string("decision, ") + subject.name + ", " + std::to_string(many) +
                      " policies against 1",
                  kRatioLimit, all / one, "times"});
    }
  }
  const char* unit = settings.instructions ? "instructions" : "ns";
  report.Table(std::string("Cost of the decisions on one execution, ") + unit +
                   " in the programs on the hook, lowest tenth of the rounds",
               {"design", "workload", "policies", "with 1 policy", "with all", "ratio"}, rows);
  return {};
}

}  // namespace gatehouse::bench
