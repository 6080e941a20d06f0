// SPDX-License-Identifier: Apache-2.0
#include "kernel/mappings.h"

#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace gatehouse::kernel {

Result<std::vector<Fd>> TellMappings(uint32_t cookie) {
  constexpr pid_t kAnyProcess = -1;
  constexpr int kNoGroup = -1;
  perf_event_attr wanted{};
  wanted.size = sizeof(wanted);
  wanted.type = PERF_TYPE_SOFTWARE;
  wanted.config = PERF_COUNT_SW_DUMMY;
  wanted.config1 = cookie;
  wanted.mmap = 1;
  wanted.mmap2 = 1;
  wanted.build_id = 1;
  std::vector<Fd> events;
  for (int cpu = 0; cpu < libbpf_num_possible_cpus(); ++cpu) {
    Fd event(static_cast<int>(
        syscall(SYS_perf_event_open, &wanted, kAnyProcess, cpu, kNoGroup, PERF_FLAG_FD_CLOEXEC)));
    if (event.valid()) {
      events.push_back(std::move(event));
    } else if (errno != ENODEV) {  // that CPU is not there
      Error error = FailErrno("hook/loader", "the kernel does not tell what is mapped", errno,
                              "use kernel 5.12 or later, and give gatehoused CAP_PERFMON")
                        .value();
      error.code = ErrorCode::kUnsupported;
      return tl::unexpected(std::move(error));
    }
  }
  return events;
}

}  // namespace gatehouse::kernel
