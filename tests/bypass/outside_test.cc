// SPDX-License-Identifier: Apache-2.0
// Someone outside of the workload executes: at the workload's request, or the kernel itself.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

TEST_P(Way, HelperOutside) {
  // As a service manager, cron, or the socket of a container runtime would.
  int request[2], answer[2];
  ASSERT_EQ(pipe2(request, O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(answer, O_CLOEXEC), 0);
  const pid_t helper = fork();
  ASSERT_GE(helper, 0);
  if (helper == 0) {
    close(request[1]);
    char one = 0;
    Must(read(request[0], &one, sizeof(one)) == sizeof(one) ? 0 : -1, "request");
    const pid_t child = Must(fork(), "fork");
    if (child == 0) _exit(Exec(denied()));
    int status = 0;
    Must(waitpid(child, &status, 0), "waitpid");
    Must(write(answer[1], &status, sizeof(status)), "answer");
    _exit(0);
  }
  const Attempt attempt = Try([&] {
    int status = 0;
    Must(write(request[1], "x", 1), "ask");
    Must(read(answer[0], &status, sizeof(status)) == sizeof(status) ? 0 : -1, "answer");
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : kBrokenStatus);
    return 0;
  });
  ExpectRuns(attempt, kEvilStatus, {});
  for (const int fd : {request[0], request[1], answer[0], answer[1]}) close(fd);
  EXPECT_EQ(waitpid(helper, nullptr, 0), helper);
}

/// /proc/sys/kernel/core_pattern, as it was before in the end.
class CorePattern {
 public:
  explicit CorePattern(const std::string& pattern) {
    std::getline(std::ifstream(kPath) >> std::ws, before_);
    std::ofstream(kPath) << pattern;
  }
  ~CorePattern() { std::ofstream(kPath) << before_; }
  CorePattern(const CorePattern&) = delete;
  CorePattern& operator=(const CorePattern&) = delete;

 private:
  static constexpr const char* kPath = "/proc/sys/kernel/core_pattern";
  std::string before_;
};

TEST_P(MachineWay, CorePattern) {
  // The kernel starts the program, in the root cgroup and in the first mount namespace.
  kernel::testing::ProgramTree directory;
  const std::string helper = directory.path() + "/helper";
  InstallEvil(helper);
  if (!allow_list()) Enforce({helper});
  const CorePattern pattern("|" + helper + " unlink-exec /none");
  const Attempt attempt = Try([] {
    kill(getpid(), SIGSEGV);
    return 0;
  });
  EXPECT_EQ(attempt.outcome, Killed(SIGSEGV));
  EXPECT_TRUE(attempt.seen.empty());
  EXPECT_TRUE(attempt.denials.empty());
  // It has run when it has deleted itself.
  for (int tries = 0; tries < 500 && fs::exists(helper); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(fs::exists(helper));
}

}  // namespace
}  // namespace gatehouse::bypass
