// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

/// What the tests of container runtimes stand on: a daemon, a directory, cgroups, programs.
namespace gatehouse::oci::testing {

/// What a program left behind.
struct Answer {
  int status = -1;  ///< exit status; -1: it was killed
  std::string out, err;
};

/// A file's text; "": it cannot be read.
[[nodiscard]] std::string ReadText(const std::string& path);
void WriteText(const std::string& path, const std::string& text);
/// A program that is built beside the tests.
[[nodiscard]] std::string Program(const std::string& name);

/// Everything that a test makes is in a directory and below a cgroup of its own, and is gone in the
/// end.
class Host {
 public:
  Host();
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  /// From the root of a hierarchy.
  [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
  [[nodiscard]] std::string socket() const { return Path("run/gatehouse.sock"); }

  /// Runs a program to its end.
  [[nodiscard]] Answer Run(std::vector<std::string> words) const;
  [[nodiscard]] Answer Gatehouse(const std::vector<std::string>& words) const;
  /// Returns when the daemon answers.
  void StartDaemon();
  void StopDaemon();
  [[nodiscard]] nlohmann::json Status() const;
  [[nodiscard]] nlohmann::json Workloads() const;
  /// Allows the containers of that name the program /bin/allowed and nothing else.
  void AllowOnly(const std::string& container) const;
  /// Adds a policy.
  void Add(const std::string& policy) const;
  /// A root file system with /bin/allowed and /bin/forbidden, which print "x".
  void MakeRoot(const std::string& path) const;
  /// Waits until it is so; fails the test after minutes.
  static void Await(const std::function<bool()>& condition, const std::string& what);

 private:
  std::string directory_;
  std::string cgroup_;
  pid_t daemon_ = 0;
};

}  // namespace gatehouse::oci::testing
