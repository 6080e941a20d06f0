// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace gatehouse::oci {

/// What the command line of gatehouse-oci-hook says.
struct Options {
  std::string control_socket = "/run/gatehouse/gatehouse.sock";
  std::chrono::milliseconds timeout{5000};  ///< for all of it
  bool allow_on_failure = false;
  std::map<std::string, bool, std::less<>> allow_by_namespace;
  std::string log;  ///< "": standard error alone
};

/// Reads the state of a container from `input_fd` to its end and has the daemon take the container.
/// Returns the exit status for the runtime: 0, the container's policies are in the kernel, or a
/// failure is allowed; 1, the container must not start. A failure is told on standard error and in
/// the log, and left for the daemon (failure_record.h).
[[nodiscard]] int RunHook(const Options& options, int input_fd);

}  // namespace gatehouse::oci
