// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "kube/backoff.h"
#include "kube/exchange.h"
#include "kube/reflector.h"
#include "kube/status.h"

namespace gatehouse::kube {

struct StatusHealth {
  size_t waiting = 0;
  uint64_t written = 0;
  uint64_t refused = 0;    ///< by the server, for good: the object is gone, or has enough entries
  uint64_t lost = 0;       ///< too many were waiting
  std::string last_error;  ///< empty: never
  Clock::time_point last_error_at;
};

/// Writes patches, one after the other, and each until it is written or refused. Of two for the
/// same target that wait, the later one is written. One that fails does not keep the others back:
/// they come first, and one that there is no right for (403) waits longer.
class StatusWriter : public Exchange {
 public:
  StatusWriter(Timing timing, Random random);

  /// Any thread; the loop is to be woken then.
  void Put(Patch patch);
  /// Any thread.
  [[nodiscard]] StatusHealth health() const;

  [[nodiscard]] std::optional<Clock::time_point> due() const override;
  [[nodiscard]] Request Begin(Clock::time_point now) override;
  void Answered(int status, Clock::time_point now) override;
  [[nodiscard]] bool Receive(std::string_view bytes, Clock::time_point now) override;
  void End(const Outcome& outcome, Clock::time_point now) override;

 private:
  const Timing timing_;
  Random random_;
  Backoff backoff_;
  std::string body_;  // of the answer, its beginning

  mutable std::mutex mutex_;
  std::map<std::string, Patch, std::less<>> waiting_;  // by target
  std::map<std::string, Patch, std::less<>> parked_;   // the same, until parked_until_
  std::optional<Patch> writing_;
  std::string last_target_;
  Clock::time_point not_before_;
  Clock::time_point parked_until_;
  StatusHealth health_;
};

}  // namespace gatehouse::kube
