// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "abi/gatehouse.h"
#include "base/result.h"

/// Files as the kernel knows them, whatever their names.
namespace gatehouse::policy {

/// The file with inode `inode` on the device `major`:`minor`: of one file, a range (GH_FIELD_FILE).
[[nodiscard]] gh_address_range FileIdentity(uint32_t major, uint32_t minor, uint64_t inode);
/// The file that `MAJOR:MINOR:INODE` names, in decimal. The error (kInvalid, without an object)
/// says what is wrong. Pure; any thread.
[[nodiscard]] Result<gh_address_range> ReadFileIdentity(std::string_view value);

}  // namespace gatehouse::policy
