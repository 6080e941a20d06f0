// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "policy/catalog.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The values that filters compare with.
namespace gatehouse::policy {

/// What values are compared with, and how. Without a kind (in a binding, where the template
/// decides), only their length is checked.
struct ValueUse {
  std::optional<ValueKind> kind;
  gh_match match = GH_MATCH_EXACT;
};

/// Reads a list of values; reports those that could never match as used.
[[nodiscard]] Values ReadLiterals(Reader& reader, YamlNode node, const ValueUse& use);

}  // namespace gatehouse::policy
