// SPDX-License-Identifier: Apache-2.0
#include "kube/backoff.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <random>
#include <utility>

namespace gatehouse::kube {

using std::chrono::seconds;

constexpr seconds kRetryAfterMax{600};

Random SystemRandom() {
  auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [engine] { return std::uniform_real_distribution<double>(0, 1)(*engine); };
}

Clock::duration Spread(Clock::duration whole, const Random& random) {
  const double part = static_cast<double>(whole.count()) * (0.5 + random() / 2);
  return Clock::duration(static_cast<Clock::rep>(part));
}

Backoff::Backoff(Clock::duration first, Clock::duration max, Random random)
    : first_(first), max_(max), next_(first), random_(std::move(random)) {}

Clock::duration Backoff::Next() {
  const Clock::duration whole = std::min(next_, max_);
  next_ = whole * 2;
  return Spread(whole, random_);
}

std::optional<seconds> ParseRetryAfter(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\r' || value.back() == '\n')) {
    value.remove_suffix(1);
  }
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error == std::errc::result_out_of_range) return kRetryAfterMax;
  if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  return std::min(seconds(count), kRetryAfterMax);
}

}  // namespace gatehouse::kube
