// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>

namespace gatehouse::oci {

/// The moment at which everything has to be over.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds from_now)
      : end_(std::chrono::steady_clock::now() + from_now) {}

  [[nodiscard]] std::chrono::milliseconds left() const {
    return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(
                                                      end_ - std::chrono::steady_clock::now()));
  }

  /// Waits until one of `events` (poll(2)) is there. False: the deadline came first.
  [[nodiscard]] bool Wait(int fd, short events) const {
    for (;;) {
      pollfd polled{.fd = fd, .events = events, .revents = 0};
      const int ready =
          poll(&polled, 1, static_cast<int>(std::min<int64_t>(left().count(), INT_MAX)));
      if (ready > 0) return true;
      if (ready == 0 || errno != EINTR) return false;
    }
  }

 private:
  std::chrono::steady_clock::time_point end_;
};

}  // namespace gatehouse::oci
