// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "policy/model.h"
#include "policy/reader.h"

/// `resolve`: a path that leads from an argument, or from the current task, to the value. Whether
/// the kernel has what it names, only the kernel knows.
namespace gatehouse::policy {

/// What an entry of `args` or `data` says about it.
struct ResolutionDraft {
  std::optional<YamlNode> resolve;
  std::optional<YamlNode> source;
  std::optional<YamlNode> type;
  std::optional<YamlNode> module;
};

/// The steps of `mm.owner.comm`, `numbers[0].nr`. Errors (kInvalid, without an object): it is none,
/// or has more than GH_PATH_STEPS_MAX steps. Pure; any thread.
[[nodiscard]] Result<std::vector<PathStep>> ParsePath(std::string_view text);

/// What the draft says, without a number; nothing, reported if it should be there: it is not.
/// `of_data`: it is one of `data`, at `position`, and must be of the current task.
[[nodiscard]] std::optional<Resolution> ReadResolution(Reader& reader, const ResolutionDraft& draft,
                                                       Position position, bool of_data);

/// Reports what cannot be reached by a path: where the hook's arguments are a process's, and values
/// of the type.
void CheckResolution(Reader& reader, const Argument& argument, const Hook& hook);

}  // namespace gatehouse::policy
