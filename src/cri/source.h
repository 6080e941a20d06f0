// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cri/consumer.h"
#include "cri/health.h"
#include "cri/session.h"

/// Containers as their runtime knows them: over the Kubernetes Container Runtime Interface
/// (Source), or over the API of Docker, which podman speaks as well (Engine).
namespace gatehouse::cri {

/// Where containerd and CRI-O listen, in the order in which they are tried.
[[nodiscard]] std::vector<std::string> DefaultSockets();

struct SourceOptions {
  std::vector<std::string> sockets = DefaultSockets();  ///< the first that answers is used
  std::string cgroup_root;                              ///< where cgroup2 is mounted
  Pace pace = {};
};

/// Tells a consumer of the containers and sandboxes that are created or run, from a thread of its
/// own. While the runtime is away nothing is removed; when it is back only differences count.
class Source {
 public:
  /// Begins at once. `consumer` must outlive the source.
  Source(SourceOptions options, Consumer& consumer);
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  /// After it the consumer hears nothing more. Not from the consumer's functions.
  ~Source();

  /// A container of this id seems to be here (its cgroup is, see workload::ContainerIdOf): asks the
  /// runtime soon, and again for a few seconds if it does not know it yet. Does not wait; any
  /// thread. Not for a cgroup that is inside of a known container: those are the container's to
  /// make.
  void Ask(std::string id);
  /// Any thread.
  [[nodiscard]] Health health() const { return health_.Get(); }

 private:
  void Run();
  void Attempt();
  void TalkTo(const std::string& socket);

  const SourceOptions options_;
  Roster roster_;  // the thread's
  HealthBoard health_;
  // The thread's, about this attempt: a runtime speaks CRI; it has told what runs.
  bool answered_ = false;
  bool listed_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;       // guarded by mutex_
  Session* session_ = nullptr;  // guarded by mutex_
  std::thread thread_;          // last: it uses all of the above
};

}  // namespace gatehouse::cri
