// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "kube/config.h"
#include "kube/exchange.h"

namespace gatehouse::kube {

/// Carries out exchanges with one API server over HTTPS (HTTP/1.1, one connection for each that is
/// under way), all of them in one thread. Certificates and tokens in files are read anew for each
/// request. Proxies of the environment are not used, redirections not followed.
class Loop {
 public:
  /// The exchanges must outlive the loop.
  Loop(Config config, const std::vector<Exchange*>& exchanges);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Until Stop; requests that are under way then are dropped. Calls the exchanges.
  void Run();
  /// An exchange may be due earlier than it was. Any thread.
  void Wake();
  /// Once and for all. Any thread.
  void Stop();

 private:
  class Transfer;

  void Start(Transfer& transfer);
  void GiveUpSilent(Clock::time_point now);
  void Collect();
  [[nodiscard]] int WaitMs() const;

  const Config config_;
  void* multi_;                                       // CURLM
  std::vector<std::unique_ptr<Transfer>> transfers_;  // one for each exchange
  std::atomic<bool> stopped_ = false;
};

}  // namespace gatehouse::kube
