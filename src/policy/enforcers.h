// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "policy/lists.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The section `enforcers`: where what selectors notify of is carried out.
namespace gatehouse::policy {

/// Reads the section: a hook of kind kEnforcer, without selectors, for each call that it names.
/// What is wrong is reported and may be missing from the result.
[[nodiscard]] std::vector<Hook> ReadEnforcers(Reader& reader, YamlNode node,
                                              const std::vector<NameList>& lists);

/// Reports actions of `hooks` that need an enforcer and have none, and enforcers among them that
/// nothing notifies. `position`: of the section, if there is one.
void CheckEnforcers(Reader& reader, const std::vector<Hook>& hooks,
                    std::optional<Position> position);

}  // namespace gatehouse::policy
