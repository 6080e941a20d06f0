// SPDX-License-Identifier: Apache-2.0
// Stacks that events tell.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "fixture.h"

namespace {

/// mkdirat(2) without a library between: who called is where the kernel looks for it.
long CallKernel(const char* path) {
  long result = SYS_mkdirat;
  register long mode asm("rdx") = 0700;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(AT_FDCWD), "S"(path), "r"(mode)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace

/// Functions that stacks are to name. They keep a frame pointer, as tests are not optimised.
extern "C" __attribute__((noinline, used)) long GatehouseInnermost(const char* path) {
  return CallKernel(path) + 1;
}
extern "C" __attribute__((noinline, used)) long GatehouseCaller(const char* path) {
  return GatehouseInnermost(path) + 1;
}
extern "C" __attribute__((noinline, used)) long GatehouseOtherCaller(const char* path) {
  return GatehouseInnermost(path) + 2;
}

namespace gatehouse::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A policy with one hook in kprobes, as it is written.
std::string Policy(const std::string& name, const std::string& hook, const std::string& action,
                   const std::string& filters = {}) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  kprobes: [{" + hook + ", selectors: [{" +
         (filters.empty() ? "" : filters + ", ") + "matchActions: [" + action + "]}]}]\n";
}

constexpr const char* kCall = "call: sys_mkdirat, args: [{index: 1, type: string}]";
constexpr const char* kExec =
    "call: security_bprm_creds_for_exec, syscall: false, args: [{index: 0, type: linux_binprm}]";
constexpr const char* kBoth = "{action: Post, kernelStackTrace: true, userStackTrace: true}";
constexpr const char* kKernel = "{action: Post, kernelStackTrace: true}";
constexpr const char* kUser = "{action: Post, userStackTrace: true}";

template <typename Entries>
std::vector<std::string> Symbols(const Entries& entries) {
  std::vector<std::string> symbols;
  for (const tetragon::StackTraceEntry& entry : entries) symbols.push_back(entry.symbol());
  return symbols;
}

/// A process of a cgroup that makes a call and then stays, so that its names can be looked up.
class Caller {
 public:
  Caller(const Cgroup& cgroup, long (*call)(const char*)) {
    int done[2], stay[2];
    if (pipe(done) != 0 || pipe(stay) != 0) throw std::runtime_error("no pipe");
    pid_ = kernel::testing::ForkInto(cgroup.path());
    char path[] = "/proc/none";
    if (pid_ == 0) {
      close(stay[1]);
      (void)call(path);
      (void)!write(done[1], path, 1);
      (void)!read(stay[0], path, 1);
      _exit(0);
    }
    close(done[1]);
    close(stay[0]);
    (void)!read(done[0], path, 1);
    close(done[0]);
    stay_ = stay[1];
  }
  ~Caller() {
    close(stay_);
    waitpid(pid_, nullptr, 0);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  [[nodiscard]] uint32_t pid() const { return static_cast<uint32_t>(pid_); }

 private:
  pid_t pid_ = 0;
  int stay_ = -1;
};

class Stacks : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  static std::vector<tetragon::ProcessKprobe> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_kprobe);
  }

  const std::string self_ = std::filesystem::read_symlink("/proc/self/exe");
  const Cgroup cgroup_{"app"};
  const Cgroup other_{"other"};
};

TEST_F(Stacks, OfACallThroughKernelAndProgram) {
  Must(gatehouse().Apply(Policy("p", kCall, kBoth)));
  const Caller elsewhere(other_, &GatehouseCaller);
  const Caller caller(cgroup_, &GatehouseCaller);
  const auto told = Told();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].process().pid().value(), caller.pid());
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_THAT(told[0].tags(), IsEmpty());

  const auto& kernel = told[0].kernel_stack_trace();
  const auto kernel_symbols = Symbols(kernel);
  ASSERT_GE(kernel.size(), 2);
  EXPECT_THAT(kernel_symbols, Contains("do_syscall_64"));
  EXPECT_THAT(kernel_symbols.back(), ::testing::StartsWith("entry_SYSCALL_64"));
  for (const auto& entry : kernel) {
    EXPECT_GE(entry.address(), 0xffff800000000000U);
    EXPECT_EQ(entry.module(), "");
    EXPECT_FALSE(entry.symbol().starts_with("bpf_")) << entry.symbol();
    EXPECT_FALSE(entry.symbol().starts_with("__bpf_")) << entry.symbol();
  }

  const auto& user = told[0].user_stack_trace();
  ASSERT_GE(user.size(), 3) << told[0].ShortDebugString();
  // CallKernel has internal linkage; its mangled name tells that.
  EXPECT_THAT(user[0].symbol(), ::testing::HasSubstr("CallKernel"));
  EXPECT_EQ(user[1].symbol(), "GatehouseInnermost");
  EXPECT_EQ(user[2].symbol(), "GatehouseCaller");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(user[i].module(), self_);
    EXPECT_GT(user[i].offset(), 0U);
    EXPECT_NE(user[i].address(), 0U);
  }
}

TEST_F(Stacks, AreToldByWhoAsksForThem) {
  Must(gatehouse().Apply(
      Policy("a", kCall, "{action: Post}") + Policy("b", kCall, kKernel) +
      Policy("c", kCall, kUser) + Policy("d", kCall, kBoth) +
      Policy("e", kCall, kBoth, "matchArgs: [{index: 1, operator: Equal, values: [/other]}]")));
  const Caller caller(cgroup_, &GatehouseCaller);
  std::vector<std::string> told;
  for (const auto& event : Told()) {
    EXPECT_EQ(event.args(0).string_arg(), "/proc/none");
    told.push_back(event.policy_name() + (event.kernel_stack_trace().empty() ? "" : " kernel") +
                   (event.user_stack_trace().empty() ? "" : " user"));
  }
  std::ranges::sort(told);
  EXPECT_THAT(told, ElementsAre("a", "b kernel", "c user", "d kernel user"));
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ(gatehouse().Hits(name), 1U) << name;
  EXPECT_EQ(gatehouse().Hits("e"), 0U);
}

TEST_F(Stacks, OfAProgramThatHasEndedAreAddresses) {
  Must(gatehouse().Apply(Policy("p", kCall, kBoth)));
  (void)cgroup_.Try([]() -> int {
    char path[] = "/proc/none";
    (void)GatehouseCaller(path);
    _exit(0);
  });
  const auto told = Told();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].tags(), ElementsAre("gatehouse.stack.user-unnamed"));
  ASSERT_GE(told[0].user_stack_trace_size(), 3);
  for (const auto& entry : told[0].user_stack_trace()) {
    EXPECT_NE(entry.address(), 0U);
    EXPECT_EQ(entry.symbol(), "");
    EXPECT_EQ(entry.module(), "");
  }
  EXPECT_THAT(Symbols(told[0].kernel_stack_trace()), Contains("do_syscall_64"));
}

/// The same event is the same by whatever way the call was reached.
TEST_F(Stacks, AreNoPartOfWhatARateIsAbout) {
  Must(gatehouse().Apply(Policy(
      "p", kCall, "{action: Post, rateLimit: 1h, rateLimitScope: global, userStackTrace: true}")));
  ExpectCounter("events_limited");
  const Caller first(cgroup_, &GatehouseCaller);
  const Caller second(cgroup_, &GatehouseOtherCaller);
  const auto told = Told();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(Symbols(told[0].user_stack_trace()), Contains("GatehouseCaller"));
}

/// Whatever else the selector does is done.
TEST_F(Stacks, OfWhatIsKilled) {
  Must(gatehouse().Apply(Policy("p", kCall, std::string(kKernel) + ", {action: Sigkill}")));
  const Attempt attempt = cgroup_.Try([]() -> int {
    char path[] = "/proc/none";
    (void)GatehouseCaller(path);
    _exit(0);
  });
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_THAT(Symbols(told[0].kernel_stack_trace()), Contains("do_syscall_64"));
}

TEST_F(Stacks, OfAnExecution) {
  const std::string program = programs_.Add("program");
  Must(gatehouse().Apply(Policy("p", kExec, kKernel)));
  EXPECT_EQ(cgroup_.Run(program), Allowed());
  const auto told = Told();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(Symbols(told[0].kernel_stack_trace()), Contains("do_syscall_64"));
  EXPECT_EQ(told[0].args(0).linux_binprm_arg().path(), program);
}

/// Hooks with trampolines: the first function is the one that the hook is.
class StacksOfFunctions : public DenyingTest {
 protected:
  void SetUp() override {
    DenyingTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  /// What opening a file tells.
  [[nodiscard]] std::vector<std::string> Opened(const std::string& hook, const std::string& action,
                                                Outcome expected) const {
    Must(gatehouse().Apply(Policy("p", hook, action)));
    const std::string file = programs_.path();
    EXPECT_EQ(cgroup_.Run([&] { return Errno(open(file.c_str(), O_RDONLY)); }), expected);
    const auto told = TakeTold(&tetragon::GetEventsResponse::process_kprobe);
    EXPECT_THAT(told, SizeIs(1));
    if (told.empty()) return {};
    EXPECT_THAT(told[0].tags(), IsEmpty());
    return Symbols(told[0].kernel_stack_trace());
  }

  const Cgroup cgroup_{"app"};
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StacksOfFunctions);
INSTANTIATE_TEST_SUITE_P(With, StacksOfFunctions, ::testing::ValuesIn(DenyingBackends()),
                         BackendOf);

TEST_P(StacksOfFunctions, BeginWithTheFunction) {
  const auto symbols = Opened("call: do_filp_open, syscall: false, args: [{index: 0, type: int}]",
                              kKernel, Allowed());
  ASSERT_GE(symbols.size(), 3U);
  EXPECT_EQ(symbols[0], "do_filp_open");
  EXPECT_THAT(symbols, Contains("do_syscall_64"));
}

TEST_P(StacksOfFunctions, BeginWithTheFunctionAtItsReturn) {
  const auto symbols = Opened(
      "call: do_filp_open, syscall: false, args: [{index: 0, type: int}], return: true, "
      "returnArg: {index: 0, type: uint64}",
      kKernel, Allowed());
  ASSERT_GE(symbols.size(), 3U);
  EXPECT_EQ(symbols[0], "do_filp_open");
}

TEST_P(StacksOfFunctions, OfWhatIsDenied) {
  const auto symbols =
      Opened("call: security_file_open, syscall: false, args: [{index: 0, type: file}]",
             std::string(kKernel) + ", {action: Override, argError: -13}", Denied(EACCES));
  ASSERT_GE(symbols.size(), 3U);
  EXPECT_THAT(symbols, Contains("security_file_open"));
  EXPECT_THAT(symbols[0], ::testing::AnyOf("bpf_lsm_file_open", "security_file_open"));
  EXPECT_THAT(symbols, Contains("do_syscall_64"));
}

}  // namespace
}  // namespace gatehouse::test
