// SPDX-License-Identifier: Apache-2.0
// Tracepoints: by the arguments of their call, and by the fields of their record.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kKill = "{action: Sigkill}";

/// A tracepoint of a policy, in parts as they are written.
struct TracepointText {
  std::string place;  ///< `subsystem: sched, event: sched_process_exec`
  std::string args = {};
  std::string filters = {};
  std::string action = "{action: Post}";
};

std::string Policy(const std::string& name, const TracepointText& text) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  tracepoints:\n  - {" + text.place +
         ", message: seen, tags: [a, b], " +
         (text.args.empty() ? "" : "args: [" + text.args + "], ") + "selectors: [{" + text.filters +
         (text.filters.empty() ? "" : ", ") + "matchActions: [" + text.action + "]}]}\n";
}

std::string Where(uint32_t index, const std::string& op, const std::string& value) {
  return "matchArgs: [{index: " + std::to_string(index) + ", operator: " + op + ", values: [\"" +
         value + "\"]}]";
}

class Tracepoints : public TracefsTest {
 protected:
  void SetUp() override {
    TracefsTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  [[nodiscard]] Attempt MakeDirectory(const Cgroup& cgroup, const std::string& name) const {
    return cgroup.Try([&] {
      return Errno(syscall(SYS_mkdirat, AT_FDCWD, (programs_.path() + "/" + name).c_str(), 0700));
    });
  }
  /// A process that sends itself a signal that it ignores.
  [[nodiscard]] Attempt SignalItself(int signal) const {
    return cgroup_.Try([&] {
      (void)std::signal(signal, SIG_IGN);
      return Errno(kill(getpid(), signal));
    });
  }
  static std::vector<tetragon::ProcessTracepoint> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_tracepoint);
  }
  static uint64_t PoliciesOn(const std::string& hook, bool attached) {
    for (const kernel::HookStatus& status : gatehouse().kernel().status().hooks) {
      if (status.name == hook && status.attached == attached) return status.policies;
    }
    ADD_FAILURE() << "no hook " << hook;
    return 0;
  }

  const Cgroup cgroup_{"app"};
  const Cgroup other_{"other"};
};

// ---- by arguments

TEST_F(Tracepoints, EveryFieldOfARawOnesEvent) {
  const std::string listed = programs_.Add("listed"), other = programs_.Add("other");
  Must(gatehouse().Apply(
      Policy("p", {.place = "subsystem: sched, event: sched_process_exec, raw: true",
                   .args = "{index: 1, type: int}, {index: 2, type: linux_binprm, label: program}",
                   .filters = Where(2, "Equal", listed)})));
  EXPECT_EQ(cgroup_.Run(other), Allowed());
  const Attempt attempt = cgroup_.Try(listed);
  EXPECT_EQ(attempt.outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].subsys(), "sched");
  EXPECT_EQ(told[0].event(), "sched_process_exec");
  EXPECT_EQ(told[0].policy_name(), "p");
  EXPECT_EQ(told[0].message(), "seen");
  EXPECT_THAT(told[0].tags(), ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).int_arg(), attempt.pid);
  EXPECT_EQ(told[0].args(1).linux_binprm_arg().path(), listed);
  EXPECT_EQ(told[0].args(1).label(), "program");
  EXPECT_EQ(gatehouse().Hits("p"), 1U);
}

// The tracepoint is passed with the lock of the process's signals held.
TEST_F(Tracepoints, KillWithARawOne) {
  Must(gatehouse().Apply(
      Policy("p", {.place = "subsystem: signal, event: signal_generate, raw: true",
                   .args = "{index: 0, type: int, label: signal}",
                   .filters = Where(0, "Equal", std::to_string(SIGUSR1)),
                   .action = kKill})));
  EXPECT_EQ(SignalItself(SIGUSR2).outcome, Allowed());
  EXPECT_EQ(SignalItself(SIGUSR1).outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).int_arg(), SIGUSR1);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SIGKILL);
}

TEST_F(Tracepoints, ARawOneThatThisKernelDoesNotHave) {
  EXPECT_THAT(Refusal(Policy("p", {.place = "subsystem: sched, event: no_such_event, raw: true"})),
              HasSubstr("hook/raw tracepoint no_such_event: this kernel has no tracepoint"));
}

TEST_F(Tracepoints, ARawOneIsCheckedAgainstItsArguments) {
  const std::string place = "subsystem: sched, event: sched_process_exec, raw: true";
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .args = "{index: 2, type: file}"})),
              HasSubstr("argument 2 of sched_process_exec is a pointer to linux_binprm"));
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .args = "{index: 3, type: int}"})),
              HasSubstr("sched_process_exec has 3 arguments, no argument 3"));
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .action = "{action: Override, argError: -1}"})),
              HasSubstr("a tracepoint only tells"));
}

// ---- by fields

TEST_F(Tracepoints, EveryFieldOfAnEvent) {
  const std::string listed = programs_.Add("listed"), other = programs_.Add("other");
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.place = "subsystem: sched, event: sched_process_exec",
                       .args = "{index: 4, type: data_loc, label: file}, {index: 5, type: int}",
                       .filters = Where(4, "Equal", listed)}))) {
    return;
  }
  EXPECT_EQ(cgroup_.Run(other), Allowed());
  const Attempt attempt = cgroup_.Try(listed);
  EXPECT_EQ(attempt.outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].subsys(), "sched");
  EXPECT_EQ(told[0].event(), "sched_process_exec");
  EXPECT_EQ(told[0].policy_name(), "p");
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).string_arg(), listed);
  EXPECT_EQ(told[0].args(0).label(), "file");
  EXPECT_EQ(told[0].args(1).int_arg(), attempt.pid);
}

TEST_F(Tracepoints, TheKernelTellsTheTypesOfFields) {
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.place = "subsystem: sched, event: sched_process_exec",
                       .args = "{index: 4, type: auto, label: file}, {index: 5, type: auto}",
                       .filters = "matchArgs: [{index: 4, operator: Postfix, values: [/listed]}, "
                                  "{index: 5, operator: GT, values: [\"0\"]}]"}))) {
    return;
  }
  const std::string listed = programs_.Add("listed"), other = programs_.Add("other");
  EXPECT_EQ(cgroup_.Run(other), Allowed());
  const Attempt attempt = cgroup_.Try(listed);
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).string_arg(), listed);
  EXPECT_EQ(told[0].args(1).int_arg(), attempt.pid);
}

TEST_F(Tracepoints, OfASystemCallAStringOfTheProcess) {
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.place = "subsystem: syscalls, event: sys_enter_mkdirat",
                       .args = "{index: 4, type: int}, {index: 5, type: int}, "
                               "{index: 6, type: string}, {index: 7, type: uint16}",
                       .filters = Where(6, "Postfix", "/no"),
                       .action = kKill}))) {
    return;
  }
  EXPECT_EQ(MakeDirectory(cgroup_, "yes").outcome, Allowed());
  EXPECT_EQ(MakeDirectory(other_, "no").outcome, Allowed());
  EXPECT_EQ(MakeDirectory(cgroup_, "no").outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].subsys(), "syscalls");
  ASSERT_EQ(told[0].args_size(), 4);
  EXPECT_EQ(told[0].args(0).int_arg(), SYS_mkdirat);
  EXPECT_EQ(told[0].args(1).int_arg(), AT_FDCWD);
  EXPECT_EQ(told[0].args(2).string_arg(), programs_.path() + "/no");
  EXPECT_EQ(told[0].args(3).uint_arg(), 0700U);
}

// Fields 4 to 10 of signal_generate: sig, errno, code, comm[16], pid, group, result.
TEST_F(Tracepoints, TextsAndNumbersOfTheRecord) {
  const std::string name = "kernel_test";
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.place = "subsystem: signal, event: signal_generate",
                       .args = "{index: 4, type: int}, {index: 7, type: string}, "
                               "{index: 8, type: int}",
                       .filters = Where(7, "Prefix", name)}))) {
    return;
  }
  const Attempt attempt = SignalItself(SIGUSR1);
  EXPECT_EQ(attempt.outcome, Allowed());
  const auto told = Told();
  ASSERT_FALSE(told.empty());  // and of the signal to its parent at its end
  EXPECT_EQ(told[0].args(0).int_arg(), SIGUSR1);
  EXPECT_EQ(told[0].args(1).string_arg(), name);
  EXPECT_EQ(told[0].args(2).int_arg(), attempt.pid);
}

// An array is its first element; an index that is no declared field's is a place in args.
TEST_F(Tracepoints, AnyCallByItsNumber) {
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.place = "subsystem: raw_syscalls, event: sys_enter",
                       .args = "{index: 4, type: int64}, {index: 5, type: uint64}",
                       .filters = Where(0, "Equal", std::to_string(SYS_getpgid))}))) {
    return;
  }
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_getpgid, 0)); }), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).long_arg(), SYS_getpgid);
  EXPECT_EQ(told[0].args(1).size_arg(), 0U);
}

TEST_F(Tracepoints, ServeAllPoliciesByOneProgram) {
  const std::string place = "subsystem: syscalls, event: sys_enter_mkdirat";
  const std::string args = "{index: 6, type: string}";
  const std::string hook = "tracepoint syscalls/sys_enter_mkdirat";
  if (!IsAppliedOnPerfEvents(
          Policy("a", {.place = place, .args = args, .filters = Where(6, "Postfix", "/a")}) +
          Policy("b", {.place = place, .args = args, .filters = Where(6, "Postfix", "/b")}))) {
    return;
  }
  EXPECT_EQ(PoliciesOn(hook, true), 2U);
  EXPECT_EQ(MakeDirectory(cgroup_, "b").outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].policy_name(), "b");
  Must(gatehouse().Remove("a"));
  Must(gatehouse().Remove("b"));
  EXPECT_EQ(PoliciesOn(hook, false), 0U);
  EXPECT_EQ(MakeDirectory(cgroup_, "c").outcome, Allowed());
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Tracepoints, ThatThisKernelDoesNotHave) {
  if (!IsAppliedOnPerfEvents(Policy("p", {.place = "subsystem: sched, event: sched_process_exec"})))
    return;
  EXPECT_THAT(Refusal(Policy("p", {.place = "subsystem: sched, event: no_such_event"})),
              HasSubstr("hook/tracepoint sched/no_such_event: this kernel has no such tracepoint"));
}

TEST_F(Tracepoints, AreCheckedAgainstTheirFields) {
  const std::string place = "subsystem: sched, event: sched_process_exec";
  if (!IsAppliedOnPerfEvents(Policy("p", {.place = place, .args = "{index: 5, type: int}"})))
    return;
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .args = "{index: 5, type: string}"})),
              HasSubstr("argument 5 of sched/sched_process_exec is a number"));
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .args = "{index: 5, type: int64}"})),
              HasSubstr("has 4 bytes, fewer than the 8"));
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .args = "{index: 15, type: int}"})),
              HasSubstr("no argument 15"));
  EXPECT_THAT(Refusal(Policy("p", {.place = place, .action = "{action: Override, argError: -1}"})),
              HasSubstr("a tracepoint only tells"));
}

}  // namespace
}  // namespace gatehouse::test
