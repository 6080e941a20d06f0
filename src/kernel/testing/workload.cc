// SPDX-License-Identifier: Apache-2.0
#include "kernel/testing/workload.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
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

/// Removes a directory tree of cgroups, deepest first; a cgroup that is being emptied is tried
/// again.
void Remove(const fs::path& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.is_directory(error)) Remove(entry.path());
  }
  for (int attempt = 0; attempt < 200 && rmdir(path.c_str()) != 0 && errno == EBUSY; ++attempt) {
    usleep(5000);
  }
}

/// What is written instead of running a program.
struct Report {
  int error;
  int words_left;  // of a chain, from the program on that was not run
};

constexpr int kNotRun = 127;
constexpr int kReportFd = 100;
constexpr int kWordsPerStep = 3;

/// Waits for the end of `child`; takes over `report`.
Attempt Await(pid_t child, int report) {
  Report failure{};
  const bool failed = read(report, &failure, sizeof(failure)) == sizeof(failure);
  close(report);
  Attempt attempt{.outcome = {}, .pid = child};
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    attempt.outcome = {Outcome::Kind::kError, errno};
  } else if (WIFSIGNALED(status)) {
    attempt.outcome = Killed(WTERMSIG(status));
  } else if (failed) {
    attempt.outcome = Denied(failure.error);
    attempt.steps_left = static_cast<size_t>(failure.words_left / kWordsPerStep);
  } else {
    attempt.outcome = Allowed(WEXITSTATUS(status));
  }
  return attempt;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kAllowed:
      return out << "allowed, exit status " << outcome.detail;
    case Outcome::Kind::kDenied:
      return out << "denied, " << strerrorname_np(outcome.detail);
    case Outcome::Kind::kKilled:
      return out << "killed, SIG" << sigabbrev_np(outcome.detail);
    case Outcome::Kind::kError:
      return out << "test error, " << strerrorname_np(outcome.detail);
  }
  return out;
}

pid_t ForkInto(const std::string& cgroup) {
  const int fd = open(cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) Die(cgroup);
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(fd);
  const auto child = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
  if (child < 0) Die("clone3 into " + cgroup);
  if (child != 0) close(fd);
  return child;
}

Attempt TryIn(const std::string& cgroup, const std::function<int()>& execute) {
  int report[2];  // closed by a successful execve; carries a Report otherwise
  if (pipe2(report, O_CLOEXEC) != 0) Die("pipe");
  const pid_t child = ForkInto(cgroup);
  if (child == 0) {
    const Report failed{.error = execute(), .words_left = 0};
    (void)!write(report[1], &failed, sizeof(failed));
    _exit(kNotRun);
  }
  close(report[1]);
  return Await(child, report[0]);
}

Attempt TryIn(const std::string& cgroup, const std::string& program,
              std::vector<std::string> arguments) {
  if (arguments.empty()) arguments.push_back(program);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return TryIn(cgroup, [&] {
    execv(program.c_str(), argv.data());
    return errno;
  });
}

std::string ActorPath() {
  return (fs::read_symlink("/proc/self/exe").parent_path() / "actor").string();
}

ProgramTree::ProgramTree() {
  std::string pattern = (fs::canonical(fs::temp_directory_path()) / "gatehouse-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) Die(pattern);
  path_ = pattern;
  fs::permissions(path_, fs::perms(0755));  // for programs of any user
  fs::copy_file(ActorPath(), path_ + "/.actor");
}

ProgramTree::~ProgramTree() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string ProgramTree::Add(const std::string& name) {
  const std::string program = path_ + "/" + name;
  // Not create_directories, which takes no more than 1,000.
  for (size_t slash = path_.size(); slash != std::string::npos;
       slash = program.find('/', slash + 1)) {
    if (mkdir(program.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) Die(program);
  }
  if (link((path_ + "/.actor").c_str(), program.c_str()) != 0 && errno != EEXIST) Die(program);
  return program;
}

std::string ProgramTree::AddOfLength(size_t bytes) {
  constexpr size_t kNameBytes = 200;
  std::string name;
  size_t left = bytes - path_.size() - 1;
  while (left > NAME_MAX) {
    name += std::string(kNameBytes, 'd') + "/";
    left -= kNameBytes + 1;
  }
  return Add(name + std::string(left, 'p'));
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

Outcome Cgroup::Run(const std::function<int()>& execute) const { return Try(execute).outcome; }

Outcome Cgroup::Run(const std::string& program, std::vector<std::string> arguments) const {
  return Try(program, std::move(arguments)).outcome;
}

Attempt Cgroup::TryChain(const std::vector<std::string>& programs) const {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) Die("pipe");
  std::string fd = std::to_string(kReportFd), verb = "exec";
  std::vector<std::string> words;  // PROGRAM exec FD PROGRAM exec FD PROGRAM
  for (size_t i = 0; i < programs.size(); ++i) {
    if (i > 0) words.insert(words.end(), {verb, fd});
    words.push_back(programs[i]);
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = ForkInto(path_);
  if (child == 0) {
    dup2(report[1], kReportFd);  // for the programs of the chain
    execv(argv[0], argv.data());
    const Report failed{.error = errno, .words_left = static_cast<int>(words.size())};
    (void)!write(report[1], &failed, sizeof(failed));
    _exit(kNotRun);
  }
  close(report[1]);
  return Await(child, report[0]);
}

}  // namespace gatehouse::kernel::testing
