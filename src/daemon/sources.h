// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/agent.h"
#include "daemon/watch.h"

namespace gatehouse::daemon {

/// The policy directory and the workloads file: watched, and handed to the agent as they change.
/// What is wrong is logged once, and what was in force before stays. One thread.
class Sources {
 public:
  using Clock = std::chrono::steady_clock;

  /// Either path may be "". `agent` must outlive the sources.
  Sources(Agent& agent, std::shared_ptr<spdlog::logger> log, const std::string& policy_dir,
          const std::string& workloads_file);

  /// Begins to watch and applies what there is. Nothing is fatal: the daemon must come up with the
  /// policies that are good.
  void Start();
  /// Reads everything again, changed or not.
  void Reread();
  /// Watches again what could not be watched. Call it every few seconds.
  void Retry();

  /// For poll(2): readable when there is something for Drain.
  [[nodiscard]] std::vector<int> fds() const;
  /// Takes note of changes.
  void Drain(Clock::time_point now);
  /// When Apply is to be called next, if at all: changes are left a moment to settle.
  [[nodiscard]] std::optional<Clock::time_point> due() const { return due_; }
  /// Applies the changes noted.
  void Apply();

 private:
  struct PolicyFile {
    FileStamp stamp;
    std::string error;  ///< what was logged last; empty: in force
  };

  void Watch(DirectoryWatch& watch, std::string& last_error);
  void ApplyWorkloads();
  void ApplyPolicies();
  [[nodiscard]] std::string PathOf(const std::string& name) const;
  void Report(const std::string& path, const ApplyResult& result);
  void ReportOnce(std::string& last, const std::string& error);

  Agent& agent_;
  const std::shared_ptr<spdlog::logger> log_;
  const std::string workloads_file_;
  std::optional<DirectoryWatch> policy_watch_;
  std::optional<DirectoryWatch> workloads_watch_;
  std::string policy_watch_error_;
  std::string workloads_watch_error_;
  std::string listing_error_;

  std::map<std::string, PolicyFile> policy_files_;  // by name
  std::optional<FileStamp> workloads_stamp_;        // none: no file
  std::string workloads_error_;

  std::optional<Clock::time_point> first_change_;
  std::optional<Clock::time_point> due_;
};

}  // namespace gatehouse::daemon
