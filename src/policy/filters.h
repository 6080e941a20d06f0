// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "policy/hooks.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The selectors of a hook: filters and actions.
namespace gatehouse::policy {

/// The field of a spec that holds the macros.
inline constexpr std::string_view kMacrosField = "selectorsMacros";

/// Indices into a hook's arguments and data, of those whose type is reported as wrong.
struct UnknownTypes {
  std::vector<uint32_t> arguments = {}, data = {};

  [[nodiscard]] bool Has(Subject subject, uint32_t which) const {
    const std::vector<uint32_t>& list = subject == Subject::kData ? data : arguments;
    const bool can_be = subject == Subject::kData || subject == Subject::kArgument;
    return can_be && std::ranges::find(list, which) != list.end();
  }
};

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
