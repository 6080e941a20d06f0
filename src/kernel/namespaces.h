// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "abi/gatehouse.h"

namespace gatehouse::kernel {

/// Inode numbers of namespaces, by gh_namespace; 0: not known.
using NamespaceNumbers = std::array<uint32_t, GH_NAMESPACE_COUNT>;

/// Those of process 1, as the agent sees it (/proc/1/ns, namespaces(7)): in a container, the agent
/// has to share the host's pid namespace. Not known are those of kinds that the kernel does not
/// have, and all if the agent may not look into process 1 (ptrace(2): CAP_SYS_PTRACE).
[[nodiscard]] NamespaceNumbers HostNamespaces();

/// Those of a process, from its directory in /proc.
[[nodiscard]] NamespaceNumbers NamespacesOf(const std::string& process);

}  // namespace gatehouse::kernel
