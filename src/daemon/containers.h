// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/agent.h"
#include "workload/inventory.h"

namespace gatehouse::daemon {

/// What all sources say of containers, pods and namespaces, in one inventory, and the agent told of
/// each change before the source goes on. Thread: any; one change at a time.
class Containers {
 public:
  /// `agent` must outlive this. `report` is given what failed and nobody waits for; under a lock.
  Containers(Agent& agent, std::function<void(const Error&)> report)
      : agent_(agent), report_(std::move(report)) {}

  /// A container that is being created, as its runtime's hook says: when this returns, its policies
  /// are in the kernel. `init`: its first process, which is in its cgroup and still runs the
  /// runtime; 0: not told. A process that is elsewhere is judged as it was. Errors: what
  /// Agent::SyncContainers says of the container.
  [[nodiscard]] Result<WorkloadView> Create(workload::ContainerFacts facts, pid_t init);
  /// What a source has to say, as one change.
  void Change(const std::function<void(workload::Inventory&)>& change);

 private:
  Agent& agent_;
  const std::function<void(const Error&)> report_;
  std::mutex mutex_;
  workload::Inventory inventory_;
};

}  // namespace gatehouse::daemon
