// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace gatehouse::bench {

/// BPF objects that a process holds a descriptor of, each counted once, as /proc/PID/fdinfo shows
/// them. All designs hold all of theirs.
struct Objects {
  std::set<uint32_t> maps;
  std::set<uint32_t> programs;
  uint64_t map_memlock_bytes = 0;
  uint64_t program_memlock_bytes = 0;
};
[[nodiscard]] Objects FindObjectsOf(pid_t process);
[[nodiscard]] Objects FindOwnObjects();

/// While it lives the kernel measures every run of every program (BPF_ENABLE_STATS, since 5.8).
class RunStatistics {
 public:
  [[nodiscard]] static Result<RunStatistics> Enable();

 private:
  explicit RunStatistics(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Runs of some programs so far, added up.
struct Runs {
  uint64_t count = 0;
  uint64_t time_ns = 0;
};
[[nodiscard]] Runs RunsOf(std::span<const uint32_t> programs);

}  // namespace gatehouse::bench
