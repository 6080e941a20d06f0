// SPDX-License-Identifier: Apache-2.0
// Races: what changes while a program is on its way through the gate.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <map>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 128;
constexpr int kFailedStatus = 200;  // + errno of execve

/// What became of many attempts.
struct Tally {
  int good = 0, evil = 0, stopped = 0, unexpected = 0;
  int unexpected_status = 0;  // of wait(2): the last one
};

/// Memory that a test and its children share.
template <typename T>
class Shared {
 public:
  Shared()
      : at_(mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (at_ == MAP_FAILED) abort();
    new (at_) T();
  }
  ~Shared() { munmap(at_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() { return static_cast<T*>(at_); }
  T& operator*() { return *static_cast<T*>(at_); }

 private:
  void* at_;
};

/// Calls `change` again and again as long as it lives, in a process of its own: a thread would
/// share its open files with whatever is forked meanwhile, and a program that somebody still has
/// open for writing cannot be executed (ETXTBSY).
class Meanwhile {
 public:
  explicit Meanwhile(const std::function<void()>& change) : process_(Must(fork(), "fork")) {
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) change();
  }
  ~Meanwhile() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

 private:
  pid_t process_;
};

void Count(int status, bool by_signal, Tally& tally) {
  const bool stopped = by_signal
                           ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                           : WIFEXITED(status) && WEXITSTATUS(status) == kFailedStatus + EPERM;
  if (stopped) {
    ++tally.stopped;
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == kGoodStatus) {
    ++tally.good;
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == kEvilStatus) {
    ++tally.evil;
  } else {
    ++tally.unexpected;
    tally.unexpected_status = status;
  }
}

void Execute(const std::string& program, int attempts, bool by_signal, Tally& tally) {
  for (int i = 0; i < attempts; ++i) {
    const pid_t child = Must(fork(), "fork");
    if (child == 0) _exit(kFailedStatus + Exec(program));
    int status = 0;
    Must(waitpid(child, &status, 0), "waitpid");
    Count(status, by_signal, tally);
  }
}

/// How often each path was seen; "" stands for unreadable.
std::map<std::string, int> Paths(const Attempt& attempt) {
  std::map<std::string, int> paths;
  for (const Seen& seen : attempt.seen) ++paths[seen.path];
  return paths;
}

TEST_P(Way, ExchangedWhileExecuting) {
  // Two files change places: what is judged is one of their names, whole, and nothing else.
  const std::string listed = Path("a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-"),
                    unlisted = Path("b+b+b+b+b+b+b+b+b+b+b+b+b+b+b+");
  InstallGood(listed);
  InstallEvil(unlisted);
  Enforce({listed});
  Shared<Tally> tally;
  Attempt attempt;
  {
    const Meanwhile exchange(
        [&] { renameat2(AT_FDCWD, listed.c_str(), AT_FDCWD, unlisted.c_str(), RENAME_EXCHANGE); });
    attempt = Try([&] {
      Execute(listed, kAttempts, by_signal(), *tally);
      return 0;
    });
  }
  auto paths = Paths(attempt);
  // While a rename holds the name, it may stay unreadable.
  EXPECT_EQ(paths[listed] + paths[unlisted] + paths[""], kAttempts)
      << ::testing::PrintToString(paths);
  EXPECT_EQ(allow_list() ? paths[unlisted] + paths[""] : paths[listed], tally->stopped);
  EXPECT_EQ(attempt.denials.size(), static_cast<size_t>(tally->stopped));
  EXPECT_EQ(tally->good + tally->evil + tally->stopped, kAttempts)
      << "last unexpected status " << tally->unexpected_status;
}

TEST_P(Way, ReplacedWhileExecuting) {
  // A file is replaced by another under the same name: the old one is deleted then, and called so.
  const std::string target = Path("target");
  InstallGood(target);
  Enforce({target});
  Shared<Tally> tally;
  Attempt attempt;
  {
    bool evil = false;
    const Meanwhile replace([&] {
      evil = !evil;
      std::error_code ignored;
      fs::copy_file(evil ? other() : allowed(), Path("next"), ignored);
      fs::rename(Path("next"), target, ignored);
    });
    attempt = Try([&] {
      Execute(target, kAttempts, by_signal(), *tally);
      return 0;
    });
  }
  auto paths = Paths(attempt);
  const int here = paths[target], gone = paths[target + " (deleted)"];
  const int unreadable = paths[""];  // as above
  EXPECT_EQ(here + gone + unreadable, kAttempts) << ::testing::PrintToString(paths);
  EXPECT_EQ(allow_list() ? gone + unreadable : here, tally->stopped);
  EXPECT_EQ(attempt.denials.size(), static_cast<size_t>(tally->stopped));
  EXPECT_EQ(tally->good + tally->evil + tally->stopped, kAttempts)
      << "last unexpected status " << tally->unexpected_status;
}

TEST_P(Way, PreemptedInTheGate) {
  // Many processes of the workload on one CPU, long paths: where the kernel lets one process take
  // the CPU from another inside of the gate, the second one is judged as well.
  constexpr int kProcesses = 16, kEach = kAttempts / kProcesses;
  std::string deep = directory();
  while (deep.size() < 3800) deep += "/" + std::string(3, 'd');
  InstallEvil(deep + "/tool");
  Enforce({allow_list() ? allowed() : deep + "/tool"});
  Shared<Tally[kProcesses]> tallies;
  const Attempt attempt = Try([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    Must(sched_setaffinity(0, sizeof(one), &one), "setaffinity");
    for (auto& tally : *tallies) {
      if (Must(fork(), "fork") != 0) continue;
      Execute(deep + "/tool", kEach, by_signal(), tally);
      _exit(0);
    }
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    return 0;
  });
  int stopped = 0;
  for (const Tally& tally : *tallies) {
    stopped += tally.stopped;
    EXPECT_EQ(tally.evil, 0);
    EXPECT_EQ(tally.unexpected, 0) << "last status " << tally.unexpected_status;
  }
  EXPECT_EQ(stopped, kProcesses * kEach);
  EXPECT_EQ(attempt.denials.size(), static_cast<size_t>(stopped));
}

}  // namespace
}  // namespace gatehouse::bypass
