// SPDX-License-Identifier: Apache-2.0
#include "kernel/namespaces.h"

#include <sys/stat.h>

namespace gatehouse::kernel {
namespace {

// By gh_namespace.
constexpr std::array<const char*, GH_NAMESPACE_COUNT> kFiles{
    "uts",    "ipc", "mnt", "pid", "pid_for_children", "net", "time", "time_for_children",
    "cgroup", "user"};

}  // namespace

NamespaceNumbers HostNamespaces() { return NamespacesOf("/proc/1"); }

NamespaceNumbers NamespacesOf(const std::string& process) {
  NamespaceNumbers numbers{};
  for (size_t i = 0; i < kFiles.size(); ++i) {
    const std::string file = process + "/ns/" + kFiles.at(i);
    struct stat status{};
    if (stat(file.c_str(), &status) == 0) numbers.at(i) = static_cast<uint32_t>(status.st_ino);
  }
  return numbers;
}

}  // namespace gatehouse::kernel
