// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "kernel/plan.h"

namespace gatehouse::kernel {

/// The arguments of a static probe, as its note in the file says where they are: `-4@%edi
/// 8@-16(%rbp) 1@$5`, in the assembler's language. Of each one that a program can take, its
/// GH_OPERAND; another is not readable. At most GH_OPERANDS_MAX.
[[nodiscard]] std::vector<Parameter> ParseOperands(std::string_view text);

}  // namespace gatehouse::kernel
