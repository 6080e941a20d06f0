// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace gatehouse::kernel {

/// Has the kernel tell of what processes map to execute, with build ids, as long as the result
/// lives: it then calls perf_event_mmap_output() for each, on the CPU where it happens, with a perf
/// event that has `cookie` as its config1. Errors (kUnsupported): the kernel is older than 5.12
/// (commit 88a16a130933), perf events are not allowed.
[[nodiscard]] Result<std::vector<Fd>> TellMappings(uint32_t cookie);

}  // namespace gatehouse::kernel
