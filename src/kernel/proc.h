// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace gatehouse::kernel {

/// Of /proc/PID/stat, proc(5).
struct ProcessStat {
  uint32_t parent = 0;
  uint64_t start_ticks = 0;  ///< since boot
};

/// `proc`: /proc or what stands in its place. Error: there is no such process, or it is not in the
/// format of proc(5).
[[nodiscard]] Result<ProcessStat> ReadStat(const std::string& proc, uint32_t pid);

}  // namespace gatehouse::kernel
