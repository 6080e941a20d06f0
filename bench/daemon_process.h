// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "measure.h"
#include "scenario.h"

namespace gatehouse::bench {

/// Appends a TracingPolicy, an allow-list, to a text. `selector`: a field of its spec, in which the
/// policy's number goes where the dollar sign is.
void AppendPolicy(std::string& yaml, const Policy& policy, std::string_view selector);

/// gatehoused, the program beside this one, with everything of its own in a directory of its own.
/// Asked to end, and waited for, in the end; its files are removed.
class DaemonProcess {
 public:
  DaemonProcess();
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  /// Texts that it finds when it starts; before Start. Errors: cannot be written.
  [[nodiscard]] Result<void> WritePolicies(const std::string& yaml) const;
  [[nodiscard]] Result<void> WriteWorkloads(const std::string& yaml) const;
  /// Returns at once.
  [[nodiscard]] Result<void> Start(kernel::Backend backend);
  /// Error: it has ended; with the end of its log.
  [[nodiscard]] Result<void> CheckAlive() const;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string socket() const { return directory_ + "/socket"; }

 private:
  std::string directory_;
  pid_t pid_ = -1;
};

}  // namespace gatehouse::bench
