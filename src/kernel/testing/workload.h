// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

/// What kernel tests and benchmarks share: cgroups of their own, and programs run in them.
namespace gatehouse::kernel::testing {

/// What became of one attempt to run a program.
struct Outcome {
  enum class Kind { kAllowed, kDenied, kKilled, kError };
  Kind kind = Kind::kError;
  int detail = 0;  ///< kAllowed: exit status; kDenied: errno of execve; kKilled: signal; kError: errno

  bool operator==(const Outcome&) const = default;
};
[[nodiscard]] inline Outcome Allowed(int status = 0) { return {Outcome::Kind::kAllowed, status}; }
[[nodiscard]] inline Outcome Denied(int error) { return {Outcome::Kind::kDenied, error}; }
[[nodiscard]] inline Outcome Killed(int signal) { return {Outcome::Kind::kKilled, signal}; }
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

/// A cgroup below the cgroup2 mount that is removed, with all below it, in the end. Aborts the test
/// program if it cannot be made.
class Cgroup {
 public:
  /// Below the mount, in a directory of this process's own.
  explicit Cgroup(const std::string& name);
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Makes a cgroup below this one; returns its path.
  std::string MakeChild(const std::string& name);
  /// Moves a process here.
  void Enter(pid_t pid) const;

  /// Forks into the cgroup and calls `execute` there, which returns only if its execve
  /// failed: its errno. Waits for the end.
  [[nodiscard]] Outcome Run(const std::function<int()>& execute) const;
  /// Runs a program with arguments (argv[0] included).
  [[nodiscard]] Outcome Run(const std::string& program, std::vector<std::string> arguments = {}) const;

 private:
  std::string path_;
};

}  // namespace gatehouse::kernel::testing
