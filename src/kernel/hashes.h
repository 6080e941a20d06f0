// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "kernel/kernel_types.h"
#include "kernel/plan.h"

/// Hashes of files, which the kernel makes (Integrity Measurement Architecture) for programs that
/// may sleep: see bpf/follow.h.
namespace gatehouse::kernel {

/// Nothing, or why hashes cannot be told on that place. `types` are loaded. Errors (kUnsupported):
/// the place is no LSM hook whose first argument is a file or a program that is executed, or must
/// not sleep; the kernel has no IMA, is older than 6.2 (before, it leaves out a program that
/// another task sleeps in, kernel commit 271de525e1d7), or calls programs in the order in which
/// they came.
[[nodiscard]] Result<void> CheckHash(const std::string& object, const Plan& plan,
                                     const KernelTypes& types);

}  // namespace gatehouse::kernel
