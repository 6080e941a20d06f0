// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/lists.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The values that filters compare with.
namespace gatehouse::policy {

/// What values are compared with, and how.
struct ValueUse {
  ArgumentType type = ArgumentType::kLinuxBinprm;
  Operator op = Operator::kEqual;
};

/// Whether a filter can use `value`: a path that could match, a number of the type. The error
/// (kInvalid, without an object) says what is wrong with it. Pure; any thread.
[[nodiscard]] Result<void> CheckValue(std::string_view value, const ValueUse& use);

/// Whether the operator and the values of a filter fit the type that is compared; for what is told
/// of a type when the text has been read. As CheckValue.
[[nodiscard]] Result<void> CheckFilter(const Filter& filter, const Hook& hook);

/// Reads a list of values; reports those that cannot be used so, and warns of those that match
/// nothing. Without a use (in a binding, where the template decides), only their length is checked.
/// `lists`: those that values on numbers may name.
[[nodiscard]] Values ReadLiterals(Reader& reader, YamlNode node, const std::optional<ValueUse>& use,
                                  const std::vector<NameList>& lists = {});

/// What an operator that searches by GH_MATCH_PATTERN makes of a value: patterns of glob/pattern.h,
/// any of which takes the texts that the value is about.
[[nodiscard]] std::vector<std::string> PatternsOf(Operator op, std::string_view value);

}  // namespace gatehouse::policy
