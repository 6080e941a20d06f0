// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "policy/model.h"

namespace gatehouse::daemon {

/// What became of what was asked for.
struct NetworkActionCounts {
  uint64_t done = 0;    ///< an answer came, whatever it says
  uint64_t failed = 0;  ///< none came, or not in time
  uint64_t lost = 0;    ///< too many were waiting, or the agent stopped
};

/// Carries out GetUrl and DnsLookup, one after the other, in a thread of its own: a request by HTTP
/// or HTTPS, whose answer is dropped, without following where it redirects to; a look up of the
/// addresses of a name. What they are for is that somebody at the other end notices.
class NetworkActions {
 public:
  NetworkActions();
  NetworkActions(const NetworkActions&) = delete;
  NetworkActions& operator=(const NetworkActions&) = delete;
  /// Does not wait for one that is under way.
  ~NetworkActions();

  /// Never waits. Any thread.
  void Ask(const policy::NetworkAction& action);
  /// Any thread.
  [[nodiscard]] NetworkActionCounts counts() const;

 private:
  struct State;
  static void Run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;  // the thread's as well, which may outlive this
};

}  // namespace gatehouse::daemon
