// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <variant>

#include "policy/model.h"
#include "policy/reader.h"

/// The four kinds of documents.
namespace gatehouse::policy {

using Object = decltype(Document::object);

/// Reads a document. What is wrong is reported; nullopt if that leaves nothing to go on with, or if
/// the document is of another API.
[[nodiscard]] std::optional<Object> ReadObject(Reader& reader, YamlNode root);

}  // namespace gatehouse::policy
