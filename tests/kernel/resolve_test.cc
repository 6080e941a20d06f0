// SPDX-License-Identifier: Apache-2.0
// Values that paths through the kernel's types lead to: from arguments and from the current task;
// types that the kernel tells.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A policy in which whatever is executed passes a raw tracepoint: its arguments are the task, what
/// its id was, the program.
std::string OnExec(const std::string& name, const std::string& args,
                   const std::string& selector = "matchActions: [{action: Post}]") {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  tracepoints:\n"
         "  - subsystem: sched\n    event: sched_process_exec\n    raw: true\n    args: [" +
         args + "]\n    selectors: [{" + selector + "}]\n";
}

class Resolve : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  static void Apply(const std::string& text) { Must(gatehouse().Apply(text)); }
  static std::vector<tetragon::ProcessTracepoint> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_tracepoint);
  }

  const std::string listed_ = programs_.Add("listed"), other_ = programs_.Add("other");
  const Cgroup cgroup_{"app"};
};

TEST_F(Resolve, NumbersAndTexts) {
  Apply(OnExec("p",
               "{index: 0, type: int, resolve: pid}, "
               "{index: 0, type: string, resolve: comm, label: name}, "
               "{index: 0, type: uint32, resolve: real_parent.tgid}, "
               "{index: 0, type: int, resolve: \"thread_pid.numbers[0].nr\"}, "
               "{index: 2, type: string, resolve: filename}, "
               "{index: 2, type: uint16, resolve: file.f_inode.i_mode}, "
               "{index: 1, type: int}"));
  const Attempt attempt = cgroup_.Try(listed_);
  EXPECT_EQ(attempt.outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 7);
  EXPECT_EQ(told[0].args(0).int_arg(), attempt.pid);
  EXPECT_EQ(told[0].args(1).string_arg(), "listed");
  EXPECT_EQ(told[0].args(1).label(), "name");
  EXPECT_EQ(told[0].args(2).uint_arg(), static_cast<uint32_t>(getpid()));
  EXPECT_EQ(told[0].args(3).int_arg(), attempt.pid);
  EXPECT_EQ(told[0].args(4).string_arg(), listed_);
  EXPECT_EQ(told[0].args(5).uint_arg() & 0170000U, 0100000U);
  EXPECT_EQ(told[0].args(6).int_arg(), attempt.pid);
  EXPECT_THAT(told[0].tags(), Not(Contains(HasSubstr("unreadable"))));
}

TEST_F(Resolve, FilesAndPaths) {
  Apply(OnExec("p",
               "{index: 2, type: file, resolve: file}, {index: 2, type: path, resolve: "
               "file.f_path}, {index: 0, type: file, resolve: mm.exe_file}, {index: 0, type: "
               "dentry, resolve: mm.exe_file.f_path.dentry}"));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 4);
  EXPECT_EQ(told[0].args(0).file_arg().path(), listed_);
  EXPECT_EQ(told[0].args(1).path_arg().path(), listed_);
  EXPECT_EQ(told[0].args(2).file_arg().path(), listed_);
  EXPECT_EQ(told[0].args(3).path_arg().path(), listed_);
}

TEST_F(Resolve, FiltersCompareWithWhatIsThere) {
  const std::string kill = "matchActions: [{action: Sigkill}]";
  Apply(OnExec("p", "{index: 0, type: int}, {index: 0, type: string, resolve: comm}",
               "matchArgs: [{args: [1], operator: Equal, values: [listed]}], " + kill));
  EXPECT_EQ(cgroup_.Run(other_), Allowed());
  EXPECT_EQ(cgroup_.Run(listed_), Killed(SIGKILL));
  Apply(OnExec("p", "{index: 2, type: file, resolve: file}",
               "matchArgs: [{index: 2, operator: Postfix, values: [/other]}], " + kill));
  EXPECT_EQ(cgroup_.Run(other_), Killed(SIGKILL));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  Apply(OnExec("p", "{index: 0, type: uint32, resolve: real_parent.tgid}",
               "matchArgs: [{index: 0, operator: NotEqual, values: [\"" + std::to_string(getpid()) +
                   "\"]}], " + kill));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
}

TEST_F(Resolve, PoliciesShareAProgramWhateverPathsTheyHave) {
  const auto programs = [] {
    size_t count = 0;
    for (const kernel::ProgramStatus& program : gatehouse().kernel().status().programs) {
      count += program.name == "gate_raw" ? 1 : 0;
    }
    return count;
  };
  Apply(OnExec("a", "{index: 0, type: int, resolve: pid}"));
  const size_t before = programs();
  Apply(OnExec("b", "{index: 0, type: string, resolve: comm}"));
  EXPECT_EQ(programs(), before);
  const Attempt attempt = cgroup_.Try(listed_);
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].policy_name(), "a");
  EXPECT_EQ(told[0].args(0).int_arg(), attempt.pid);
  EXPECT_EQ(told[1].policy_name(), "b");
  EXPECT_EQ(told[1].args(0).string_arg(), "listed");
}

TEST_F(Resolve, APointerThatIsNullMakesTheValueUnreadable) {
  ExpectCounter("resolve_fault");
  ExpectCounter("path_fault");
  const std::string args =
      "{index: 2, type: uint32, resolve: executable.f_flags}, "
      "{index: 2, type: path, resolve: executable.f_path}";
  Apply(OnExec("p", args));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).arg_case(), tetragon::KprobeArgument::ARG_NOT_SET);
  EXPECT_EQ(told[0].args(1).path_arg().path(), "");
  EXPECT_THAT(told[0].tags(), Contains("gatehouse.unreadable.fault"));
  // It is in no set, and so out of every one.
  const std::string kill = "matchActions: [{action: Sigkill}, {action: NoPost}]";
  Apply(OnExec("p", args,
               "matchArgs: [{args: [0], operator: InRange, values: [\"0:4294967295\"]}], " + kill));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  Apply(OnExec(
      "p", args,
      "matchArgs: [{args: [0], operator: NotInRange, values: [\"0:4294967295\"]}], " + kill));
  EXPECT_EQ(cgroup_.Run(listed_), Killed(SIGKILL));
}

TEST_F(Resolve, RefusalsNameThePlaceAndTheNearestName) {
  EXPECT_THAT(Refusal(OnExec("p", "{index: 0, type: string, resolve: real_parent.com}")),
              HasSubstr("test:11:46: policy/p: hook/raw tracepoint sched_process_exec: on this "
                        "kernel task_struct has no field \"com\"; did you mean \"comm\"?"));
  EXPECT_THAT(Refusal(OnExec("p", "{index: 0, type: int64, resolve: pid}")),
              HasSubstr("pid of argument 0 has 4 bytes, fewer than the 8 of its type"));
  EXPECT_THAT(Refusal(OnExec("p", "{index: 0, type: file, resolve: mm}")),
              HasSubstr("mm of argument 0 is a pointer to mm_struct"));
  EXPECT_THAT(Refusal(OnExec("p", "{index: 0, type: int, resolve: comm}")),
              HasSubstr("comm of argument 0 is no number; use type string"));
  EXPECT_THAT(Refusal(OnExec("p", "{index: 1, type: int, resolve: comm}")),
              HasSubstr("is no struct, and so has no field \"comm\""));
  EXPECT_THAT(Refusal(OnExec("p", "{index: 3, type: int, resolve: pid}")),
              HasSubstr("sched_process_exec has 3 arguments, no argument 3"));
  EXPECT_THAT(Refusal(OnExec("p", "{index: 0, type: int, resolve: pid, btfType: task_structt}")),
              HasSubstr("this kernel has no type task_structt"));
  EXPECT_THAT(Refusal(OnExec("p",
                             "{index: 0, type: int, resolve: pid, btfType: t, btfTypeModule: "
                             "no_such_module}")),
              HasSubstr("the types of module no_such_module cannot be read"));
}

TEST_F(Resolve, NoMoreThanAHookHasNumbersFor) {
  const auto paths = [](const std::string& of, int n) {
    std::string args;
    for (int i = 0; i < n; ++i) {
      args += (i > 0 ? ", " : "") + std::string("{index: 0, type: uint8, resolve: \"") + of + "[" +
              std::to_string(i) + "]\"}";
    }
    return args;
  };
  Apply(OnExec("a", paths("comm", GH_RESOLVED_MAX)));
  Apply(OnExec("b", paths("comm", GH_RESOLVED_MAX)));  // the same, and so no others
  EXPECT_THAT(Refusal(OnExec("c", paths("group_leader.comm", 1))),
              HasSubstr("all policies together ask for more than 12 different values by resolve"));
  Must(gatehouse().Remove("a"));
  Must(gatehouse().Remove("b"));
  Apply(OnExec("c", paths("group_leader.comm", GH_RESOLVED_MAX)));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).uint_arg(), static_cast<uint32_t>('l'));
  EXPECT_EQ(told[0].args(5).uint_arg(), static_cast<uint32_t>('d'));
}

TEST_F(Resolve, TheKernelTellsTypes) {
  Apply(OnExec("p",
               "{index: 0, type: auto, resolve: comm}, {index: 1, type: auto}, {index: 2, type: "
               "auto}",
               "matchArgs: [{args: [0], operator: Equal, values: [listed]}, "
               "{args: [1], operator: GT, values: [\"0\"]}], matchActions: [{action: Post}]"));
  EXPECT_EQ(cgroup_.Run(other_), Allowed());
  const Attempt attempt = cgroup_.Try(listed_);
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 3);
  EXPECT_EQ(told[0].args(0).string_arg(), "listed");
  EXPECT_EQ(told[0].args(1).int_arg(), attempt.pid);
  EXPECT_EQ(told[0].args(2).linux_binprm_arg().path(), listed_);
  EXPECT_THAT(Refusal(OnExec("q", "{index: 1, type: auto}",
                             "matchArgs: [{index: 1, operator: Prefix, values: [\"1\"]}]")),
              HasSubstr("Prefix does not apply to int32"));
  EXPECT_THAT(Refusal(OnExec("q", "{index: 1, type: auto}",
                             "matchArgs: [{index: 1, operator: Equal, values: [one]}]")),
              HasSubstr("\"one\" is not a number"));
  EXPECT_THAT(Refusal(OnExec("q", "{index: 0, type: auto}")),
              HasSubstr("it is a pointer to task_struct"));
}

// ---- data

std::string OnMkdir(const std::string& data, const std::string& selector) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
         "  podSelector: {}\n  kprobes:\n  - call: sys_mkdirat\n    args: [{index: 1, type: "
         "string}]\n    data: [" +
         data + "]\n    selectors: [{" + selector + "}]\n";
}

TEST_F(Resolve, DataOfTheCurrentTask) {
  const auto make_as = [&](const char* name) {
    return cgroup_.Try([&] {
      prctl(PR_SET_NAME, name);
      return Errno(syscall(SYS_mkdirat, AT_FDCWD, (programs_.path() + "/" + name).c_str(), 0700));
    });
  };
  Apply(
      OnMkdir("{index: 0, type: string, source: current_task, resolve: comm}, "
              "{index: 0, type: int, source: current_task, resolve: cred.uid.val, label: uid}",
              "matchData: [{index: 0, operator: Equal, values: [bad]}, {index: 1, operator: "
              "Equal, values: [\"0\"]}], matchActions: [{action: Sigkill}]"));
  EXPECT_EQ(make_as("good").outcome, Allowed());
  const Attempt attempt = make_as("bad");
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const auto told = TakeTold(&tetragon::GetEventsResponse::process_kprobe);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 1);
  EXPECT_EQ(told[0].args(0).string_arg(), programs_.path() + "/bad");
  ASSERT_EQ(told[0].data_size(), 2);
  EXPECT_EQ(told[0].data(0).string_arg(), "bad");
  EXPECT_EQ(told[0].data(1).int_arg(), 0);
  EXPECT_EQ(told[0].data(1).arg_case(), tetragon::KprobeArgument::kIntArg);
  EXPECT_EQ(told[0].data(1).label(), "uid");
}

}  // namespace
}  // namespace gatehouse::test
