// SPDX-License-Identifier: Apache-2.0
// NotifyEnforcer: what is asked for at one place is carried out at another, for the same thread.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>

#include "compat.h"
#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kDup = "[sys_dup]";
constexpr const char* kKill = "argSig: 9";

std::string Policy(const std::string& name, const std::string& calls, const std::string& hooks,
                   const std::string& more = "") {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n" + more + "  lists:\n  - {name: dups, type: syscalls, " +
         "values: [sys_dup, sys_dup2]}\n  enforcers: [{calls: " + calls + "}]\n" + hooks;
}

/// Every call of the list `dups` is notified of, at the tracepoint of its begin.
std::string AtEnter(const std::string& arguments) {
  return "  tracepoints:\n  - subsystem: raw_syscalls\n    event: sys_enter\n    raw: true\n"
         "    args: [{index: 1, type: syscall64}]\n    selectors:\n"
         "    - matchArgs: [{index: 1, operator: InMap, values: [\"list:dups\"]}]\n"
         "      matchActions: [{action: NotifyEnforcer, " +
         arguments + "}]\n";
}

std::string At(const std::string& call, const std::string& action) {
  return "  - call: " + call + "\n    selectors: [{matchActions: [{action: " + action + "}]}]\n";
}
/// getpgid() notifies, getsid() takes the notification away.
std::string Notifying(const std::string& arguments) {
  return "  kprobes:\n" + At("sys_getpgid", "NotifyEnforcer, " + arguments) +
         At("sys_getsid", "CleanupEnforcerNotification");
}

int Dup() { return Errno(syscall(SYS_dup, -1)); }

class Enforcers : public TracefsTest {
 protected:
  void SetUp() override {
    TracefsTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  const Cgroup cgroup_{"app"};
};

TEST_F(Enforcers, ACallIsAnsweredForWhoIsNotified) {
  Must(gatehouse().Apply(Policy("p", "[\"list:dups\", sys_fsync]", AtEnter(kKill))));
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_fsync, -1)); }), Denied(EBADF));
  EXPECT_THAT(gatehouse().TakePosted(), IsEmpty());
  EXPECT_EQ(gatehouse().Hits("p"), 0U);
  const Attempt attempt = cgroup_.Try(Dup);
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const auto told = TakeTold(&tetragon::GetEventsResponse::process_tracepoint);
  ASSERT_EQ(told.size(), 1U) << "the enforcer tells nothing";
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_NOTIFYENFORCER);
  EXPECT_EQ(told[0].policy_name(), "p");
  EXPECT_EQ(told[0].event(), "sys_enter");
  EXPECT_EQ(told[0].args(0).syscall_id().id(), SYS_dup);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  EXPECT_EQ(gatehouse().Hits("p"), 2U) << "of the selector, and of the enforcer";
}

// The order in which programs of one tracepoint are called is that in which they came.
TEST_F(Enforcers, WhatComesLaterNotifiesInTime) {
  const std::string watching =
      "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: watch}\nspec:\n"
      "  podSelector: {}\n  kprobes: [{call: sys_dup}]\n";
  Must(gatehouse().Apply(watching));
  EXPECT_EQ(cgroup_.Run(Dup), Denied(EBADF));
  EXPECT_THAT(TakePolicies(), ElementsAre("watch"));
  Must(gatehouse().Apply(Policy("p", kDup, AtEnter(kKill))));
  EXPECT_EQ(cgroup_.Run(Dup), Killed(SIGKILL));
  EXPECT_THAT(TakePolicies(), ElementsAre("p", "watch"));
}

// As Tetragon's example of enforcers is written.
TEST_F(Enforcers, AreNotifiedByFieldsOfARecord) {
  std::string hooks = AtEnter(kKill);
  hooks.replace(hooks.find("    raw: true\n"), sizeof("    raw: true\n") - 1, "");
  hooks.replace(hooks.find("args: [{index: 1"), sizeof("args: [{index: 1") - 1, "args: [{index: 4");
  hooks.replace(hooks.find("matchArgs: [{index: 1"), sizeof("matchArgs: [{index: 1") - 1,
                "matchArgs: [{index: 0");
  if (!IsAppliedOnPerfEvents(Policy("p", "[\"list:dups\"]", hooks))) return;
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_fsync, -1)); }), Denied(EBADF));
  EXPECT_EQ(cgroup_.Run(Dup), Killed(SIGKILL));
}

// As Tetragon's example has it: calls of both tables.
TEST_F(Enforcers, AnswerCallsOfThe32BitTable) {
  const auto compat_dup = [&] {
    return cgroup_.Run([] { return Errno(CompatCall(kCompatDup, -1)); });
  };
  if (const Outcome outcome = compat_dup(); outcome != Denied(EBADF)) {
    EXPECT_EQ(outcome, Killed(SIGSEGV)) << "this kernel has no such table";
    return;
  }
  std::string policy = Policy("p", "[\"list:dups\"]", AtEnter(kKill));
  const std::string native = "[sys_dup, sys_dup2]";
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(compat_dup(), Denied(EBADF)) << "another call";
  policy.replace(policy.find(native), native.size(), "[sys_fsync, __ia32_sys_dup]");
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(cgroup_.Run(Dup), Denied(EBADF));
  EXPECT_EQ(compat_dup(), Killed(SIGKILL));
  const auto told = TakeTold(&tetragon::GetEventsResponse::process_tracepoint);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).syscall_id().id(), static_cast<uint32_t>(kCompatDup));
  EXPECT_EQ(told[0].args(0).syscall_id().abi(), "i386");
}

TEST_F(Enforcers, CarryOutANotificationOnce) {
  Must(gatehouse().Apply(Policy("p", kDup, Notifying("argSig: 10"))));
  static volatile sig_atomic_t got;
  EXPECT_EQ(cgroup_.Run([]() -> int {
    got = 0;
    (void)signal(SIGUSR1, [](int) { got = got + 1; });
    if (Dup() != EBADF || got != 0) _exit(1);
    (void)syscall(SYS_getpgid, 0);
    if (got != 0) _exit(2);
    (void)Dup();
    if (got != 1) _exit(3);
    (void)Dup();
    _exit(got == 1 ? 0 : 4);
  }),
            Allowed());
}

TEST_F(Enforcers, NotifyNoChild) {
  Must(gatehouse().Apply(Policy("p", kDup, Notifying(kKill))));
  EXPECT_EQ(cgroup_.Run([]() -> int {
    (void)syscall(SYS_getpgid, 0);
    const pid_t child = fork();
    if (child == 0) _exit(Dup() == EBADF ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    _exit(status == 0 ? 0 : 1);
  }),
            Allowed());
}

TEST_F(Enforcers, AreNotNotifiedAfterACleanup) {
  ExpectCounter("notification_unused");
  Must(gatehouse().Apply(Policy("p", kDup, Notifying(kKill))));
  const uint64_t before = gatehouse().Counter("notification_unused");
  const auto attempt = [&] {
    return cgroup_.Run([] {
      (void)syscall(SYS_getpgid, 0);
      (void)syscall(SYS_getsid, 0);
      return Dup();
    });
  };
  EXPECT_EQ(attempt(), Denied(EBADF));
  EXPECT_EQ(gatehouse().Counter("notification_unused"), before + 1);
  std::vector<int> actions;
  for (const auto& told : TakeTold(&tetragon::GetEventsResponse::process_kprobe)) {
    actions.push_back(told.action());
  }
  EXPECT_THAT(actions, ElementsAre(tetragon::KPROBE_ACTION_NOTIFYENFORCER,
                                   tetragon::KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION));
}

TEST_F(Enforcers, TheLastNotificationStands) {
  ExpectCounter("notification_replaced");
  Must(gatehouse().Apply(Policy("p", kDup, Notifying(kKill))));
  const uint64_t before = gatehouse().Counter("notification_replaced");
  EXPECT_EQ(cgroup_.Run([] {
    (void)syscall(SYS_getpgid, 0);
    (void)syscall(SYS_getpgid, 0);
    return Dup();
  }),
            Killed(SIGKILL));
  EXPECT_EQ(gatehouse().Counter("notification_replaced"), before + 1);
}

TEST_F(Enforcers, AreNotNotifiedByAPolicyThatMonitors) {
  Must(gatehouse().Apply(
      Policy("p", kDup, AtEnter(kKill), "  options: [{name: policy-mode, value: monitor}]\n")));
  EXPECT_EQ(cgroup_.Run(Dup), Denied(EBADF));
  const auto told = TakeTold(&tetragon::GetEventsResponse::process_tracepoint);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_NOTIFYENFORCER);
}

// One program serves all system calls with backend signal; with the others it would be one for
// each.
TEST_F(Enforcers, MayBeAtAllSystemCalls) {
  if (gatehouse().denies()) return;
  std::string policy = Policy("p", "[\"list:all\"]", Notifying(kKill));
  const std::string lists = "  lists:\n";
  policy.insert(policy.find(lists) + lists.size(), "  - {name: all, type: generated_syscalls}\n");
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_fsync, -1)); }), Denied(EBADF));
  // In a call that both notifies and enforces, the hook comes before the enforcer.
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_getpgid, 0)); }), Killed(SIGKILL));
}

// The agent, which this process is here, is in the workload for a moment.
TEST_F(Enforcers, DoNothingToTheAgent) {
  ExpectCounter("protected");
  Must(gatehouse().Apply(Policy("p", kDup, Notifying("argSig: 10"))));
  const uint64_t before = gatehouse().Counter("protected");
  static volatile sig_atomic_t got;
  got = 0;
  (void)signal(SIGUSR1, [](int) { got = got + 1; });
  const std::string unified = "0::";
  std::string own;
  for (std::ifstream all("/proc/self/cgroup"); !own.starts_with(unified);) {
    ASSERT_TRUE(std::getline(all, own));
  }
  const std::string back = gatehouse().workloads().cgroup_root() + own.substr(unified.size());
  cgroup_.Enter(getpid());
  (void)syscall(SYS_getpgid, 0);
  (void)Dup();
  std::ofstream(back + "/cgroup.procs") << getpid();
  (void)signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(got, 0);
  EXPECT_EQ(gatehouse().Counter("protected"), before + 1);
  EXPECT_EQ(cgroup_.Run([] {
    (void)syscall(SYS_getpgid, 0);
    return Dup();
  }),
            Killed(SIGUSR1));
}

TEST_F(Enforcers, AreNotifiedByTheirOwnPolicyAlone) {
  Must(gatehouse().Apply(
      Policy("a", "[sys_fsync]", Notifying(kKill)) +
      Policy("b", kDup,
             "  kprobes:\n" + At("sys_setpgid", std::string("NotifyEnforcer, ") + kKill))));
  const auto attempt = [&](int call) {
    return cgroup_.Run([&] {
      (void)syscall(SYS_getpgid, 0);
      return Errno(syscall(call, -1));
    });
  };
  EXPECT_EQ(attempt(SYS_dup), Denied(EBADF));
  EXPECT_EQ(attempt(SYS_fsync), Killed(SIGKILL));
}

// A policy that comes anew begins with nothing.
TEST_F(Enforcers, ForgetWithThePolicy) {
  const std::string policy = Policy("p", kDup, Notifying(kKill));
  Must(gatehouse().Apply(policy));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = kernel::testing::ForkInto(cgroup_.path());
  if (child == 0) {
    char byte = 0;
    for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) {  // or it would hold hooks attached
      if (fd != ends[0]) close(fd);
    }
    (void)syscall(SYS_getpgid, 0);
    _exit(read(ends[0], &byte, 1) == 1 && Dup() == EBADF ? 0 : 1);
  }
  for (int i = 0; i < 500 && gatehouse().Hits("p") == 0; ++i) usleep(10'000);
  ASSERT_EQ(gatehouse().Hits("p"), 1U);
  Must(gatehouse().Remove("p"));
  Must(gatehouse().Apply(policy));
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(Enforcers, OfErrorsAreRefusedWhereACallCannotBeDenied) {
  const std::string policy = Policy("p", kDup, AtEnter("argError: -1, argSig: 10"));
  if (gatehouse().Apply(policy)) {  // CONFIG_FUNCTION_ERROR_INJECTION
    EXPECT_TRUE(gatehouse().denies());
    EXPECT_EQ(cgroup_.Run(Dup), Killed(SIGUSR1));
    Must(gatehouse().Apply(Policy("p", kDup, AtEnter("argError: -1"))));
    EXPECT_EQ(cgroup_.Run(Dup), Denied(EPERM));
    return;
  }
  EXPECT_THAT(Refusal(policy), HasSubstr("argError of NotifyEnforcer is not possible: "));
  if (gatehouse().denies()) return;
  EXPECT_THAT(Refusal(Policy("p", "[security_inode_mkdir]", AtEnter(kKill))),
              HasSubstr("backend signal serves executions"));
}

class DenyingEnforcers : public DenyingTest {
 protected:
  void SetUp() override {
    DenyingTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  [[nodiscard]] Outcome Make(const std::string& name, bool notified) const {
    const std::string path = programs_.path() + "/" + name;
    return cgroup_.Run([&] {
      if (notified) (void)syscall(SYS_getpgid, 0);
      return Errno(mkdir(path.c_str(), 0700));
    });
  }
  static constexpr const char* kMkdir = "[security_inode_mkdir]";
  const Cgroup cgroup_{"app"};
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DenyingEnforcers);
INSTANTIATE_TEST_SUITE_P(With, DenyingEnforcers, ::testing::ValuesIn(DenyingBackends()), BackendOf);

// Debian's kernels let no program answer for a system call, but for a security_* function.
TEST_P(DenyingEnforcers, AnswerForWhoIsNotified) {
  Must(gatehouse().Apply(Policy("p", kMkdir, Notifying("argError: -13"))));
  EXPECT_EQ(Make("a", true), Denied(EACCES));
  EXPECT_EQ(Make("a", false), Allowed());
  EXPECT_EQ(gatehouse().Hits("p"), 2U) << "of the selector, and of the enforcer";
}

TEST_P(DenyingEnforcers, AnswerAndSendASignal) {
  Must(gatehouse().Apply(Policy("p", kMkdir, Notifying("argError: -13, argSig: 9"))));
  EXPECT_EQ(Make("a", true), Killed(SIGKILL));
  EXPECT_EQ(Make("a", false), Allowed()) << "it was not made before";
}

TEST_P(DenyingEnforcers, TheFirstPolicysErrnoIsTheAnswer) {
  Must(gatehouse().Apply(Policy("b", kMkdir, Notifying("argError: -13")) +
                         Policy("a", kMkdir, Notifying("argError: -38"))));
  EXPECT_EQ(Make("a", true), Denied(ENOSYS));
  Must(gatehouse().Remove("a"));
  EXPECT_EQ(Make("a", true), Denied(EACCES));
}

}  // namespace
}  // namespace gatehouse::test
