// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "benches.h"
#include "programs.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr uint32_t kPolicyCounts[] = {0, 1, 10, 100, 1000, 10'000};
constexpr double kNsPerUs = 1000;

struct Latency {
  double p50_us = 0;
  double p99_us = 0;
};

/// In pieces, between which events are taken out.
Result<Latency> Measure(Design* design, const Probe& probe, const Settings& settings) {
  const uint32_t pieces = settings.instructions ? 2 : settings.quick ? 10 : 40;
  const uint32_t executions = settings.instructions ? 25 : 50;
  std::vector<double> all_ns;
  for (uint32_t i = 0; i < pieces; ++i) {
    GH_ASSIGN(const Executions done, probe.runner->Run(probe.program, executions));
    if (done.denied != 0) return Fail(ErrorCode::kSystem, probe.program, "was denied");
    for (const uint64_t ns : done.spawn_ns) all_ns.push_back(static_cast<double>(ns));
    if (design != nullptr) design->DrainEvents();
  }
  return Latency{Quantile(all_ns, 0.5) / kNsPerUs, Quantile(all_ns, 0.99) / kNsPerUs};
}

struct Column {
  const char* name;
  const DesignEntry* entry;
  kernel::BaseEvents base_events;
};

}  // namespace

Result<void> BenchExec(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const Programs programs;
  const std::string allowed = programs.Make("allowed");
  std::vector<Policy> policies = MakePolicies(many);
  policies[0].allowed[0] = allowed;
  const Cgroups cgroups(many);
  const std::span<const Workload> workloads = cgroups.workloads();
  const Runner bound(workloads[0].cgroup), unbound(cgroups.unbound());
  const Probe in_bound{&bound, allowed}, in_unbound{&unbound, allowed};

  const Column columns[] = {
      {"gatehouse, no base events", &kDesigns[0], kernel::BaseEvents::kOff},
      {"gatehouse, base events", &kDesigns[0], kernel::BaseEvents::kAll},
      {"program per policy", &kDesigns[1], kernel::BaseEvents::kOff},
      {"inner map per policy", &kDesigns[2], kernel::BaseEvents::kOff},
  };
  std::vector<std::vector<Cell>> rows;
  const auto add_row = [&](const char* name, uint32_t count, const Latency& in_unbound_us,
                           const Latency& in_bound_us) {
    rows.push_back({name, count, in_unbound_us.p50_us, in_unbound_us.p99_us, in_bound_us.p50_us,
                    in_bound_us.p99_us});
  };
  const auto absent = [&](const char* when) -> Result<void> {
    GH_ASSIGN(const Latency latency, Measure(nullptr, in_unbound, settings));
    GH_ASSIGN(const Latency latency_bound, Measure(nullptr, in_bound, settings));
    add_row(when, 0, latency, latency_bound);
    return {};
  };
  GH_TRY(absent("no agent, before"));
  for (const Column& column : columns) {
    if (!settings.Wants(*column.entry)) continue;
    GH_ASSIGN(
        const std::unique_ptr<Design> design,
        column.entry->start({.backend = settings.backend, .base_events = column.base_events}));
    uint32_t in_force = 0;
    for (const uint32_t count : kPolicyCounts) {
      const uint32_t goal = std::min({count, many, column.entry->policies_max});
      if (goal < count && goal == in_force) break;
      const Growth growth = Grow(*design, workloads.subspan(in_force, goal - in_force),
                                 std::span(policies).subspan(in_force, goal - in_force));
      in_force += growth.in_force;
      GH_ASSIGN(const Latency latency, Measure(design.get(), in_unbound, settings));
      GH_ASSIGN(const Latency latency_bound, Measure(design.get(), in_bound, settings));
      add_row(column.name, in_force, latency, latency_bound);
      if (in_force < goal) break;
    }
  }
  GH_TRY(absent("no agent, after"));
  report.Table(std::string("A small static program from vfork to the end of wait, ") +
                   (settings.instructions ? "thousands of instructions" : "microseconds"),
               {"agent", "policies", "unbound p50", "p99", "bound p50", "p99"}, rows);
  return {};
}

}  // namespace gatehouse::bench
