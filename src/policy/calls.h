// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "policy/lists.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The names of places: functions, LSM hooks, system calls.
namespace gatehouse::policy {

/// Reads what a hook is on: a name, or the names of `list`, unless it is null; system calls as
/// ToString of system_calls.h has them. A name that cannot be one is reported; then there is none.
/// Whether this kernel has it is found out by the agent.
[[nodiscard]] std::vector<ListedName> ReadCalls(Reader& reader, YamlNode node, HookKind kind,
                                                bool system_call, const NameList* list);

}  // namespace gatehouse::policy
