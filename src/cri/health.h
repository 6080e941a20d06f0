// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace gatehouse::cri {

/// How a source of containers is doing, for `gatehouse status`.
struct Health {
  std::string socket;   ///< what it is connected to, or tried last; empty: there is none to try
  std::string runtime;  ///< name of the runtime, as it says
  std::string version;
  std::string follows;  ///< how it learns of changes: "containerd events", "CRI events", "listing"
  bool connected = false;
  bool synced = false;  ///< everything that ran at the (re)connection has been told
  std::chrono::system_clock::time_point since;  ///< of `connected`, true or false
  std::string last_error;                       ///< kept when all is well again; empty: never
  std::chrono::system_clock::time_point last_error_at;
  size_t containers = 0;  ///< told of and not removed, sandboxes among them
  uint64_t refused = 0;   ///< answers about containers that could not be used
};

/// A Health that one thread writes and all may read.
class HealthBoard {
 public:
  [[nodiscard]] Health Get() const {
    const std::lock_guard lock(mutex_);
    return health_;
  }
  template <typename Change>
  void Set(Change change) {
    const std::lock_guard lock(mutex_);
    change(health_);
  }
  void SetConnected(bool connected) {
    Set([&](Health& health) {
      if (std::exchange(health.connected, connected) == connected && Began(health)) return;
      health.since = std::chrono::system_clock::now();
      if (!connected) health.synced = false;
    });
  }
  void SetError(const std::string& message) {
    Set([&](Health& health) {
      health.last_error = message;
      health.last_error_at = std::chrono::system_clock::now();
    });
  }

 private:
  static bool Began(const Health& health) {
    return health.since != std::chrono::system_clock::time_point();
  }

  mutable std::mutex mutex_;
  Health health_;
};

}  // namespace gatehouse::cri
