// SPDX-License-Identifier: Apache-2.0
// A container runtime's process that is in the container's cgroup already: until it executes the
// container's program, only that is judged.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "fixture.h"

namespace gatehouse::test {
namespace {

constexpr const char* kNoWrite =
    "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
    "  podSelector: {}\n  kprobes:\n  - call: sys_write\n"
    "    selectors: [{matchActions: [{action: Sigkill}]}]\n";

/// What became of a process that writes two bytes, one by one, and then executes a program that
/// writes, too. A signal on a system call comes when it has been done.
struct Seen {
  ssize_t wrote = 0;  ///< before it executed
  int status = 0;     ///< of waitpid(2)
};

class Entering : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  [[nodiscard]] Seen Run(bool let_in) const {
    std::array<int, 2> go{}, told{};
    EXPECT_EQ(pipe2(go.data(), O_CLOEXEC) + pipe2(told.data(), O_CLOEXEC), 0);
    const pid_t child = kernel::testing::ForkInto(cgroup_.path());
    if (child == 0) {
      char byte = 0;
      if (read(go[0], &byte, 1) != 1) _exit(1);
      for (int i = 0; i < 2; ++i) (void)!write(told[1], "x", 1);
      // The program executes one that is not there, and writes that it could not.
      const std::string program = kernel::testing::ActorPath(), to = std::to_string(STDERR_FILENO);
      execl(program.c_str(), program.c_str(), "exec", to.c_str(), "/none", nullptr);
      _exit(2);
    }
    if (let_in) Must(gatehouse().kernel().LetEnter(child));
    EXPECT_EQ(write(go[1], "x", 1), 1);
    for (const int end : {go[0], go[1], told[1]}) close(end);
    Seen seen;
    waitpid(child, &seen.status, 0);
    std::array<char, 4> bytes{};
    seen.wrote = read(told[0], bytes.data(), bytes.size());
    close(told[0]);
    return seen;
  }

  const Cgroup cgroup_{"app"};
};

TEST_F(Entering, IsNotJudgedUntilItExecutes) {
  Must(gatehouse().Apply(kNoWrite));
  const Seen of_the_container = Run(false);
  EXPECT_EQ(of_the_container.wrote, 1);
  EXPECT_EQ(of_the_container.status, SIGKILL);
  const Seen of_the_runtime = Run(true);
  EXPECT_EQ(of_the_runtime.wrote, 2);
  EXPECT_EQ(of_the_runtime.status, SIGKILL) << "the program is the container's";
  EXPECT_EQ(gatehouse().Hits("p"), 2U);
}

TEST_F(Entering, TheExecutionIsJudged) {
  Must(gatehouse().Apply(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
      "  podSelector: {}\n  lsmhooks:\n  - hook: bprm_check_security\n"
      "    args: [{index: 0, type: linux_binprm}]\n"
      "    selectors: [{matchActions: [{action: Sigkill}]}]\n"));
  const Seen seen = Run(true);
  EXPECT_EQ(seen.wrote, 2);
  EXPECT_EQ(seen.status, SIGKILL);
}

TEST_F(Entering, OnlyThisProcessMayEnter) {
  Must(gatehouse().Apply(kNoWrite));
  const pid_t other = kernel::testing::ForkInto(cgroup_.path());
  if (other == 0) {
    for (;;) pause();
  }
  Must(gatehouse().kernel().LetEnter(other));
  EXPECT_EQ(Run(false).wrote, 1);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  EXPECT_FALSE(gatehouse().kernel().LetEnter(other)) << "it has ended";
}

}  // namespace
}  // namespace gatehouse::test
