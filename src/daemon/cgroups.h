// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace gatehouse::daemon {

/// The id of a cgroup: the inode number of its directory (cgroups(7); 64 bits, kernel 5.5 and
/// later). None if there is no such directory.
[[nodiscard]] std::optional<uint64_t> CgroupIdOf(const std::string& path);

/// The cgroup of a container, below `root`, from the `cgroupsPath` of an OCI runtime's spec: a path
/// below the root of the hierarchy, or with systemd's driver `slice:prefix:name`, which means the
/// scope `prefix-name.scope` (a name ending in `.slice`: that slice) in `slice`, whose dashes are
/// levels; an empty slice is system.slice. Error: neither form, or it names no cgroup below the
/// root.
[[nodiscard]] Result<std::string> CgroupOfContainer(const std::string& root,
                                                    std::string_view cgroups_path);

}  // namespace gatehouse::daemon
