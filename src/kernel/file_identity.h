// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "abi/gatehouse.h"

namespace gatehouse::kernel {

/// See Kernel::FindFile. `proc`: /proc or what stands in its place.
[[nodiscard]] std::optional<gh_address_range> FindFile(const std::string& path,
                                                       const std::string& proc = "/proc");

}  // namespace gatehouse::kernel
