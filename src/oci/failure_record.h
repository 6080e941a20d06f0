// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

/// What the runtime hook leaves behind when the daemon did not take a container: one line of JSON
/// each, in a file that hook and daemon lock (flock(2)).
namespace gatehouse::oci {

/// The directory of the file, beside the control socket at `socket_path`.
[[nodiscard]] std::string FailureDirectory(const std::string& socket_path);

/// A longer file gets records without details, and at twice that none: it lies in memory.
inline constexpr size_t kFailureBytesMax = 256u << 10;
/// Of each text in a record.
inline constexpr size_t kFailureTextMax = 512;

struct Failure {
  std::string time = {};       ///< UTC, RFC 3339
  std::string container = {};  ///< id
  std::string ns = {}, pod = {};
  std::string reason = {};
  bool allowed = false;  ///< the container was started without its policies
};

/// Thread: any, and any process. Errors: it cannot be written, nobody lets go of the lock, the file
/// is full.
[[nodiscard]] Result<void> AppendFailure(const std::string& directory, const Failure& failure);

struct Failures {
  std::vector<Failure> read;
  uint64_t unreadable = 0;  ///< lines that are no records
};

/// Takes all records out of the file. None if there is no file. Errors, and the file is as it was:
/// it cannot be read, is not a file of this user's own, a hook is just writing (try again).
[[nodiscard]] Result<Failures> TakeFailures(const std::string& directory);

}  // namespace gatehouse::oci
