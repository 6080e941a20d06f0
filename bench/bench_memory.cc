// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "benches.h"
#include "kernel_objects.h"
#include "memory.h"

namespace gatehouse::bench {
namespace {

constexpr double kBasePolicyBytes = 512;
constexpr double kBaseLimitMb = 24;
constexpr double kMb = 1 << 20;
constexpr uint32_t kReplacements = 2000;

struct Reading {
  int64_t available = 0;
  int64_t map_memlock = 0;
  int64_t program_memlock = 0;
};

Reading Read() {
  const Objects objects = FindOwnObjects();
  return {AvailableToKernelBytes(), static_cast<int64_t>(objects.map_memlock_bytes),
          static_cast<int64_t>(objects.program_memlock_bytes)};
}

/// Replaces policies, so that what is free is scattered as in an agent that has run for long.
Result<void> Wear(Design& design, std::span<const Policy> policies) {
  for (uint32_t i = 0; i < kReplacements; ++i) {
    Policy changed = policies[i % policies.size()];
    changed.allowed.push_back(PathOf(i % kStrings));
    GH_TRY(design.ReplacePolicy(changed));
  }
  return {};
}

}  // namespace

Result<void> BenchMemory(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const std::vector<Policy> policies = MakePolicies(many);
  const Cgroups cgroups(many);
  const std::span<const Workload> workloads = cgroups.workloads();

  std::vector<std::vector<Cell>> rows;
  for (const DesignEntry& entry : kDesigns) {
    if (!settings.Wants(entry)) continue;
    const bool ours = &entry == &kDesigns[0];
    const Reading nothing = Read();
    GH_ASSIGN(const std::unique_ptr<Design> design, entry.start({.backend = settings.backend}));
    const Reading base = Read();
    const uint32_t goal = std::min(many, entry.policies_max);
    const Growth growth = Grow(*design, workloads.first(goal), std::span(policies).first(goal));
    if (growth.in_force == 0) return Fail(ErrorCode::kSystem, entry.name, growth.refusal);
    const auto per_policy = [&](int64_t bytes) {
      return static_cast<double>(bytes) / growth.in_force;
    };
    const auto add_row = [&](const char* when, const Reading& full) {
      const int64_t base_memlock = base.map_memlock + base.program_memlock;
      const int64_t full_memlock = full.map_memlock + full.program_memlock;
      rows.push_back(
          {entry.name, when, growth.in_force,
           static_cast<double>(nothing.available - base.available) / kMb,
           static_cast<double>(base_memlock - nothing.map_memlock - nothing.program_memlock) / kMb,
           per_policy(base.available - full.available), per_policy(full_memlock - base_memlock)});
    };
    const Reading full = Read();
    add_row("at once", full);
    if (!ours) continue;
    const std::string of = std::to_string(many) + " policies, ";
    report.Add({"base, fall of MemAvailable", kBaseLimitMb,
                static_cast<double>(nothing.available - base.available) / kMb, "MB"});
    report.Add({"base, memlock", kBaseLimitMb,
                static_cast<double>(base.map_memlock + base.program_memlock) / kMb, "MB"});
    report.Add({of + "fall of MemAvailable for each", kBasePolicyBytes,
                per_policy(base.available - full.available), "B"});
    report.Add({of + "memlock of each", kBasePolicyBytes,
                per_policy(full.map_memlock + full.program_memlock - base.map_memlock -
                           base.program_memlock),
                "B"});
    GH_TRY(Wear(*design, std::span(policies).first(growth.in_force)));
    add_row("after 2,000 replacements", Read());
  }
  report.Table(
      "Kernel memory: 50 values a policy drawn from 2,000 strings, a workload for each policy",
      {"design", "applied", "policies", "base, MemAvailable MB", "base, memlock MB",
       "per policy, MemAvailable B", "per policy, memlock B"},
      rows);
  return {};
}

}  // namespace gatehouse::bench
