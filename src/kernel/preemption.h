// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "kernel/kernel.h"

namespace gatehouse::kernel {

/// How a kernel tells of its preemption; what cannot be read is empty.
struct PreemptionFacts {
  std::string debugfs;  ///< /sys/kernel/debug/sched/preempt: `none voluntary (full)`
  std::string cmdline;  ///< /proc/cmdline
  std::string config;   ///< /boot/config-RELEASE
  std::string version;  ///< utsname.version: `#1 SMP PREEMPT_DYNAMIC …`
  std::string release;  ///< utsname.release: `6.12.117+deb12-cloud-amd64`
};

/// Of the running kernel.
[[nodiscard]] PreemptionFacts ReadPreemptionFacts();

/// Major and minor version of a release; what is no number is 0.
[[nodiscard]] std::pair<int, int> VersionOf(const std::string& release);

/// Whether a task may lose its CPU anywhere in the kernel, as far as the facts tell.
[[nodiscard]] bool IsFullyPreemptible(const PreemptionFacts& facts);

/// Whether the kernel leaves out a program of `backend` if it was preempted in the midst of that
/// program on the same CPU: such an operation is not judged. Trampolines do so since 5.12 (kernel
/// commit ca06f55b9002), those of BPF LSM until 6.2 (271de525e1d7); tracepoints call their programs
/// with preemption off.
[[nodiscard]] bool SkipsWhenPreempted(Backend backend, const std::string& release);

}  // namespace gatehouse::kernel
