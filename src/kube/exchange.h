// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "kube/backoff.h"

/// Between what is to be said and how it is sent: the loop moves bytes and knows time, an exchange
/// knows what they mean and has neither socket nor clock, so tests can be both.
namespace gatehouse::kube {

struct Request {
  std::string method = "GET";
  std::string target;  ///< path and query behind the server's URL; begins with `/`
  std::string content_type = {};
  std::string body = {};
  std::chrono::milliseconds idle_max{};   ///< without a byte for longer: given up
  std::chrono::milliseconds total_max{};  ///< altogether
};

/// How an answer ended.
struct Outcome {
  int status = 0;     ///< of HTTP; 0: none came
  std::string error;  ///< of the connection; empty: the answer came to its end
  std::optional<std::chrono::seconds> retry_after = {};
};

/// One request after the other. Called by one thread.
class Exchange {
 public:
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  /// When the next request is to begin; nullopt: one is under way, or there is none to make.
  [[nodiscard]] virtual std::optional<Clock::time_point> due() const = 0;
  /// The next request; then come, in this order: Answered and Receive, unless no answer comes, and
  /// End. Nothing comes if the loop ends before.
  [[nodiscard]] virtual Request Begin(Clock::time_point now) = 0;
  /// The answer has begun.
  virtual void Answered(int status, Clock::time_point now) = 0;
  /// A part of the answer's body, of any size. False: no more is wanted, and End comes next.
  [[nodiscard]] virtual bool Receive(std::string_view bytes, Clock::time_point now) = 0;
  virtual void End(const Outcome& outcome, Clock::time_point now) = 0;
};

/// The body of an answer that is an error, in short: the message of a Kubernetes Status, or
/// nothing.
[[nodiscard]] std::string MessageOfStatus(std::string_view body);
/// What to say of an answer that is no success: its error, or status and message.
[[nodiscard]] std::string Describe(const Outcome& outcome, std::string_view body);

}  // namespace gatehouse::kube
