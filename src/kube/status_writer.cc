// SPDX-License-Identifier: Apache-2.0
#include "kube/status_writer.h"

#include <algorithm>
#include <utility>

namespace gatehouse::kube {
namespace {

constexpr size_t kWaitingMax = 20'000;
constexpr size_t kAnswerBytesMax = 4096;

constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kConflict = 409;
constexpr int kTooManyRequests = 429;

bool IsSuccess(int status) { return status >= 200 && status < 300; }

/// Whether the same patch may be taken later.
bool IsForNow(int status) {
  return status < 400 || status >= 500 || status == kUnauthorized || status == kForbidden ||
         status == kConflict || status == kTooManyRequests;
}

}  // namespace

StatusWriter::StatusWriter(Timing timing, Random random)
    : timing_(timing),
      random_(random),
      backoff_(timing.backoff_first, timing.backoff_max, std::move(random)) {}

void StatusWriter::Put(Patch patch) {
  const std::lock_guard lock(mutex_);
  parked_.erase(patch.target);
  if (!waiting_.contains(patch.target) && waiting_.size() + parked_.size() >= kWaitingMax) {
    ++health_.lost;
    return;
  }
  std::string target = patch.target;
  waiting_.insert_or_assign(std::move(target), std::move(patch));
}

StatusHealth StatusWriter::health() const {
  const std::lock_guard lock(mutex_);
  StatusHealth health = health_;
  health.waiting = waiting_.size() + parked_.size() + (writing_ ? 1 : 0);
  return health;
}

std::optional<Clock::time_point> StatusWriter::due() const {
  const std::lock_guard lock(mutex_);
  if (writing_) return std::nullopt;
  if (!waiting_.empty()) return not_before_;
  return parked_.empty() ? std::nullopt : std::optional(parked_until_);
}

Request StatusWriter::Begin(Clock::time_point now) {
  body_.clear();
  const std::lock_guard lock(mutex_);
  if (now >= parked_until_) waiting_.merge(parked_);
  auto next = waiting_.upper_bound(last_target_);
  if (next == waiting_.end()) next = waiting_.begin();
  writing_ = std::move(waiting_.extract(next).mapped());
  last_target_ = writing_->target;
  return {.method = "PATCH",
          .target = writing_->target,
          .content_type = writing_->content_type,
          .body = writing_->body,
          .idle_max = timing_.idle_max,
          .total_max = timing_.total_max};
}

void StatusWriter::Answered(int /*status*/, Clock::time_point /*now*/) {}

bool StatusWriter::Receive(std::string_view bytes, Clock::time_point /*now*/) {
  body_ += bytes.substr(0, kAnswerBytesMax - body_.size());
  return true;  // to the end, so that the connection can be used again
}

void StatusWriter::End(const Outcome& outcome, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  Patch patch = std::move(*std::exchange(writing_, std::nullopt));
  if (outcome.error.empty() && IsSuccess(outcome.status)) {
    ++health_.written;
    backoff_.Reset();
    not_before_ = now;
    return;
  }
  health_.last_error =
      patch.target.substr(0, patch.target.find('?')) + ": " + Describe(outcome, body_);
  health_.last_error_at = now;
  if (!IsForNow(outcome.status)) {
    ++health_.refused;
    return;
  }
  std::string target = patch.target;
  const bool parks = outcome.status == kForbidden;
  Clock::duration delay = parks ? Spread(timing_.absent, random_) : backoff_.Next();
  if (outcome.retry_after) delay = std::max<Clock::duration>(delay, *outcome.retry_after);
  (parks ? parked_until_ : not_before_) = now + delay;
  if (waiting_.contains(target)) return;  // a later one
  (parks ? parked_ : waiting_).insert_or_assign(std::move(target), std::move(patch));
}

}  // namespace gatehouse::kube
