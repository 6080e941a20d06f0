// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse::daemon {

/// The id of a cgroup: the inode number of its directory (cgroups(7); 64 bits, kernel 5.5 and
/// later). None if there is no such directory.
[[nodiscard]] std::optional<uint64_t> CgroupIdOf(const std::string& path);

}  // namespace gatehouse::daemon
