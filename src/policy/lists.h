// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// Whether the names are of functions or of system calls, the hook says.
struct NameList {
  std::string name;
  std::vector<ListedName> values;
  Position position;
};

/// Reads the section. What is wrong is reported and may be missing from the result.
[[nodiscard]] std::vector<NameList> ReadLists(Reader& reader, YamlNode node);

/// What `call: "list:NAME"` begins with.
inline constexpr std::string_view kListPrefix = "list:";

/// The list that `call` names, which begins with kListPrefix; null, reported, if there is none.
[[nodiscard]] const NameList* FindList(Reader& reader, YamlNode call,
                                       const std::vector<NameList>& lists);

}  // namespace gatehouse::policy
