// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "policy/model.h"

/// Numbers in filters, worked out anew: nothing here is shared with policy/numbers.
namespace gatehouse::eval {

/// Whether an argument of `type`, which is a number, can be compared with the value `text`.
[[nodiscard]] bool IsComparable(policy::ArgumentType type, policy::Operator op,
                                const std::string& text);

/// Whether the argument's value compares with `text` as the operator says, its negation left aside;
/// never if they cannot be compared. `value` is 64 bits, extended by its sign.
[[nodiscard]] bool NumberCompares(policy::ArgumentType type, policy::Operator op, uint64_t value,
                                  const std::string& text);

}  // namespace gatehouse::eval
