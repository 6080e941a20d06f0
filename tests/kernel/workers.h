// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gatehouse::test {

/// How often which outcome; written by a worker, read by all.
struct Tally {
  static constexpr size_t kErrnos = 256, kSignals = 65;

  std::atomic<uint64_t> allowed, other;
  std::array<std::atomic<uint64_t>, kErrnos> denied;  ///< by errno
  std::array<std::atomic<uint64_t>, kSignals> killed;

  [[nodiscard]] uint64_t Refused() const;  ///< denied or killed
  [[nodiscard]] uint64_t Runs() const { return allowed + other + Refused(); }
};

/// Some processes of one cgroup that run the same programs over and over.
struct WorkerPlan {
  std::string cgroup;
  std::vector<std::string> programs;
  size_t processes = 1;
};

/// Processes that run programs while the test does something else. The test must have no other
/// threads when it makes them.
class Workers {
 public:
  /// Begin at once. `cpu`: all on that one. `rounds`: how often each process runs all its programs;
  /// 0: until Stop.
  Workers(std::vector<WorkerPlan> plans, std::optional<int> cpu, uint64_t rounds);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Ends them after the round they are in, and waits.
  void Stop();
  /// Waits for the end of all rounds.
  void Wait();

  [[nodiscard]] uint64_t Runs() const;
  /// Of the plan's program, by all its processes.
  [[nodiscard]] const Tally& tally(size_t plan, size_t program) const;

 private:
  void Work(const WorkerPlan& plan, size_t first_tally, uint64_t rounds) const;

  std::vector<WorkerPlan> plans_;
  std::vector<size_t> first_tally_;        // by plan
  std::span<Tally> tallies_;               // in memory shared with the workers
  std::atomic<bool>* stopping_ = nullptr;  // behind them
  std::vector<pid_t> children_;
};

}  // namespace gatehouse::test
