// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace gatehouse::daemon {

/// How something that tells the daemon of containers, pods or policies is doing.
struct SourceHealth {
  std::string kind;           ///< "cri", "engine", "kubernetes"
  std::string name;           ///< runtime and version; the cluster's resource
  std::string endpoint = {};  ///< socket of a runtime
  std::string state;          ///< "connected", "away"; of the cluster: see ReflectorStateName
  std::chrono::system_clock::time_point since;
  uint64_t objects = 0;  ///< that are known from it
  uint64_t refused = 0;  ///< that could not be used
  std::string last_error;
  std::chrono::system_clock::time_point last_error_at;
};

}  // namespace gatehouse::daemon
