// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>

#include "kernel_objects.h"

namespace gatehouse::bench {
namespace {

struct Effort {
  uint32_t rounds;
  uint32_t executions;  // in each
};

Effort EffortFor(const Settings& settings) {
  if (settings.instructions) return {3, 20};
  return settings.quick ? Effort{15, 40} : Effort{41, 40};
}

constexpr uint32_t kAttemptsPerRound = 20;  // on a busy machine

Error Unexpected(const Design& design, const Probe& probe, const Executions& executions) {
  return Error{ErrorCode::kSystem, design.name(),
               probe.program + " was to be " + (probe.allowed ? "allowed" : "denied") + ", but " +
                   std::to_string(executions.allowed) + " executions ran and " +
                   std::to_string(executions.denied) + " did not",
               "the design does not do what is measured"};
}

bool AsExpected(const Probe& probe, const Executions& executions) {
  return (probe.allowed ? executions.denied : executions.allowed) == 0;
}

}  // namespace

Result<void> Check(Design& design, const Probe& probe) {
  GH_ASSIGN(const Executions executions, probe.runner->Run(probe.program, 1));
  if (!AsExpected(probe, executions)) return tl::unexpected(Unexpected(design, probe, executions));
  return {};
}

Result<std::vector<double>> DecisionNs(Design& design, const Probe& probe,
                                       const Settings& settings) {
  const Effort effort = EffortFor(settings);
  const std::vector<uint32_t> programs = design.GatePrograms();
  const uint64_t runs_max = uint64_t{effort.executions} * programs.size();
  std::vector<double> costs;
  for (uint32_t attempt = 0;
       attempt < effort.rounds * kAttemptsPerRound && costs.size() < effort.rounds; ++attempt) {
    const Runs before = RunsOf(programs);
    GH_ASSIGN(const Executions executions, probe.runner->Run(probe.program, effort.executions));
    const Runs after = RunsOf(programs);
    if (!AsExpected(probe, executions))
      return tl::unexpected(Unexpected(design, probe, executions));
    design.DrainEvents();
    if (after.count - before.count > runs_max) continue;
    costs.push_back(static_cast<double>(after.time_ns - before.time_ns) / effort.executions);
  }
  if (costs.empty()) {
    return Fail(ErrorCode::kSystem, design.name(), "others execute programs all the time",
                "measure on a quiet machine");
  }
  return costs;
}

Growth Grow(Design& design, std::span<const Workload> workloads, std::span<const Policy> policies) {
  Growth growth;
  if (auto added = design.AddWorkloads(workloads); !added) {
    growth.refusal = added.error().Message();
    return growth;
  }
  const size_t step = design.takes_many() ? std::max<size_t>(policies.size(), 1) : 1;
  for (size_t at = 0; at < policies.size(); at += step) {
    if (auto added = design.AddPolicies(policies.subspan(at, step)); !added) {
      growth.refusal = added.error().Message();
      break;
    }
    growth.in_force += static_cast<uint32_t>(step);
  }
  return growth;
}

}  // namespace gatehouse::bench
