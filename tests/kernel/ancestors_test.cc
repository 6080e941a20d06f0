// SPDX-License-Identifier: Apache-2.0
// Filters on where a process comes from: its ancestors' ids, its parent's program.
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Ancestors : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  static std::string Policy(const std::string& name, const std::string& filters,
                            const std::string& action = "Post") {
    return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
           "}\nspec:\n  podSelector: {}\n  kprobes:\n  - call: sys_getpgid\n    selectors:\n    "
           "- " +
           filters + "\n      matchActions: [{action: " + action + "}]\n";
  }
  static std::string Pids(const std::string& op, pid_t pid, const std::string& options) {
    return "matchPIDs: [{operator: " + op + ", values: [" + std::to_string(pid) + "]" + options +
           "}]";
  }
  static std::string Parents(const std::string& op, const std::string& path) {
    return "matchParentBinaries: [{operator: " + op + ", values: [\"" + path + "\"]}]";
  }
  /// A process of the workload, so many generations below this one, that makes the call.
  [[nodiscard]] Outcome Call(int generations = 1) const {
    return cgroup_.Run([generations]() -> int {
      for (int i = 1; i < generations; ++i) {
        const pid_t child = fork();
        if (child == 0) continue;
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) raise(WTERMSIG(status));
        _exit(WEXITSTATUS(status));
      }
      syscall(SYS_getpgid, 0);
      _exit(0);
    });
  }

  const std::string self_ = std::filesystem::read_symlink("/proc/self/exe");
  const Cgroup cgroup_{"app"};
};

constexpr const char* kFollow = ", followForks: true";

TEST_F(Ancestors, AProcessBelongsToThoseItComesFrom) {
  Must(gatehouse().Apply(Policy("in", Pids("In", getpid(), kFollow)) +
                         Policy("in-itself", Pids("In", getpid(), "")) +
                         Policy("not-in", Pids("NotIn", getpid(), kFollow), "Sigkill") +
                         Policy("not-in-itself", Pids("NotIn", getpid(), ""))));
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in", "not-in-itself"));
  EXPECT_EQ(Call(3), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in", "not-in-itself"));
}

TEST_F(Ancestors, AProcessBelongsToItself) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = kernel::testing::ForkInto(cgroup_.path());  // waits until its id is known
  if (child == 0) {
    char byte = 0;
    if (read(ends[0], &byte, 1) == 1) syscall(SYS_getpgid, 0);
    _exit(0);
  }
  Must(gatehouse().Apply(Policy("in", Pids("In", child, kFollow)) +
                         Policy("not-in", Pids("NotIn", child, kFollow))));
  EXPECT_EQ(write(ends[1], "x", 1), 1);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  EXPECT_THAT(TakePolicies(), ElementsAre("in"));
}

TEST_F(Ancestors, TheFirstProcessIsEveryonesAncestor) {
  const pid_t init = 1;
  Must(gatehouse().Apply(Policy("init", Pids("In", init, kFollow))));
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("init"));
}

TEST_F(Ancestors, WhoIsNoAncestorIsNot) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t sibling = fork();  // waits for the end of this test
  if (sibling == 0) {
    char byte = 0;
    close(ends[1]);
    _exit(static_cast<int>(read(ends[0], &byte, 1)));
  }
  Must(gatehouse().Apply(Policy("in", Pids("In", sibling, kFollow), "Sigkill") +
                         Policy("not-in", Pids("NotIn", sibling, kFollow))));
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("not-in"));
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(waitpid(sibling, nullptr, 0), sibling);
}

TEST_F(Ancestors, GenerationsBeyondTheLimitAreNotSeen) {
  Must(gatehouse().Apply(Policy("in", Pids("In", getpid(), kFollow))));
  EXPECT_EQ(Call(GH_ANCESTORS_MAX - 1), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in"));
  EXPECT_EQ(Call(GH_ANCESTORS_MAX), Allowed());
  EXPECT_THAT(TakePolicies(), IsEmpty());
}

TEST_F(Ancestors, InTheirOwnNamespaces) {
  // Here all are in one pid namespace, so the ids are those of getpid().
  const std::string options = ", followForks: true, isNamespacePID: true";
  Must(gatehouse().Apply(Policy("in", Pids("In", getpid(), options)) +
                         Policy("not-in", Pids("NotIn", getpid(), options), "Sigkill")));
  EXPECT_EQ(Call(2), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in"));
}

TEST_F(Ancestors, TheParentsProgram) {
  Must(gatehouse().Apply(Policy("in", Parents("In", self_)) +
                         Policy("not-in", Parents("NotIn", self_), "Sigkill") +
                         Policy("other", Parents("In", "/no/such/program"), "Sigkill") +
                         Policy("postfix", Parents("Postfix", "/kernel_test")) +
                         Policy("prefix", Parents("NotPrefix", "/no/"))));
  EXPECT_EQ(Call(), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("in", "postfix", "prefix"));
}

TEST_F(Ancestors, TheParentsProgramIsNotTheProcesssOwn) {
  const std::string program = programs_.Add("program");
  Must(gatehouse().Apply(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\n"
      "spec:\n  podSelector: {}\n  tracepoints:\n  - subsystem: sched\n"
      "    event: sched_process_exec\n    raw: true\n    args: [{index: 2, type: linux_binprm}]\n"
      "    selectors:\n    - matchArgs: [{index: 2, operator: Equal, values: [" +
      program + "]}]\n      matchBinaries: [{operator: In, values: [" + program + "]}]\n      " +
      Parents("In", self_) + "\n"));
  EXPECT_EQ(cgroup_.Run(program), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("p"));
}

}  // namespace
}  // namespace gatehouse::test
