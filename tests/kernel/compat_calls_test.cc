// SPDX-License-Identifier: Apache-2.0
// System calls of the 32-bit table.
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "compat.h"
#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Policy(const std::string& name, const std::string& hook) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  lists:\n  - {name: both, type: syscalls, values: "
         "[sys_mkdir, i386/sys_mkdir]}\n  kprobes:\n" +
         hook;
}

class CompatCalls : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
    const Outcome outcome = cgroup_.Run([] { return Errno(CompatCall(kCompatGetpid)); });
    has_table_ = outcome == Allowed();
    // Without CONFIG_IA32_EMULATION it is a fault, and there is nothing else to test.
    EXPECT_TRUE(has_table_ || outcome == Killed(SIGSEGV)) << outcome;
  }
  [[nodiscard]] std::string Path(const std::string& name) const {
    return programs_.path() + "/" + name;
  }
  [[nodiscard]] Attempt MakeDirectory(const std::string& name) const {
    return cgroup_.Try([&] { return Errno(syscall(SYS_mkdir, Path(name).c_str(), 0700)); });
  }
  [[nodiscard]] Attempt MakeDirectoryBy32(const std::string& name) const {
    return cgroup_.Try([&] {
      void* const low = mmap(nullptr, GH_PAGE_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
      if (low == MAP_FAILED) return ENOMEM;
      std::strcpy(static_cast<char*>(low), Path(name).c_str());
      return Errno(CompatCall(kCompatMkdir, reinterpret_cast<long>(low), 0700));
    });
  }
  static std::vector<tetragon::ProcessKprobe> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_kprobe);
  }

  const Cgroup cgroup_{"app"};
  bool has_table_ = false;
};

TEST_F(CompatCalls, TellTheirArguments) {
  if (!has_table_) return;
  Must(gatehouse().Apply(Policy("p",
                                "  - call: __ia32_sys_mkdir\n"
                                "    args: [{index: 0, type: string}, {index: 1, type: uint32}]\n"
                                "    return: true\n"
                                "    returnArg: {index: 0, type: int}\n")));
  EXPECT_EQ(MakeDirectory("native").outcome, Allowed());
  EXPECT_THAT(Told(), IsEmpty());
  const Attempt attempt = MakeDirectoryBy32("made");
  EXPECT_EQ(attempt.outcome, Allowed());
  EXPECT_EQ(access(Path("made").c_str(), F_OK), 0);
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].function_name(), "__ia32_sys_mkdir");
  EXPECT_EQ(told[0].args(0).string_arg(), Path("made"));
  EXPECT_EQ(told[0].args(1).uint_arg(), 0700U);
  EXPECT_EQ(told[0].return_().int_arg(), 0);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
}

TEST_F(CompatCalls, OfAListAreBesideTheOthers) {
  if (!has_table_) return;
  Must(gatehouse().Apply(
      Policy("p",
             "  - call: \"list:both\"\n"
             "    args: [{index: 0, type: string}]\n"
             "    selectors: [{matchArgs: [{index: 0, operator: Postfix, values: [/no]}], "
             "matchActions: [{action: Sigkill}]}]\n")));
  EXPECT_EQ(MakeDirectory("yes").outcome, Allowed());
  EXPECT_EQ(MakeDirectoryBy32("yes32").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("no").outcome, Killed(SIGKILL));
  EXPECT_EQ(MakeDirectoryBy32("no").outcome, Killed(SIGKILL));
  std::vector<std::string> names;
  for (const auto& told : Told()) names.push_back(told.function_name());
  EXPECT_THAT(names, ElementsAre("__x64_sys_mkdir", "__ia32_sys_mkdir"));
}

// One function of the kernel serves both tables, as it takes no arguments.
TEST_F(CompatCalls, WithoutArgumentsAreNoneOfTheOtherTable) {
  if (!has_table_) return;
  const auto native = [&] { return cgroup_.Run([] { return Errno(syscall(SYS_getpid)); }); };
  const auto compat = [&] { return cgroup_.Run([] { return Errno(CompatCall(kCompatGetpid)); }); };
  const std::string kill = "    selectors: [{matchActions: [{action: Sigkill}]}]\n";
  Must(gatehouse().Apply(Policy("p", "  - call: sys_getpid\n" + kill)));
  EXPECT_EQ(native(), Killed(SIGKILL));
  EXPECT_EQ(compat(), Allowed());
  Must(gatehouse().Apply(Policy("p", "  - call: __ia32_sys_getpid\n" + kill)));
  EXPECT_EQ(native(), Allowed());
  EXPECT_EQ(compat(), Killed(SIGKILL));
}

// Number 39 is getpid, and in the other table mkdir.
TEST_F(CompatCalls, HaveNumbersOfTheirOwn) {
  if (!has_table_) return;
  Must(gatehouse().Apply(
      Policy("p", "  - call: sys_getpid\n    selectors: [{matchActions: [{action: Sigkill}]}]\n")));
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_getpid)); }), Killed(SIGKILL));
  EXPECT_EQ(MakeDirectoryBy32("made").outcome, Allowed());
}

TEST_F(CompatCalls, AreRefusedByName) {
  if (!has_table_) return;
  EXPECT_THAT(Refusal(Policy("p", "  - call: __ia32_sys_no_such_call\n")),
              HasSubstr("i386/sys_no_such_call"));
  EXPECT_THAT(Refusal(Policy("p",
                             "  - call: __ia32_sys_writev\n"
                             "    args: [{index: 1, type: char_iovec, sizeArgIndex: 3}]\n")),
              HasSubstr("in the 32-bit table a char_iovec has another form"));
}

}  // namespace
}  // namespace gatehouse::test
