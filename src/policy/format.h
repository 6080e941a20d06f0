// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "policy/model.h"

/// The values of the language as the names that a policy uses for them.
namespace gatehouse::policy {

[[nodiscard]] std::string_view NameOf(Operator op);           ///< `NotIn`
[[nodiscard]] std::string_view NameOf(ActionKind action);     ///< `Override`
[[nodiscard]] std::string_view NameOf(ArgumentType type);     ///< `linux_binprm`
[[nodiscard]] std::string_view NameOf(LabelOperator op);      ///< `Exists`
[[nodiscard]] std::string_view NameOf(Mode mode);             ///< `enforce`
[[nodiscard]] std::string_view NameOf(OnOverlap on_overlap);  ///< `Conflict`
[[nodiscard]] std::string_view NameOf(HookKind kind);         ///< the section: `kprobes`
[[nodiscard]] std::string_view NameOf(Subject subject);       ///< the filter: `matchArgs`

/// The kind of a document: `TracingPolicy`, `TracingPolicyNamespaced`, …
[[nodiscard]] std::string_view KindOf(const Document& document);

}  // namespace gatehouse::policy
