// SPDX-License-Identifier: Apache-2.0
#include "daemon/containers.h"

#include <fstream>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::daemon {

namespace {

/// Whether the process is in the cgroup, of those below `root`, or below it.
bool IsIn(pid_t pid, const std::string& cgroup, const std::string& root) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cgroup");
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kUnified = "0::";  // cgroups(7)
    if (!line.starts_with(kUnified)) continue;
    const std::string path = root + line.substr(kUnified.size());
    return path == cgroup || path.starts_with(cgroup + "/");
  }
  return false;
}

}  // namespace

Result<WorkloadView> Containers::Create(workload::ContainerFacts facts, pid_t init) {
  const std::string cgroup = facts.cgroup;
  if (facts.id.empty()) facts.id = cgroup;
  const std::lock_guard lock(mutex_);
  inventory_.Put(workload::Teller::kHook, std::move(facts));
  inventory_.Repeat(cgroup);
  std::vector<Error> failures = agent_.SyncContainers(inventory_.Take());
  if (!failures.empty()) {
    inventory_.Forget(cgroup);
    for (const Error& failure : agent_.SyncContainers(inventory_.Take())) report_(failure);
    return tl::unexpected(std::move(failures.front()));
  }
  GH_ASSIGN(WorkloadView created, agent_.TieWorkload(cgroup));
  if (init != 0 && IsIn(init, cgroup, agent_.options().cgroup_root)) {
    GH_TRY(agent_.LetEnter(init));
  }
  return created;
}

void Containers::Change(const std::function<void(workload::Inventory&)>& change) {
  const std::lock_guard lock(mutex_);
  change(inventory_);
  const workload::Inventory::Changes changes = inventory_.Take();
  if (changes.empty()) return;
  for (const Error& failure : agent_.SyncContainers(changes)) report_(failure);
}

}  // namespace gatehouse::daemon
