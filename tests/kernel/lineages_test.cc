// SPDX-License-Identifier: Apache-2.0
// Filters on the past of a process: the programs that it descends from, and how it differs from
// what its program began with.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "fixture.h"
// Behind the messages, whose constants have the names of its macros.
#include <linux/capability.h>

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LineagesTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  static std::string Policy(const std::string& name, const std::string& hook,
                            const std::string& filters, const std::string& action) {
    return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
           "}\nspec:\n  podSelector: {}\n  kprobes:\n  - " + hook + "\n    selectors:\n    - " +
           filters + "\n      matchActions: [{action: " + action + "}]\n";
  }
  /// On a system call that every process of these tests makes.
  static std::string OnCall(const std::string& name, const std::string& filters,
                            const std::string& action = "Post") {
    return Policy(name, "call: sys_getpgid", filters, action);
  }
  /// On the execution of one program.
  static std::string OnExec(const std::string& name, const std::string& program,
                            const std::string& filters, const std::string& action = "Post") {
    return Policy(
        name,
        "call: security_bprm_creds_for_exec\n    syscall: false\n    args: [{index: 0, "
        "type: linux_binprm}]",
        "matchArgs: [{index: 0, operator: Equal, values: [" + program + "]}]\n      " + filters,
        action);
  }
  static std::string Binaries(const std::string& op, const std::string& path,
                              const std::string& filter = "matchBinaries") {
    return filter + ": [{operator: " + op + ", values: [\"" + path + "\"], followChildren: true}]";
  }
  static std::string Namespaces(const std::string& op, const std::string& kinds) {
    return "matchNamespaceChanges: [{operator: " + op + ", values: [" + kinds + "]}]";
  }
  static std::string Capabilities(const std::string& op, const std::string& names,
                                  const std::string& more = "") {
    return "matchCapabilityChanges: [{operator: " + op + ", values: [" + names + "]" + more + "}]";
  }
  /// Applies a text about who executes. Where the hook is behind the execve it has to be refused;
  /// then false.
  [[nodiscard]] static bool IsAppliedToExecutions(const std::string& text) {
    if (gatehouse().KnowsBinary()) {
      Must(gatehouse().Apply(text));
      return true;
    }
    EXPECT_THAT(Refusal(text), HasSubstr("use backend lsm or fmod_ret, or kernel 6.10"));
    return false;
  }
  /// A process of the workload that makes the call after what `before` does.
  [[nodiscard]] Outcome Call(const std::function<void()>& before = {}) const {
    return cgroup_.Run([&]() -> int {
      if (before) before();
      syscall(SYS_getpgid, 0);
      _exit(0);
    });
  }
  static void DropFromEffective(uint32_t capability) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct sets[2] = {};
    if (syscall(SYS_capget, &header, sets) != 0) _exit(1);
    sets[0].effective &= ~(1U << capability);
    if (syscall(SYS_capset, &header, sets) != 0) _exit(2);
  }

  const std::string self_ = std::filesystem::read_symlink("/proc/self/exe");
  const Cgroup cgroup_{"app"};
};

TEST_F(LineagesTest, WhatRanBeforeThePolicyDescendsFromItsAncestors) {
  const std::string starter =
      std::filesystem::read_symlink("/proc/" + std::to_string(getppid()) + "/exe");
  Must(gatehouse().Apply(OnCall("in", Binaries("In", starter)) +
                         OnCall("not-in", Binaries("NotIn", starter), "Sigkill") +
                         OnCall("other", Binaries("In", "/no/such/program"), "Sigkill") +
                         OnCall("parent", Binaries("In", starter, "matchParentBinaries")) +
                         OnCall("self", Binaries("In", self_))));
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in", "parent", "self"));
}

TEST_F(LineagesTest, ForksDescendFromWhatTheirParentsRan) {
  Must(gatehouse().Apply(OnCall("in", Binaries("In", self_)) +
                         OnCall("not-in", Binaries("NotIn", self_), "Sigkill")));
  const Outcome outcome = cgroup_.Run([]() -> int {
    for (int i = 0; i < 40; ++i) {
      const pid_t child = fork();
      if (child == 0) continue;
      int status = 0;
      waitpid(child, &status, 0);
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 9);
    }
    syscall(SYS_getpgid, 0);
    _exit(0);
  });
  EXPECT_EQ(outcome, Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in"));
}

TEST_F(LineagesTest, AProgramsDescendantsAreKnownWhenItIsGone) {
  const std::string first = programs_.Add("first"), second = programs_.Add("second"),
                    last = programs_.Add("last");
  const std::string text =
      OnExec("p", last, Binaries("In", first), "Sigkill") +
      OnExec("itself", last, Binaries("In", last)) +
      OnExec("running", first, Binaries("In", first), "Sigkill") +
      // Its parent, who made it, never ran that.
      OnExec("of-parent", last, Binaries("In", first, "matchParentBinaries"), "Sigkill");
  if (!IsAppliedToExecutions(text)) return;
  EXPECT_EQ(cgroup_.TryChain({second, last}).outcome, Allowed());
  EXPECT_THAT(TakePolicies(), IsEmpty());
  EXPECT_EQ(cgroup_.TryChain({first, second, last}).outcome, Killed(SIGKILL));
  EXPECT_THAT(TakePolicies(), ElementsAre("p"));
  EXPECT_EQ(cgroup_.TryChain({first, second}).outcome, Allowed());
  EXPECT_THAT(TakePolicies(), IsEmpty()) << "a process descends from a program once it runs it";
}

TEST_F(LineagesTest, TheFirstProgramsAreKept) {
  std::vector<std::string> chain;
  for (int i = 0; i < GH_PROGRAMS_MAX + 2; ++i) {
    chain.push_back(programs_.Add("p" + std::to_string(i)));
  }
  if (!IsAppliedToExecutions(
          OnExec("first", chain.back(), Binaries("In", chain.front())) +
          OnExec("late", chain.back(), Binaries("In", chain[GH_PROGRAMS_MAX])))) {
    return;
  }
  EXPECT_EQ(cgroup_.TryChain(chain).outcome, Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("first"));
}

TEST_F(LineagesTest, NamespacesThatAProcessDidNotBeginWith) {
  Must(gatehouse().Apply(OnCall("uts", Namespaces("In", "Uts")) +
                         OnCall("uts-or-net", Namespaces("In", "Net, Uts")) +
                         OnCall("mnt", Namespaces("In", "Mnt"), "Sigkill") +
                         OnCall("not-mnt", Namespaces("NotIn", "Mnt")) +
                         OnCall("not-uts", Namespaces("NotIn", "Uts"), "Sigkill")));
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), IsEmpty());
  EXPECT_EQ(Call([] {
              if (unshare(CLONE_NEWUTS) != 0) _exit(1);
            }),
            Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("not-mnt", "uts", "uts-or-net"));
}

TEST_F(LineagesTest, AProgramBeginsWithWhatItsProcessHas) {
  const std::string first = programs_.Add("first"), last = programs_.Add("last");
  const std::string text = OnExec("at-first", first, Namespaces("In", "Uts")) +
                           OnExec("at-last", last, Namespaces("In", "Uts"), "Sigkill");
  if (!IsAppliedToExecutions(text)) return;
  const Outcome outcome = cgroup_.Run([&]() -> int {
    if (unshare(CLONE_NEWUTS) != 0) _exit(1);
    execl(first.c_str(), first.c_str(), "exec", "2", last.c_str(), nullptr);
    return errno;
  });
  EXPECT_EQ(outcome, Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("at-first"));
}

TEST_F(LineagesTest, CapabilitiesThatAProcessDidNotBeginWith) {
  Must(gatehouse().Apply(
      OnCall("kill", Capabilities("In", "CAP_KILL, CAP_CHOWN")) +
      OnCall("chown", Capabilities("In", "CAP_CHOWN"), "Sigkill") +
      OnCall("not-chown", Capabilities("NotIn", "CAP_CHOWN")) +
      OnCall("not-kill", Capabilities("NotIn", "CAP_KILL"), "Sigkill") +
      OnCall("permitted", Capabilities("In", "CAP_KILL", ", type: Permitted"), "Sigkill")));
  // Which one the host's is, has to be known.
  if (std::error_code error; std::filesystem::exists("/proc/1/ns/user", error)) {
    Must(gatehouse().Apply(OnCall("of-namespace",
                                  Capabilities("In", "CAP_KILL", ", isNamespaceCapability: true"),
                                  "Sigkill")));
  }
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), IsEmpty());
  EXPECT_EQ(Call([] { DropFromEffective(CAP_KILL); }), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("kill", "not-chown"));
}

}  // namespace
}  // namespace gatehouse::test
