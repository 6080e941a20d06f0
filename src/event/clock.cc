// SPDX-License-Identifier: Apache-2.0
#include "event/clock.h"

#include <time.h>

namespace gatehouse::event {
namespace {

int64_t NowNs(clockid_t clock) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace

int64_t SystemClock::BootOffsetNs() const { return NowNs(CLOCK_REALTIME) - NowNs(CLOCK_BOOTTIME); }

}  // namespace gatehouse::event
