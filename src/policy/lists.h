// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/reader.h"

/// The section `lists`: names for several functions or system calls.
namespace gatehouse::policy {

/// One entry of a list, as written.
struct ListedName {
  std::string name;
  Position position;
};

enum class ListType {
  kNames,             ///< whether the names are of functions or of system calls, the hook says
  kSystemCalls,       ///< the same; and values may stand for the numbers of these
  kAllSystemCalls,    ///< all that the kernel has
  kMatchingFunctions  ///< all functions of the kernel whose names match a pattern
};

struct NameList {
  std::string name;
  ListType type = ListType::kNames;
  std::vector<ListedName> values;  ///< none of kAllSystemCalls and kMatchingFunctions
  std::string pattern;             ///< of kMatchingFunctions
  Position position;

  /// Only the kernel knows the names.
  [[nodiscard]] bool generated() const {
    return type == ListType::kAllSystemCalls || type == ListType::kMatchingFunctions;
  }
};

/// Reads the section. What is wrong is reported and may be missing from the result.
[[nodiscard]] std::vector<NameList> ReadLists(Reader& reader, YamlNode node);

/// What `call: "list:NAME"` begins with, and a value that stands for numbers of system calls.
inline constexpr std::string_view kListPrefix = "list:";

/// The list that `node` names, which begins with kListPrefix; null, reported, if there is none.
[[nodiscard]] const NameList* FindList(Reader& reader, YamlNode node,
                                       const std::vector<NameList>& lists);

/// Whether a value that is compared with an argument of `type` may be `list:NAME`.
[[nodiscard]] bool TakesLists(ArgumentType type);

/// The numbers of the system calls of the list that `value` names, as a filter with `op` on an
/// argument of `type` compares with them; what cannot be one of them is reported and missing.
[[nodiscard]] std::vector<std::string> ReadNumbersOfList(Reader& reader, YamlNode value,
                                                         const std::vector<NameList>& lists,
                                                         ArgumentType type, Operator op);

}  // namespace gatehouse::policy
