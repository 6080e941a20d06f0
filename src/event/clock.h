// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gatehouse::event {

/// Wall clock minus boot clock: what turns a kernel time into a date.
class Clock {
 public:
  virtual ~Clock() = default;
  /// CLOCK_REALTIME - CLOCK_BOOTTIME in nanoseconds, now.
  [[nodiscard]] virtual int64_t BootOffsetNs() const = 0;
};

/// The clocks of this machine.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] int64_t BootOffsetNs() const override;
};

}  // namespace gatehouse::event
