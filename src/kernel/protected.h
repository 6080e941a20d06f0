// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"

namespace gatehouse::kernel {

/// This process and its ancestors up to init, as the kernel programs compare them; at most
/// GH_PROTECTED_MAX, nearest first. Errors: not in the initial pid namespace, where the kernel's
/// numbers are not those that /proc shows; /proc is not readable.
[[nodiscard]] Result<std::vector<gh_protected>> ProtectedTasks();

}  // namespace gatehouse::kernel
