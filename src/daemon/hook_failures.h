// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::daemon {

struct HookFailureCounts {
  uint64_t allowed = 0;     ///< containers that were started without their policies
  uint64_t denied = 0;      ///< containers that were not started
  uint64_t unreadable = 0;  ///< records that are none
};

/// What the runtime hook left behind when nobody, or only a refusal, answered it
/// (oci/failure_record.h).
/// Thread: any.
class HookFailures {
 public:
  explicit HookFailures(std::string directory) : directory_(std::move(directory)) {}

  /// Takes and counts what is new. Returns lines for the log, at most some dozens of them; a
  /// directory that cannot be read is told once.
  [[nodiscard]] std::vector<std::string> Collect();
  [[nodiscard]] HookFailureCounts counts() const;

 private:
  const std::string directory_;
  mutable std::mutex mutex_;
  HookFailureCounts counts_;
  std::string last_error_;
};

}  // namespace gatehouse::daemon
