// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

/// How container runtimes name the cgroups of their containers.
namespace gatehouse::workload {

/// The cgroup of a container, below `root`, from the `cgroupsPath` of an OCI runtime's spec: a path
/// below the root of the hierarchy, or with systemd's driver `slice:prefix:name`, which means the
/// scope `prefix-name.scope` (a name ending in `.slice`: that slice) in `slice`, whose dashes are
/// levels; an empty slice is system.slice. Error: neither form, or it names no cgroup below the
/// root.
[[nodiscard]] Result<std::string> CgroupOfContainer(const std::string& root,
                                                    std::string_view cgroups_path);

/// The id of the container whose cgroup has this path or name, as runtimes name them: `ID`, or with
/// systemd's driver `prefix-ID.scope`, ID being 64 hexadecimal digits; points into `cgroup`. Empty:
/// by its name it is no container's.
[[nodiscard]] std::string_view ContainerIdOf(std::string_view cgroup);

}  // namespace gatehouse::workload
