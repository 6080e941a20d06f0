// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "compile/program.h"

namespace gatehouse::bind {

/// Number of an effective policy: a TracingPolicy, or a template with a binding's (or several
/// merged bindings') values. Never reused while the agent runs; it is gh_rule.policy in the kernel.
using InstanceId = uint32_t;

/// Number of a registered workload, never reused while the agent runs; 0 is the host: every process
/// that is in no workload's cgroup.
using WorkloadId = uint32_t;
inline constexpr WorkloadId kHostWorkload = 0;

/// What changes in the kernel's image; applied as a whole or not at all.
struct Delta {
  /// New instances, each in at least one group below or after.
  std::vector<std::pair<InstanceId, compile::ProgramPtr>> added;
  /// Instances that are in no group any more.
  std::vector<InstanceId> removed;
  /// The complete list of instances of each workload whose list changed, in order of evaluation:
  /// policy name, then namespace. A workload that ended has an empty list.
  std::vector<std::pair<WorkloadId, std::vector<InstanceId>>> groups;

  [[nodiscard]] bool empty() const { return added.empty() && removed.empty() && groups.empty(); }
};

}  // namespace gatehouse::bind
