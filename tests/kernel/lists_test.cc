// SPDX-License-Identifier: Apache-2.0
// Lists that the kernel fills in, and lists as values.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Lists : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  static std::string Policy(const std::string& list, const std::string& section) {
    return fmt::format(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n"
        "  podSelector: {{}}\n  lists: [{{name: some, {}}}]\n{}",
        list, section);
  }
  /// What a process with the number -77 in the first argument of three system calls becomes.
  [[nodiscard]] Outcome MakeThreeCalls() const {
    return cgroup_.Run([] {
      constexpr int kNoDescriptor = -77;
      (void)syscall(SYS_dup, kNoDescriptor);
      (void)syscall(SYS_fchdir, kNoDescriptor);
      return Errno(syscall(SYS_fsync, kNoDescriptor));
    });
  }

  const Cgroup cgroup_{"app"};
};

constexpr const char* kWithThatNumber =
    "    args: [{index: 0, type: int}]\n"
    "    selectors: [{matchArgs: [{index: 0, operator: Equal, values: [\"-77\"]}]}]\n";

TEST_F(Lists, AllSystemCallsCanBeAttachedTo) {
  constexpr policy::Site::Kind kSystemCall = policy::Site::Kind::kSystemCall;
  std::vector<policy::Site> sites;
  for (std::string& name : gatehouse().kernel().Names(kSystemCall)) {
    sites.push_back({kSystemCall, std::move(name)});
  }
  const auto results = gatehouse().kernel().CanAttach(sites);
  const auto can = std::ranges::count_if(results, &Result<void>::has_value);
  EXPECT_GT(can, 300);
  const std::vector<policy::Site> missing{{kSystemCall, "no_such_call"}};
  EXPECT_FALSE(gatehouse().kernel().CanAttach(missing).at(0).has_value());
}

TEST_F(Lists, OfAllSystemCalls) {
  if (gatehouse().denies()) return;  // each call has a program of its own: minutes to load
  Must(gatehouse().Apply(
      Policy("type: generated_syscalls",
             std::string("  kprobes:\n") + "  - call: \"list:some\"\n" + kWithThatNumber)));
  EXPECT_EQ(MakeThreeCalls(), Denied(EBADF));
  std::vector<std::string> names;
  for (const auto& told : TakeTold(&tetragon::GetEventsResponse::process_kprobe)) {
    names.push_back(told.function_name());
  }
  EXPECT_THAT(names, ElementsAre("__x64_sys_dup", "__x64_sys_fchdir", "__x64_sys_fsync"));
  EXPECT_EQ(gatehouse().Hits("p"), 3U);
  size_t hooks = 0;
  for (const auto& hook : gatehouse().kernel().status().hooks) hooks += hook.policies;
  EXPECT_GT(hooks, 300U);
}

TEST_F(Lists, OfFunctionsByAPattern) {
  const std::string policy =
      Policy("type: generated_ftrace, pattern: \"^security_inode_(mk|rm)dir$\"",
             "  kprobes: [{call: \"list:some\"}]\n");
  if (!gatehouse().denies()) {
    EXPECT_THAT(
        Refusal(policy),
        HasSubstr("policy/p: list some: to none of its 2 functions a program can be "
                  "attached; of the first, hook/security_inode_mkdir: backend signal serves"));
    return;
  }
  Must(gatehouse().Apply(policy));
  const std::string path = programs_.path() + "/made";
  EXPECT_EQ(cgroup_.Run([&] { return Errno(mkdir(path.c_str(), 0700)); }), Allowed());
  EXPECT_EQ(cgroup_.Run([&] { return Errno(rmdir(path.c_str())); }), Allowed());
  std::vector<std::string> names;
  for (const auto& told : TakeTold(&tetragon::GetEventsResponse::process_kprobe)) {
    names.push_back(told.function_name());
  }
  EXPECT_THAT(names, ElementsAre("security_inode_mkdir", "security_inode_rmdir"));
}

TEST_F(Lists, WithoutANameInThisKernel) {
  EXPECT_THAT(Refusal(Policy("type: generated_ftrace, pattern: ^no_such_function",
                             "  kprobes: [{call: \"list:some\"}]\n")),
              HasSubstr("this kernel has no function whose name matches"));
}

TEST_F(Lists, AsNumbersOfSystemCalls) {
  Must(gatehouse().Apply(
      Policy("type: syscalls, values: [sys_dup, i386/sys_getpgid, sys_fsync]",
             "  tracepoints:\n"
             "  - subsystem: raw_syscalls\n"
             "    event: sys_enter\n"
             "    raw: true\n"
             "    args: [{index: 1, type: syscall64}]\n"
             "    selectors: [{matchArgs: [{index: 1, operator: InMap, values: [\"list:some\"]}]}]"
             "\n")));
  EXPECT_EQ(MakeThreeCalls(), Denied(EBADF));
  // Its number in the other table is that of another call in this one.
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_getpgid, 0)); }), Allowed());
  std::vector<uint32_t> numbers;
  for (const auto& told : TakeTold(&tetragon::GetEventsResponse::process_tracepoint)) {
    numbers.push_back(told.args(0).syscall_id().id());
  }
  EXPECT_THAT(numbers, ElementsAre(SYS_dup, SYS_fsync));
}

}  // namespace
}  // namespace gatehouse::test
