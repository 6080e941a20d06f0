// SPDX-License-Identifier: Apache-2.0
#include "daemon/cgroups.h"

#include <sys/stat.h>

namespace gatehouse::daemon {

std::optional<uint64_t> CgroupIdOf(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return std::nullopt;
  return status.st_ino;
}

}  // namespace gatehouse::daemon
