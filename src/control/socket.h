// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace gatehouse::control {

/// Makes `path` free for a new listener: creates its directory (mode 0755) if there is none, and
/// removes a socket that nobody listens on any more. Errors, and nothing changed: somebody listens
/// there (named by process id), something that is no socket is there, a path too long for a unix
/// socket.
[[nodiscard]] Result<void> ClaimSocket(const std::string& path);

/// While it lives, files and sockets that this process creates are for their owner alone (umask
/// 0177). The umask is the whole process's: use it for a moment, when no other thread creates
/// files.
class OwnerOnly {
 public:
  OwnerOnly();
  ~OwnerOnly();
  OwnerOnly(const OwnerOnly&) = delete;
  OwnerOnly& operator=(const OwnerOnly&) = delete;

 private:
  unsigned previous_;
};

}  // namespace gatehouse::control
