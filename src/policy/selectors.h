// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "policy/model.h"
#include "policy/reader.h"

/// Which workloads: the selectors of a policy or binding.
namespace gatehouse::policy {

[[nodiscard]] LabelSelector ReadPodSelector(Reader& reader, YamlNode node);
[[nodiscard]] LabelSelector ReadNodeSelector(Reader& reader, YamlNode node);
/// Its keys can only be `name` and `repo`.
[[nodiscard]] LabelSelector ReadContainerSelector(Reader& reader, YamlNode node);
/// `{}` and nothing else; true if it is that.
[[nodiscard]] bool ReadHostSelector(Reader& reader, YamlNode node);

}  // namespace gatehouse::policy
