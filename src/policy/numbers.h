// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "policy/model.h"

/// Numbers as filters compare with them.
namespace gatehouse::policy {

/// The numbers that `value` stands for in a filter with `op` on an argument of `type`, which is one
/// of numbers and takes that operator, as ranges
/// that neither overlap nor touch, ascending: none if nothing can match (GT with the largest
/// number), two if a range of signed numbers holds -1 and 0. With Mask: one range, whose `first` is
/// the mask. Nothing if `value` is no number, or does not fit into the type. Pure; any thread.
[[nodiscard]] std::optional<std::vector<gh_range>> RangesOf(ArgumentType type, Operator op,
                                                            std::string_view value);

/// As RangesOf, but says what is wrong: kInvalid, without an object.
[[nodiscard]] Result<std::vector<gh_range>> ReadRanges(ArgumentType type, Operator op,
                                                       std::string_view value);

}  // namespace gatehouse::policy
