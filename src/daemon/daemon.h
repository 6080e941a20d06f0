// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "compile/strings.h"
#include "control/server.h"
#include "daemon/agent.h"
#include "daemon/cluster.h"
#include "daemon/containers.h"
#include "daemon/event_pipeline.h"
#include "daemon/hook_failures.h"
#include "daemon/options.h"
#include "daemon/runtimes.h"
#include "daemon/sources.h"
#include "kernel/kernel.h"

namespace gatehouse::daemon {

/// What the daemon stands on. Replaced by tests.
struct Platform {
  std::function<Result<std::unique_ptr<kernel::Kernel>>(const kernel::Options&,
                                                        compile::StringPool&)>
      load_kernel;
  std::function<Result<std::string>()> find_cgroup_root;
  std::function<std::optional<uint64_t>(const std::string&)> cgroup_id;
};

/// The running kernel, its cgroups.
[[nodiscard]] Platform SystemPlatform();

enum class Request { kNone, kStop, kReread };

/// Where requests to the running daemon come from: main's signals.
struct Requests {
  int fd = -1;                    ///< for poll(2): readable when there is one
  std::function<Request()> take;  ///< the next; does not wait
};

/// The composition root: builds everything in order and takes it down in the opposite order.
class Daemon {
 public:
  /// Steps: claim the socket, load the kernel side, begin to read events, apply workloads and
  /// policies, listen, tell systemd. Errors: the step that failed, with its remedy; everything
  /// before it is undone.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> Start(const Options& options,
                                                             const Platform& platform,
                                                             std::shared_ptr<spdlog::logger> log);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  /// Stops: no more calls, no more changes, last events written, programs detached, socket removed.
  ~Daemon();

  /// Serves until a stop is requested.
  void Run(const Requests& requests);

 private:
  Daemon(const Options& options, std::shared_ptr<spdlog::logger> log);
  [[nodiscard]] Result<void> LoadKernel(const Platform& platform);
  [[nodiscard]] Result<void> StartEvents();
  [[nodiscard]] Result<void> StartContainerSources();
  [[nodiscard]] Result<void> Listen();
  [[nodiscard]] std::vector<SourceHealth> SourcesHealth() const;
  void Reconcile();
  void CollectHookFailures();
  void ReturnMemory();

  const Options options_;
  const std::shared_ptr<spdlog::logger> log_;
  const std::chrono::system_clock::time_point started_;
  std::string last_reconcile_error_;
  size_t unused_after_trim_ = 0;  // bytes of heap

  // In the order in which they are built; destroyed the other way round.
  compile::StringPool strings_;
  std::unique_ptr<kernel::Kernel> kernel_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<Containers> containers_;
  std::unique_ptr<EventPipeline> events_;
  HookFailures hook_failures_;
  std::unique_ptr<Sources> sources_;
  std::unique_ptr<Runtimes> runtimes_;      // null: none is asked
  std::unique_ptr<ClusterSource> cluster_;  // null: there is none
  std::unique_ptr<control::Server> server_;
};

}  // namespace gatehouse::daemon
