// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

namespace gatehouse::kube {

using Clock = std::chrono::steady_clock;

/// Uniform in [0, 1). Tests give their own.
using Random = std::function<double()>;
/// Of this process, seeded from the system.
[[nodiscard]] Random SystemRandom();

/// A random part of `whole` between a half and all, so that a thousand agents do not all ask at
/// once.
[[nodiscard]] Clock::duration Spread(Clock::duration whole, const Random& random);

/// How long to wait before the next attempt: twice as long after each failure, spread. Not
/// thread-safe.
class Backoff {
 public:
  Backoff(Clock::duration first, Clock::duration max, Random random);

  [[nodiscard]] Clock::duration Next();
  /// It works again: the next failure is the first.
  void Reset() { next_ = first_; }

 private:
  Clock::duration first_;
  Clock::duration max_;
  Clock::duration next_;
  Random random_;
};

/// The value of a header Retry-After; nullopt unless it is a number of seconds (servers of
/// Kubernetes send no dates). At most ten minutes, whatever it says.
[[nodiscard]] std::optional<std::chrono::seconds> ParseRetryAfter(std::string_view value);

}  // namespace gatehouse::kube
