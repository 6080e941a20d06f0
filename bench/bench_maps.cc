// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "benches.h"
#include "kernel_objects.h"

namespace gatehouse::bench {
namespace {

constexpr size_t kRefusalShown = 160;

struct Counts {
  int64_t maps = 0;
  int64_t programs = 0;
  int64_t on_hook = 0;
};

Counts CountOf(const Design& design) {
  const Objects objects = FindOwnObjects();
  return {static_cast<int64_t>(objects.maps.size()), static_cast<int64_t>(objects.programs.size()),
          static_cast<int64_t>(design.GatePrograms().size())};
}

}  // namespace

Result<void> BenchMaps(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const std::vector<Policy> policies = MakePolicies(many);
  const Cgroups cgroups(many);
  const std::span<const Workload> workloads = cgroups.workloads();

  std::vector<std::vector<Cell>> rows;
  std::vector<std::string> refusals;
  for (const DesignEntry& entry : kDesigns) {
    if (!settings.Wants(entry)) continue;
    GH_ASSIGN(const std::unique_ptr<Design> design, entry.start({.backend = settings.backend}));
    Growth growth = Grow(*design, workloads.first(1), std::span(policies).first(1));
    const Counts one = CountOf(*design);
    const uint32_t goal = std::min(many, entry.policies_max);
    const Growth rest =
        Grow(*design, workloads.subspan(1, goal - 1), std::span(policies).subspan(1, goal - 1));
    growth.in_force += rest.in_force;
    const Counts all = CountOf(*design);
    rows.push_back({entry.name, 1, one.on_hook, one.programs, one.maps});
    rows.push_back({entry.name, growth.in_force, all.on_hook, all.programs, all.maps});
    if (!rest.refusal.empty()) {
      refusals.push_back(std::string(entry.name) + ": policy " +
                         std::to_string(growth.in_force + 1) +
                         " is refused: " + rest.refusal.substr(0, kRefusalShown));
    } else if (goal < many) {
      refusals.push_back(std::string(entry.name) + ": stopped at " + std::to_string(goal));
    }
    if (&entry == &kDesigns[0]) {
      report.Add({"policies not applied, of " + std::to_string(many), 0,
                  static_cast<double>(many - growth.in_force), ""});
      report.Add({"programs on the exec hook", 1, static_cast<double>(all.on_hook), ""});
      report.Add({"maps more with " + std::to_string(many) + " policies than with 1", 0,
                  static_cast<double>(all.maps - one.maps), ""});
    }
  }
  report.Table("Programs and maps by number of policies, each about a workload of its own",
               {"design", "policies", "on the hook", "programs", "maps"}, rows);
  for (const std::string& refusal : refusals) report.Note(refusal);
  return {};
}

}  // namespace gatehouse::bench
