// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "workload/facts.h"

namespace gatehouse::cri {

/// Who is told which containers run here. Called from the source's own thread, one call at a time;
/// while a call lasts the source hears nothing new.
class Consumer {
 public:
  Consumer() = default;
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;
  virtual ~Consumer() = default;

  /// Everything that the runtime runs, ascending by id: once at first and after each reconnection,
  /// changed or not. What was told before and is not among it runs no more. A container that the
  /// runtime takes long to tell about follows with Put.
  virtual void Synced(std::vector<workload::ContainerFacts> all) = 0;
  /// A container that is new, or of which something changed.
  virtual void Put(workload::ContainerFacts facts) = 0;
  /// The runtime says that the first process of a container has ended, or knows the container no
  /// more. Other processes may be in its cgroup for a moment longer.
  virtual void Remove(const std::string& id) = 0;
};

}  // namespace gatehouse::cri
