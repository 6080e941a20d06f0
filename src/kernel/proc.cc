// SPDX-License-Identifier: Apache-2.0
#include "kernel/proc.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace gatehouse::kernel {

/// Fields 4 and 22.
Result<ProcessStat> ReadStat(const std::string& proc, uint32_t pid) {
  const std::string path = proc + "/" + std::to_string(pid) + "/stat";
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return FailErrno(path, "cannot read it", errno);
  std::istringstream fields(line.substr(line.rfind(')') + 1));  // the name may hold anything
  std::string skipped;
  ProcessStat stat;
  fields >> skipped >> stat.parent;
  for (int field = 5; field < 22; ++field) fields >> skipped;
  fields >> stat.start_ticks;
  if (!fields) return Fail(ErrorCode::kSystem, path, "not in the format of proc(5)");
  return stat;
}

}  // namespace gatehouse::kernel
