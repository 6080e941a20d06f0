// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "cri/consumer.h"
#include "cri/health.h"
#include "cri/http.h"
#include "cri/roster.h"

namespace gatehouse::cri {

struct EngineOptions {
  std::string socket;       ///< as /var/run/docker.sock and /run/podman/podman.sock
  std::string cgroup_root;  ///< where cgroup2 is mounted
  std::string proc = "/proc";
  std::chrono::milliseconds call{5000};      ///< longest that the engine may take for an answer
  std::chrono::milliseconds reconnect{100};  ///< first of the waits for the engine; doubled
  std::chrono::milliseconds reconnect_max{5000};
};

/// Tells a consumer of the containers that run in Docker or podman, outside of Kubernetes, from a
/// thread of its own: over Docker's API, which podman's service speaks as well. Their labels stand
/// for those of a pod; those of their image are among them, as the engine does not tell them apart.
/// While the engine is away nothing is removed.
class Engine {
 public:
  /// Begins at once. `consumer` must outlive the engine.
  Engine(EngineOptions options, Consumer& consumer);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  /// After it the consumer hears nothing more. Not from the consumer's functions.
  ~Engine();

  /// As Source::Ask.
  void Ask(std::string id);
  /// Any thread.
  [[nodiscard]] Health health() const { return health_.Get(); }

 private:
  using Clock = std::chrono::steady_clock;

  void Run();
  /// Until the connection is lost; why.
  [[nodiscard]] Error TalkTo();
  [[nodiscard]] Result<void> Follow(HttpClient& client, HttpLines& events);
  [[nodiscard]] Result<void> List(HttpClient& client);
  /// Asks about a container and tells what follows. Whether it runs, or what is told of it is
  /// wrong, which is noted. Error: the engine does not answer.
  [[nodiscard]] Result<bool> Inspect(HttpClient& client, const std::string& id);
  /// False: the engine is to stop.
  [[nodiscard]] bool TakeAsked();
  void Refuse(const Error& error);

  const EngineOptions options_;
  // The thread's:
  Roster roster_;
  std::map<std::string, int>
      questions_;        // containers to ask about -> how often again, if there is none
  bool listed_ = false;  // in this attempt

  HealthBoard health_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;          // guarded by mutex_
  std::deque<std::string> asked_;  // guarded by mutex_
  HttpLines* events_ = nullptr;    // guarded by mutex_
  std::thread thread_;             // last: it uses all of the above
};

}  // namespace gatehouse::cri
