// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/agent.h"
#include "daemon/containers.h"
#include "daemon/event_pipeline.h"
#include "daemon/hook_failures.h"
#include "daemon/source_health.h"
#include "export/dispatcher.h"

namespace gatehouse::control {

/// What the API tells of the daemon itself.
struct DaemonInfo {
  std::string node_name;
  std::chrono::system_clock::time_point started;
};

/// What the API works on. All that is referred to must outlive the server.
struct Services {
  daemon::Agent& agent;
  exporting::Dispatcher& dispatcher;
  daemon::Containers& containers;
  std::function<daemon::EventCounts()> event_counts;
  std::function<std::vector<daemon::SourceHealth>()> sources;
  std::function<daemon::HookFailureCounts()> hook_failures;
  /// Told of each change that a client made or was refused: one line for the log. Any thread.
  std::function<void(bool done, const std::string& line)> log;
  DaemonInfo info;
};

/// Tells the log what became of a text.
void LogApplied(const Services& services, const daemon::ApplyResult& result);

/// The API on a unix socket: tetragon.FineGuidanceSensors and gatehouse.v1.Gatehouse.
class Server {
 public:
  /// Listens on `path`, mode 0600 from the beginning, and serves from threads of its own. The path
  /// was claimed (control/socket.h). Error: it cannot listen.
  [[nodiscard]] static Result<std::unique_ptr<Server>> Listen(const std::string& path,
                                                              Services services);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// Stops.
  ~Server();

  /// Takes no more calls, ends streams, waits a moment for calls that run, removes the socket.
  void Stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace gatehouse::control
