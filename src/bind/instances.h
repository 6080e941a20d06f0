// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "bind/delta.h"
#include "compile/lower.h"
#include "policy/model.h"

namespace gatehouse::bind {

/// What people are told about an instance.
struct InstanceInfo {
  InstanceId id = 0;
  policy::Key key;            ///< of the policy or binding; merged bindings: names joined by "+"
  std::string template_name;  ///< empty: a TracingPolicy
  policy::Mode mode = policy::Mode::kEnforce;
  policy::HookInfos hooks;           ///< by their order in the policy
  std::vector<policy::Key> members;  ///< the policy, the binding, or the merged bindings, in order
};

using InstanceInfoPtr = std::shared_ptr<const InstanceInfo>;

/// Instances by id, for whoever decodes events: the last 4,096 that were removed can still be
/// found, as their events may be on the way. Thread: any; what a lookup returns stays valid.
class InstanceDirectory {
 public:
  /// Null if the id was never given out, or its instance is gone for long.
  [[nodiscard]] InstanceInfoPtr Find(InstanceId id) const;

  void Add(InstanceInfoPtr info);
  /// The instance is in no group any more.
  void Retire(InstanceId id);
  /// The instance never reached the kernel.
  void Forget(InstanceId id);

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<InstanceId, InstanceInfoPtr> by_id_;
  std::deque<InstanceId> retired_;
};

}  // namespace gatehouse::bind
