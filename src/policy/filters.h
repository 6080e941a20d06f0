// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policy/hooks.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The selectors of a hook: filters and actions.
namespace gatehouse::policy {

/// Reads the list `selectors` of `hook`, whose arguments are read already. `unknown`: indices into
/// them, of those whose type is reported as wrong; what filters compare them with is not checked.
[[nodiscard]] std::vector<Selector> ReadSelectors(Reader& reader, YamlNode node, const Hook& hook,
                                                  std::span<const uint32_t> unknown,
                                                  VariableScope& variables);

/// Reads the list `matchActions`.
[[nodiscard]] std::vector<Action> ReadActions(Reader& reader, YamlNode node);

}  // namespace gatehouse::policy
