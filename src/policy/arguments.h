// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "policy/model.h"
#include "policy/reader.h"

/// What hooks read: `args`, `data`, `returnArg`.
namespace gatehouse::policy {

/// Reads `args` into `hook`, whose place is known, and reports what that surely does not have. What
/// other places have, the kernel knows. Returns which of the arguments have a type that is reported
/// as wrong.
[[nodiscard]] std::vector<uint32_t> ReadArguments(Reader& reader, YamlNode node, Hook& hook);

/// Reads `data` into `hook.data`, behind the arguments. Returns as ReadArguments.
[[nodiscard]] std::vector<uint32_t> ReadData(Reader& reader, YamlNode node, Hook& hook);

/// Reads `returnArg` into `hook.returned`; nothing if it is wrong, which is reported.
void ReadReturnArgument(Reader& reader, YamlNode node, Hook& hook);

/// Reports selectors that act before the function where a buffer is read when it returns.
void CheckReturnCopies(Reader& reader, const Hook& hook);

/// Reports more texts than the kernel side reads for one operation.
void CheckTexts(Reader& reader, const Hook& hook);

}  // namespace gatehouse::policy
