// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace gatehouse::bench {

/// What became of a number of executions of one program.
struct Executions {
  uint32_t allowed = 0;
  uint32_t denied = 0;             ///< execve returned an error, or the child was killed
  std::vector<uint64_t> spawn_ns;  ///< vfork, execve, exit and wait; of each, in order
};

/// A process in a cgroup that executes programs, on one CPU so that no migration is measured. It
/// must be made before anything is loaded into the kernel, because it would hold that too.
class Runner {
 public:
  /// Enters `cgroup` (its directory); "" stays where we are. Aborts if that fails.
  explicit Runner(const std::string& cgroup);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Executes `program` `count` times, one after the other.
  [[nodiscard]] Result<Executions> Run(const std::string& program, uint32_t count) const;

 private:
  pid_t child_ = -1;
  int socket_ = -1;
};

}  // namespace gatehouse::bench
