// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kernel/plan.h"

namespace gatehouse::kernel {

/// The arguments of a static probe, as its note in the file says where they are: `-4@%edi
/// 8@-16(%rbp) 1@$5`, in the assembler's language. Of each one that a program can take, its
/// GH_OPERAND; another is not readable. At most GH_OPERANDS_MAX.
[[nodiscard]] std::vector<Parameter> ParseOperands(std::string_view text);

/// A register, or the lowest bytes of one.
struct Register {
  uint32_t offset = 0;  ///< in a struct pt_regs
  uint32_t bytes = 0;
};

/// By the assembler's name without %: `rax`, `edi`; also `rip` and `eflags`, which are no operands.
[[nodiscard]] std::optional<Register> FindRegister(std::string_view name);

}  // namespace gatehouse::kernel
