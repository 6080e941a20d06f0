// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "policy/filters.h"
#include "policy/hooks.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The selectors of a hook: filters and actions.
namespace gatehouse::policy {

/// The field of a spec that holds the macros.
inline constexpr std::string_view kMacrosField = "selectorsMacros";

/// Reads the mapping of kMacrosField, as far as that can be done without a hook: names of fields,
/// operators and actions.
[[nodiscard]] std::vector<Macro> ReadMacros(Reader& reader, YamlNode node);

/// Reads the list `selectors` of `hook`, whose arguments are read already, with the macros that
/// they name. What filters compare those of `unknown` with is not checked.
[[nodiscard]] std::vector<Selector> ReadSelectors(Reader& reader, YamlNode node, const Hook& hook,
                                                  const UnknownTypes& unknown,
                                                  const HookScope& scope);

/// Reads the list `matchActions`.
[[nodiscard]] std::vector<Action> ReadActions(Reader& reader, YamlNode node);

}  // namespace gatehouse::policy
