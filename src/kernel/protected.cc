// SPDX-License-Identifier: Apache-2.0
#include "kernel/protected.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "kernel/proc.h"

namespace gatehouse::kernel {
namespace {

constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO, include/linux/proc_ns.h

}  // namespace

Result<std::vector<gh_protected>> TasksUpToInit(const std::string& proc, uint32_t pid) {
  std::vector<gh_protected> tasks;
  while (pid != 0) {
    if (tasks.size() == GH_PROTECTED_MAX) {
      return Fail(ErrorCode::kRefused, "agent",
                  "it has more than " + std::to_string(GH_PROTECTED_MAX - 1) +
                      " ancestors, so init would not be spared by policies for the host",
                  "start it from fewer processes, one in the other: as a service, for example");
    }
    GH_ASSIGN(const ProcessStat stat, ReadStat(proc, pid));
    tasks.push_back(gh_protected{.pid = pid, .reserved = 0, .start_ticks = stat.start_ticks});
    pid = stat.parent;
  }
  return tasks;
}

Result<std::vector<gh_protected>> ProtectedTasks() {
  struct stat ns{};
  if (stat("/proc/self/ns/pid", &ns) != 0)
    return FailErrno("/proc/self/ns/pid", "cannot read it", errno);
  if (ns.st_ino != kInitialPidNamespace) {
    return Fail(ErrorCode::kUnsupported, "agent", "not in the host's pid namespace",
                "start it there (in Kubernetes: hostPID: true)");
  }
  return TasksUpToInit("/proc", static_cast<uint32_t>(getpid()));
}

}  // namespace gatehouse::kernel
