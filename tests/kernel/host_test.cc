// SPDX-License-Identifier: Apache-2.0
// Policies that are about the whole machine, and who is spared: the agent and its ancestors.
// Outside of a virtual machine this program does nothing but refuse.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "fixture.h"

namespace gatehouse::test {
namespace {

constexpr int kSparedStatus = 7;    // of a program that ran
constexpr int kRefusedStatus = 90;  // of one whose execve failed

/// What one process tells others once: the end of a pipe. It is told as well if that process ends.
class Word {
 public:
  Word() {
    if (pipe2(ends_, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  ~Word() {
    Say();
    close(ends_[0]);
  }
  Word(const Word&) = delete;
  Word& operator=(const Word&) = delete;

  void Say() { close(std::exchange(ends_[1], -1)); }
  /// To be called by all processes but the one that says it.
  void LeaveToOthers() { Say(); }
  void Await() {
    LeaveToOthers();
    char none = 0;
    (void)!read(ends_[0], &none, sizeof(none));
  }

 private:
  int ends_[2] = {-1, -1};
};

/// Becomes the program that the policy denies.
[[noreturn]] void Become(const std::string& program) {
  execl(program.c_str(), program.c_str(), "exit", std::to_string(kSparedStatus).c_str(), nullptr);
  _exit(kRefusedStatus);
}

/// Waits for the end of a process, a child or not.
void AwaitEnd(pid_t pid) {
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return;  // it has been waited for
  pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
  while (poll(&polled, 1, -1) < 0) {
  }
  close(fd);
}

/// Waits for every child of this process, those that it adopted among them: their exit statuses by
/// pid, or -1 for a process that was killed.
std::map<pid_t, int> AwaitAll() {
  std::map<pid_t, int> ended;
  int status = 0;
  for (pid_t child = wait(&status); child > 0; child = wait(&status)) {
    ended.emplace(child, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  }
  return ended;
}

struct Denial {
  const char* name;
  std::vector<ActionText> actions;
  bool kills = false;  // with each backend
};

/// The test > the parent > the agent > the observer. Parent and agent execute the denied program
/// themselves; the observer, a fork of the agent, has all that the agent had, but is an ancestor of
/// nobody that was there when the agent started, and so not spared.
class Host : public ::testing::TestWithParam<Denial> {
 protected:
  [[noreturn]] void BeParent() {
    const pid_t self = getpid(), agent = fork();
    if (agent == 0) BeAgent(self);
    agent_may_.LeaveToOthers();
    parent_may_.Await();
    Become(program_);
  }

  [[noreturn]] void BeAgent(pid_t parent) {
    // Never destroyed: in the observer that would wait for a thread that only the agent had.
    std::unique_ptr<Gatehouse> gatehouse;
    try {
      gatehouse = std::make_unique<Gatehouse>(
          DefaultOptions(), bind::Resolver::Options{.allow_host_enforcement = true});
      PolicyText policy = OneRule("host", {Object("In", {program_})}, GetParam().actions);
      policy.everywhere = true;
      Must(gatehouse->Apply(policy));
      const pid_t self = getpid();
      if (fork() != 0) {
        parent_may_.LeaveToOthers();
        agent_may_.Await();
        Become(program_);
      }
      Observe(*gatehouse, parent, self);
      _exit(HasFailure() ? 1 : 0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
  }

  void Observe(Gatehouse& gatehouse, pid_t parent, pid_t agent) {
    const bool kills = GetParam().kills;
    const Outcome refusal = kills ? Killed(SIGKILL) : gatehouse.Denial(EPERM);
    const Cgroup beside("beside");
    const Attempt in_root = kernel::testing::TryIn(gatehouse.workloads().cgroup_root(), program_);
    const Attempt in_cgroup = beside.Try(program_);
    EXPECT_EQ(in_root.outcome, refusal);
    EXPECT_EQ(in_cgroup.outcome, refusal);
    EXPECT_EQ(beside.Run(other_), Allowed()) << "the policy is about one path";
    EXPECT_EQ(gatehouse.Counter("protected"), 0);

    parent_may_.Say();
    AwaitEnd(parent);
    EXPECT_EQ(gatehouse.Counter("protected"), 1);
    agent_may_.Say();
    AwaitEnd(agent);
    EXPECT_EQ(gatehouse.Counter("protected"), 2);
    EXPECT_EQ(beside.Run(program_), refusal) << "nobody else is spared from then on";
    EXPECT_EQ(gatehouse.Counter("protected"), 2);

    std::map<pid_t, int> flags;
    for (const Posted& posted : gatehouse.TakePosted()) {
      EXPECT_EQ(posted.policy, "host");
      EXPECT_EQ(posted.object, program_);
      EXPECT_EQ(posted.workload, 0U);
      flags.emplace(posted.pid, posted.flags);
    }
    EXPECT_EQ(flags.size(), 5U);
    const int carried_out = kills ? 0 : gatehouse.DenialFlags();
    EXPECT_EQ(flags.at(in_root.pid), carried_out);
    EXPECT_EQ(flags.at(in_cgroup.pid), carried_out);
    EXPECT_EQ(flags.at(parent), GH_POLICY_PROTECTED);
    EXPECT_EQ(flags.at(agent), GH_POLICY_PROTECTED);
    EXPECT_EQ(gatehouse.Hits("host"), 5);
  }

  ProgramTree programs_;
  const std::string program_ = programs_.Add("denied"), other_ = programs_.Add("other");
  Word parent_may_, agent_may_;  // execute the program; the observer says so
};

TEST_P(Host, IsReachedAndTheAgentAndItsAncestorsAreSpared) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // who loses its parent becomes our child
  const pid_t parent = fork();
  if (parent == 0) BeParent();
  parent_may_.LeaveToOthers();
  agent_may_.LeaveToOthers();
  std::map<pid_t, int> ended = AwaitAll();
  EXPECT_EQ(ended[parent], kSparedStatus);
  ended.erase(parent);
  std::vector<int> others;
  for (const auto& [pid, status] : ended) others.push_back(status);
  EXPECT_THAT(others, ::testing::UnorderedElementsAre(0, kSparedStatus))
      << "the observer's judgement (0: as it should be), and what became of the agent";
}

INSTANTIATE_TEST_SUITE_P(Denials, Host,
                         ::testing::Values(Denial{"Override", {Override(EPERM)}},
                                           Denial{"Sigkill", {Sigkill()}, true}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace gatehouse::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const char* vm = std::getenv("GATEHOUSE_VM"); vm == nullptr || std::string_view(vm) != "1") {
    std::fprintf(stderr,
                 "host_test puts policies in force for the whole machine: run it in a virtual "
                 "machine, ./run vm -- host_test\n");
    return 1;
  }
  return RUN_ALL_TESTS();
}
