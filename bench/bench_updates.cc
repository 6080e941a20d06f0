// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include "benches.h"
#include "kernel_objects.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr double kLimitMs = 5;
constexpr double kUsPerMs = 1000;

template <typename Change>
Result<double> TimedUs(Change change) {
  const auto begin = std::chrono::steady_clock::now();
  GH_TRY(change());
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

struct Durations {
  std::vector<double> add_us, replace_us, remove_us;
};

/// Adds, replaces and removes a policy, over and over; `policies` are not in force.
Result<Durations> Change(Design& design, std::span<const Policy> policies) {
  Durations durations;
  for (const Policy& policy : policies) {
    Policy changed = policy;
    changed.allowed.front() = PathOf(policy.number % kStrings) + ".new";
    GH_ASSIGN(const double add, TimedUs([&] { return design.AddPolicies({&policy, 1}); }));
    GH_ASSIGN(const double replace, TimedUs([&] { return design.ReplacePolicy(changed); }));
    GH_ASSIGN(const double remove, TimedUs([&] { return design.RemovePolicies({&policy, 1}); }));
    durations.add_us.push_back(add);
    durations.replace_us.push_back(replace);
    durations.remove_us.push_back(remove);
  }
  return durations;
}

}  // namespace

Result<void> BenchUpdates(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const uint32_t changes = settings.quick || settings.instructions ? 100 : 1000;
  const std::vector<Policy> policies = MakePolicies(many + changes);
  const Cgroups cgroups(many + changes);
  const std::span<const Workload> workloads = cgroups.workloads();

  std::vector<std::vector<Cell>> rows;
  for (const DesignEntry& entry : kDesigns) {
    if (!settings.Wants(entry)) continue;
    const bool ours = &entry == &kDesigns[0];
    GH_ASSIGN(const std::unique_ptr<Design> design, entry.start({.backend = settings.backend}));
    // One less than it takes, so that one can be added.
    uint32_t in_force = std::min(many, entry.policies_max);
    const Growth growth =
        Grow(*design, workloads.first(in_force), std::span(policies).first(in_force));
    if (growth.in_force < in_force) {
      in_force = growth.in_force - 1;
      GH_TRY(design->RemovePolicies(std::span(policies).subspan(in_force, 1)));
    }
    GH_TRY(design->AddWorkloads(workloads.subspan(many, changes)));
    const size_t programs_before = FindOwnObjects().programs.size();
    const uint32_t tried = design->takes_many() ? changes : std::min(changes, 100u);
    GH_ASSIGN(const Durations durations, Change(*design, std::span(policies).subspan(many, tried)));
    const auto row = [&](const char* what, const std::vector<double>& us) {
      rows.push_back(
          {entry.name, what, in_force, Quantile(us, 0.5), Quantile(us, 0.99), Quantile(us, 1)});
      if (ours) {
        report.Add({std::string("a policy ") + what + ", " + std::to_string(in_force) +
                        " there, without RPC, p99",
                    kLimitMs, Quantile(us, 0.99) / kUsPerMs, "ms"});
      }
    };
    row("added", durations.add_us);
    row("replaced", durations.replace_us);
    row("deleted", durations.remove_us);
    if (ours) {
      report.Add({"programs loaded by adding, replacing, deleting", 0,
                  static_cast<double>(FindOwnObjects().programs.size() - programs_before), ""});
    }
  }
  report.Table("Time from a changed policy to its enforcement, without RPC and YAML, microseconds",
               {"design", "policy", "policies there", "p50", "p99", "longest"}, rows);
  return {};
}

}  // namespace gatehouse::bench
