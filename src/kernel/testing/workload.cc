// SPDX-License-Identifier: Apache-2.0
#include "kernel/testing/workload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "kernel/cgroup_tree.h"

namespace gatehouse::kernel::testing {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "cannot prepare the test: %s: %s\n", what.c_str(), std::strerror(errno));
  std::abort();
}

/// Removes a directory tree of cgroups, deepest first; a cgroup that is being emptied is tried again.
void Remove(const fs::path& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.is_directory(error)) Remove(entry.path());
  }
  for (int attempt = 0; attempt < 200 && rmdir(path.c_str()) != 0 && errno == EBUSY; ++attempt) {
    usleep(5000);
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kAllowed: return out << "allowed, exit status " << outcome.detail;
    case Outcome::Kind::kDenied: return out << "denied, " << strerrorname_np(outcome.detail);
    case Outcome::Kind::kKilled: return out << "killed, SIG" << sigabbrev_np(outcome.detail);
    case Outcome::Kind::kError: return out << "test error, " << strerrorname_np(outcome.detail);
  }
  return out;
}

Cgroup::Cgroup(const std::string& name) {
  const auto root = FindCgroupRoot();
  if (!root) Die("no cgroup2");
  path_ = *root + "/gatehouse-test-" + std::to_string(getpid()) + "-" + name;
  if (mkdir(path_.c_str(), 0755) != 0) Die(path_);
}

Cgroup::~Cgroup() { Remove(path_); }

std::string Cgroup::MakeChild(const std::string& name) {
  const std::string child = path_ + "/" + name;
  if (mkdir(child.c_str(), 0755) != 0) Die(child);
  return child;
}

void Cgroup::Enter(pid_t pid) const {
  std::ofstream procs(path_ + "/cgroup.procs");
  procs << pid << std::flush;
  if (!procs) Die(path_ + "/cgroup.procs");
}

Outcome Cgroup::Run(const std::function<int()>& execute) const {
  int report[2];  // closed by a successful execve; carries errno otherwise
  if (pipe2(report, O_CLOEXEC) != 0) Die("pipe");
  const pid_t child = fork();
  if (child < 0) Die("fork");
  if (child == 0) {
    Enter(getpid());
    const int error = execute();
    (void)!write(report[1], &error, sizeof(error));
    _exit(127);
  }
  close(report[1]);
  int error = 0;
  const bool failed = read(report[0], &error, sizeof(error)) == sizeof(error);
  close(report[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) return {Outcome::Kind::kError, errno};
  if (WIFSIGNALED(status)) return Killed(WTERMSIG(status));
  if (failed) return Denied(error);
  return Allowed(WEXITSTATUS(status));
}

Outcome Cgroup::Run(const std::string& program, std::vector<std::string> arguments) const {
  if (arguments.empty()) arguments.push_back(program);
  return Run([&] {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    return errno;
  });
}

}  // namespace gatehouse::kernel::testing
