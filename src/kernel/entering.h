// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"
#include "kernel/skeleton.h"

namespace gatehouse::kernel {

/// Processes of container runtimes that are in a container's cgroup already and still run the
/// runtime's own program (`runc init`): mounts and files that they need to set the container up are
/// not the container's. Until such a process executes a program, only that execution is judged. A
/// program of ours on execve forgets it then; it is loaded with the first of them. Not thread-safe.
class Entering {
 public:
  /// `shared` outlives it.
  explicit Entering(gatehouse_bpf& shared) : shared_(shared) {}

  /// See Kernel::LetEnter.
  [[nodiscard]] Result<void> Add(pid_t pid);
  /// Those that are loaded.
  [[nodiscard]] std::vector<ProgramStatus> programs() const;

 private:
  [[nodiscard]] Result<void> Start();
  /// Forgets those that have ended without executing a program.
  void Expire() const;

  gatehouse_bpf& shared_;
  Skeleton skeleton_;  ///< null: not started
  Link link_;
};

}  // namespace gatehouse::kernel
