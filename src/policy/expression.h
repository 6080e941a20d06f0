// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/condition.h"
#include "policy/model.h"

/// Expressions of operator CelExpr: a part of the Common Expression Language (cel.dev, Language
/// Definition) over the arguments of a hook.
namespace gatehouse::policy {

/// An expression holds where one of these does; none of them is empty, unless the expression always
/// holds. Each comparison becomes the ranges of the argument's numbers in which it holds, so an
/// argument that cannot be read is in none. `position`: of the expression. Errors (kInvalid,
/// without an object): it is no expression; it never holds; a part of it is not about one argument
/// and constants, which the cause quotes; it is more than GH_RULES_PER_POLICY_MAX alternatives.
/// Pure; any thread.
[[nodiscard]] Result<std::vector<Alternative>> CompileExpression(std::string_view text,
                                                                 const Hook& hook,
                                                                 Position position);

}  // namespace gatehouse::policy
