// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

/// What kernel tests and benchmarks share: cgroups of their own, and programs run in them.
namespace gatehouse::kernel::testing {

/// What became of one attempt to run a program.
struct Outcome {
  enum class Kind { kAllowed, kDenied, kKilled, kError };
  Kind kind = Kind::kError;
  int detail =
      0;  ///< kAllowed: exit status; kDenied: errno of execve; kKilled: signal; kError: errno

  bool operator==(const Outcome&) const = default;
};
[[nodiscard]] inline Outcome Allowed(int status = 0) { return {Outcome::Kind::kAllowed, status}; }
[[nodiscard]] inline Outcome Denied(int error) { return {Outcome::Kind::kDenied, error}; }
[[nodiscard]] inline Outcome Killed(int signal) { return {Outcome::Kind::kKilled, signal}; }
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

/// One attempt, and the process that made it (it is gone).
struct Attempt {
  Outcome outcome;
  pid_t pid = 0;
  size_t steps_left = 0;  ///< of a chain: programs after the one that was not run; else 0
};

/// A child process in the cgroup from its first instruction on (clone3 with CLONE_INTO_CGROUP,
/// kernel commit ef2c41cf38a7): returns twice, as fork does. In the child of a process with other
/// threads only async-signal-safe functions may be called. Aborts the test program if it cannot be
/// made.
[[nodiscard]] pid_t ForkInto(const std::string& cgroup);

/// Forks into a cgroup and calls `execute` there, which returns only if its execve failed: its
/// errno. Waits for the end.
[[nodiscard]] Attempt TryIn(const std::string& cgroup, const std::function<int()>& execute);
/// Runs a program with arguments (argv[0] included) in a cgroup.
[[nodiscard]] Attempt TryIn(const std::string& cgroup, const std::string& program,
                            std::vector<std::string> arguments = {});

/// The test program `actor` beside the running one: static, tiny; without arguments it exits with
/// 0.
[[nodiscard]] std::string ActorPath();

/// A directory with programs of any names, all of them `actor`; removed in the end.
class ProgramTree {
 public:
  ProgramTree();
  ~ProgramTree();
  ProgramTree(const ProgramTree&) = delete;
  ProgramTree& operator=(const ProgramTree&) = delete;

  /// Absolute, resolved.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Makes the program `name` (a relative path) and the directories above; returns its absolute
  /// path.
  std::string Add(const std::string& name);
  /// A program whose absolute path has exactly `bytes` bytes, in directories of at most NAME_MAX.
  std::string AddOfLength(size_t bytes);

 private:
  std::string path_;
};

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
  [[nodiscard]] Attempt Try(const std::function<int()>& execute) const {
    return TryIn(path_, execute);
  }
  /// Runs a program with arguments (argv[0] included).
  [[nodiscard]] Outcome Run(const std::string& program,
                            std::vector<std::string> arguments = {}) const;
  /// The same, also telling the process.
  [[nodiscard]] Attempt Try(const std::string& program,
                            std::vector<std::string> arguments = {}) const {
    return TryIn(path_, program, std::move(arguments));
  }
  /// Runs the first program, which executes the second, and so on; all but the last are `actor`s.
  [[nodiscard]] Attempt TryChain(const std::vector<std::string>& programs) const;

 private:
  std::string path_;
};

}  // namespace gatehouse::kernel::testing
