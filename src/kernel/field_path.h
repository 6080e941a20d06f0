// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/kernel_types.h"
#include "kernel/plan.h"
#include "policy/model.h"

namespace gatehouse::kernel {

/// Where a path through the kernel's types begins.
struct PathBegin {
  uint32_t type = 0;     ///< its number
  bool pointer = false;  ///< the value that is there is of that type; else: is the address of one
};

/// Where it leads to.
struct PathEnd {
  policy::Chain chain;  ///< `bytes`: of all that the value has; 0: it is read from its address
  /// The value, as if it were an argument: a struct that is there is a pointer to it.
  Parameter value;
};

/// Follows `path` through `types`, which are loaded: pointers, structs and unions in others,
/// arrays. Errors (kInvalid): a step names what is not there, with the nearest name, or cannot be
/// taken; what is at the end is nothing that can be read. The error's object is `object`.
[[nodiscard]] Result<PathEnd> FollowPath(const KernelTypes& types, PathBegin begin,
                                         std::span<const policy::PathStep> path,
                                         const std::string& object);

}  // namespace gatehouse::kernel
