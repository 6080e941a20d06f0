// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace gatehouse::oci {

/// The text of a regular file (or one of /proc) of at most `bytes_max` bytes. Errors: cannot be
/// read, is something else, is longer.
[[nodiscard]] Result<std::string> ReadFile(const std::string& path, size_t bytes_max);

}  // namespace gatehouse::oci
