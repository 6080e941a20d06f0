// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"

namespace gatehouse::kernel {

/// This process and its ancestors up to init, as the kernel programs compare them, nearest first.
/// Errors: not in the initial pid namespace, where the kernel's numbers are not those that /proc
/// shows; and those of TasksUpToInit.
[[nodiscard]] Result<std::vector<gh_protected>> ProtectedTasks();

/// A process and its ancestors, from /proc or what stands in its place. Errors: they are more than
/// GH_PROTECTED_MAX, so that init would not be among them; `proc` is not readable.
[[nodiscard]] Result<std::vector<gh_protected>> TasksUpToInit(const std::string& proc,
                                                              uint32_t pid);

}  // namespace gatehouse::kernel
