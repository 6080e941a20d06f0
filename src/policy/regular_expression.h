// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Regular expressions over names in the kernel, in the syntax of RE2.
namespace gatehouse::policy {

/// What is wrong with a pattern; nothing if it can be used. Pure; any thread.
[[nodiscard]] std::optional<std::string> FaultOf(std::string_view pattern);

/// Those of `names` in which a part matches `pattern`, which can be used. Pure; any thread.
[[nodiscard]] std::vector<std::string> Matching(std::string_view pattern,
                                                std::vector<std::string> names);

}  // namespace gatehouse::policy
