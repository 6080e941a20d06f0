// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "workload/registry.h"

/// Fields of JSON objects, strictly: a field that is absent or null has the empty value, one of
/// another type is an error that names it. What is pointed to belongs to the object.
namespace gatehouse::kube {

/// The longest name of an object, a container or a node; also of a resourceVersion.
inline constexpr size_t kNameBytesMax = 253;

/// Without control characters, at most `bytes_max` bytes.
[[nodiscard]] Result<std::string> ReadText(const nlohmann::json& object, const char* field,
                                           size_t bytes_max);
[[nodiscard]] Result<int64_t> ReadInteger(const nlohmann::json& object, const char* field);
/// Never null: of a field that is not there, an empty object.
[[nodiscard]] Result<const nlohmann::json*> ReadObject(const nlohmann::json& object,
                                                       const char* field);
/// Never null: an array of at most `entries_max` objects.
[[nodiscard]] Result<const nlohmann::json*> ReadObjects(const nlohmann::json& object,
                                                        const char* field, size_t entries_max);
/// Texts by name: labels. At most 1,024 of at most 1 KiB each.
[[nodiscard]] Result<workload::Labels> ReadLabels(const nlohmann::json& object, const char* field);

}  // namespace gatehouse::kube
