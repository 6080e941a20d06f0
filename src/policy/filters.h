// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "policy/condition.h"
#include "policy/hooks.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The filters of a selector.
namespace gatehouse::policy {

/// Indices into a hook's arguments and data, of those whose type is reported as wrong.
struct UnknownTypes {
  std::vector<uint32_t> arguments = {}, data = {};

  [[nodiscard]] bool Has(Subject subject, uint32_t which) const {
    const std::vector<uint32_t>& list = subject == Subject::kData ? data : arguments;
    const bool can_be = subject == Subject::kData || subject == Subject::kArgument;
    return can_be && std::ranges::find(list, which) != list.end();
  }
};

/// What filters are read with: the hook, whose arguments are read already, and what they may name.
/// What filters compare those of `unknown` with is not checked.
struct FilterScope {
  const Hook& hook;
  const UnknownTypes& unknown;
  VariableScope& variables;
  const std::vector<NameList>& lists;
};

/// What a list of filters says: all of `filters`, and of each expression one alternative.
struct FilterList {
  std::vector<Filter> filters = {};
  std::vector<std::vector<Alternative>> expressions = {};
};

/// Reads a list of filters, as `matchArgs`, and adds what they are to `list`.
void ReadFilters(Reader& reader, YamlNode node, Subject subject, const FilterScope& scope,
                 FilterList& list);

/// Reports what can be told of such a list without a hook: names of fields and operators.
void CheckForm(Reader& reader, YamlNode node, Subject subject);

}  // namespace gatehouse::policy
