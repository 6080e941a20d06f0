// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gatehouse::bench {

/// MemAvailable, plus free pages that it does not see, plus what this process has taken for itself:
/// changes only with the memory that the kernel uses. Drops caches and waits until the kernel has
/// settled, so it is for a machine of one's own. The median of several readings.
[[nodiscard]] int64_t AvailableToKernelBytes();

}  // namespace gatehouse::bench
