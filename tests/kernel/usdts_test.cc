// SPDX-License-Identifier: Apache-2.0
// Static probes of programs: of this one.
#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "fixture.h"
#include "kernel/attachable.h"
#include "kernel/testing/static_probe.h"

extern "C" {
/// Counts who listens to probe `counted`.
volatile unsigned short gatehouse_usdts_test_counter __attribute__((section(".probes"), used)) = 0;

/// What the policies are about. Not inlined, nor left out.
__attribute__((noinline, used)) int GatehouseStatic(int number, const char* text) {
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "values", "-4@%%edi 8@%%rsi -2@$-7 1@%%dil", "0")
               :
               : "D"(number), "S"(text)
               : "memory");
  return number;
}
__attribute__((noinline, used)) int GatehouseStaticMemory(const short* array, long index) {
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "memory",
                                      "-2@2(%%rdi) 2@(%%rdi,%%rcx,2) 8@8(,%%rcx,8) "
                                      "8@gatehouse_usdts_test_counter(%%rip)",
                                      "0")
               :
               : "D"(array), "c"(index)
               : "memory");
  return 0;
}
__attribute__((noinline, used)) int GatehouseStaticTwice(int number) {
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "twice", "-4@%%edi", "0") : : "D"(number));
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "twice", "8@$5", "0"));
  return number;
}
__attribute__((noinline, used)) int GatehouseStaticCounted() {
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "counted", "", "gatehouse_usdts_test_counter"));
  return gatehouse_usdts_test_counter;
}
__attribute__((noinline, used)) int GatehouseStaticResult(int number) {
  volatile int result = 1;
  volatile signed char byte = 2;
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "result", "-4@%0 -1@%1 -4@%%edi", "0")
               : "+m"(result), "+m"(byte)
               : "D"(number)
               : "memory");
  return result + byte;
}
}

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A hook of a policy, in parts as they are written.
struct UsdtText {
  std::string name = "values";
  std::string args = "{index: 0}, {index: 1, type: string, label: text}, {index: 2}, {index: 3}";
  std::string filters = {};
  std::string action = "{action: Post}";
  std::string mode = "enforce";
  std::string path = std::filesystem::read_symlink("/proc/self/exe");
};

std::string Policy(const std::string& name, const UsdtText& text) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  options: [{name: policy-mode, value: " + text.mode +
         "}]\n  usdts:\n  - {path: " + text.path + ", provider: gatehouse, name: " + text.name +
         ", message: seen, tags: [a, b], " +
         (text.args.empty() ? "" : "args: [" + text.args + "], ") + "selectors: [{" + text.filters +
         (text.filters.empty() ? "" : ", ") + "matchActions: [" + text.action + "]}]}\n";
}

std::string TextIs(const std::string& value) {
  return "matchArgs: [{index: 1, operator: Equal, values: [\"" + value + "\"]}]";
}

std::string SetTo(int argument, const std::string& value) {
  return "{action: Set, argIndex: " + std::to_string(argument) + ", argValue: " + value + "}";
}

class Usdts : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  [[nodiscard]] static Attempt Call(const Cgroup& cgroup, int number, const char* text) {
    return cgroup.Try([&]() -> int {
      // A program cannot wait for a page of its string that was not read yet.
      const std::string touched(text);
      _exit(GatehouseStatic(number, touched.c_str()));
    });
  }
  [[nodiscard]] static Outcome Result(const Cgroup& cgroup, int number = 9) {
    return cgroup.Run([&]() -> int { _exit(GatehouseStaticResult(number)); });
  }
  /// As IsAppliedOnPerfEvents, of a text with Set, which not every kernel allows.
  [[nodiscard]] static bool IsAppliedWithSet(const std::string& text) {
    if (kernel::MayWriteToProcesses()) return IsAppliedOnPerfEvents(text);
    EXPECT_THAT(Refusal(text), ::testing::AnyOf(HasSubstr("Set is not possible"),
                                                HasSubstr("kernel 6.1 or later")));
    return false;
  }
  static std::vector<tetragon::ProcessUsdt> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_usdt);
  }

  const Cgroup cgroup_{"app"};
  const Cgroup other_{"other"};
};

TEST_F(Usdts, EveryFieldOfAnEvent) {
  if (!IsAppliedOnPerfEvents(Policy("p", {.filters = TextIs("listed")}))) return;
  EXPECT_EQ(Call(cgroup_, 7, "other").outcome, Allowed(7));
  EXPECT_EQ(Call(other_, 7, "listed").outcome, Allowed(7));
  const Attempt attempt = Call(cgroup_, 9, "listed");
  EXPECT_EQ(attempt.outcome, Allowed(9));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].path(), UsdtText().path);
  EXPECT_EQ(told[0].provider(), "gatehouse");
  EXPECT_EQ(told[0].name(), "values");
  EXPECT_EQ(told[0].policy_name(), "p");
  EXPECT_EQ(told[0].message(), "seen");
  EXPECT_THAT(told[0].tags(), ElementsAre("a", "b"));
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 4);
  EXPECT_EQ(told[0].args(0).int_arg(), 9);
  EXPECT_EQ(told[0].args(1).string_arg(), "listed");
  EXPECT_EQ(told[0].args(1).label(), "text");
  EXPECT_EQ(told[0].args(2).int_arg(), -7);
  EXPECT_EQ(told[0].args(3).uint_arg(), 9U);
  EXPECT_EQ(gatehouse().Hits("p"), 1U);
}

TEST_F(Usdts, TypesOfTheFile) {
  const std::string filters =
      "matchArgs: [{index: 0, operator: Equal, values: ['-300']}, {index: 3, operator: Equal, "
      "values: ['212']}]";  // the lowest byte
  if (!IsAppliedOnPerfEvents(Policy("p", {.args = "{index: 0}, {index: 3}", .filters = filters})))
    return;
  EXPECT_EQ(Call(cgroup_, 300, "").outcome, Allowed(300 & 0xff));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(Call(cgroup_, -300, "").outcome, Allowed(-300 & 0xff));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).int_arg(), -300);
  EXPECT_EQ(told[0].args(1).uint_arg(), 212U);
}

TEST_F(Usdts, Memory) {
  const UsdtText text{.name = "memory",
                      .args = "{index: 0, type: int64}, {index: 1, type: uint64}, {index: 2}",
                      .filters = "matchArgs: [{index: 1, operator: Equal, values: ['65532']}]"};
  if (!IsAppliedOnPerfEvents(Policy("p", text))) return;
  ExpectCounter("number_fault");  // of argument 2, an address near 0
  constexpr std::array<short, 4> kArray{-1, -2, -3, -4};
  const auto call = [&](long index) {
    return cgroup_.Run([&]() -> int { _exit(GatehouseStaticMemory(kArray.data(), index)); });
  };
  EXPECT_EQ(call(2), Allowed());
  EXPECT_EQ(call(3), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 3);
  EXPECT_EQ(told[0].args(0).long_arg(), -2);
  EXPECT_EQ(told[0].args(1).size_arg(), 0xfffcU);
  EXPECT_EQ(told[0].args(2).arg_case(), tetragon::KprobeArgument::ARG_NOT_SET);
  EXPECT_THAT(told[0].tags(), ::testing::Contains("gatehouse.unreadable.fault"));
}

TEST_F(Usdts, UnreadableMemoryIsInNoSet) {
  const UsdtText text{.name = "memory",
                      .args = "{index: 0}",
                      .filters = "matchArgs: [{index: 0, operator: NotEqual, values: ['-1']}]",
                      .action = "{action: Sigkill}"};
  if (!IsAppliedOnPerfEvents(Policy("p", text))) return;
  ExpectCounter("number_fault");
  EXPECT_EQ(cgroup_.Run([]() -> int {
    _exit(GatehouseStaticMemory(reinterpret_cast<const short*>(1), 0));
  }),
            Killed(SIGKILL));
}

TEST_F(Usdts, EachPlaceIsAHook) {
  if (!IsAppliedOnPerfEvents(Policy("p", {.name = "twice", .args = "{index: 0}"}))) return;
  EXPECT_EQ(cgroup_.Run([]() -> int { _exit(GatehouseStaticTwice(-3)); }), Allowed(0xfd));
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].args(0).int_arg(), -3);
  EXPECT_EQ(told[1].args(0).size_arg(), 5U);
  const auto hooks = gatehouse().kernel().status().hooks;
  const std::string name = UsdtText().path + ":gatehouse:twice";
  EXPECT_EQ(std::ranges::count(hooks, name, &kernel::HookStatus::name), 1);
  EXPECT_EQ(std::ranges::count(hooks, name + ", place 2", &kernel::HookStatus::name), 1);
}

TEST_F(Usdts, ServeAllPoliciesByOneProgram) {
  if (!IsAppliedOnPerfEvents(Policy("a", {.filters = TextIs("a")}) +
                             Policy("b", {.filters = TextIs("b")}))) {
    return;
  }
  EXPECT_EQ(Call(cgroup_, 0, "b").outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].policy_name(), "b");
  Must(gatehouse().Remove("a"));
  Must(gatehouse().Remove("b"));
  EXPECT_EQ(Call(cgroup_, 0, "b").outcome, Allowed());
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Usdts, ACounterTellsTheProgramThatSomebodyListens) {
  const auto count = [&] { return cgroup_.Run([]() -> int { _exit(GatehouseStaticCounted()); }); };
  EXPECT_EQ(count(), Allowed());
  if (!IsAppliedOnPerfEvents(Policy("p", {.name = "counted", .args = ""}))) return;
  EXPECT_EQ(count(), Allowed(1));
  EXPECT_EQ(Told().size(), 1U);
  Must(gatehouse().Remove("p"));
  EXPECT_EQ(count(), Allowed());
}

TEST_F(Usdts, KillByAnArgument) {
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.filters = TextIs("no"), .action = "{action: Sigkill}"}))) {
    return;
  }
  EXPECT_EQ(Call(cgroup_, 0, "yes").outcome, Allowed());
  EXPECT_EQ(Call(cgroup_, 0, "no").outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SIGKILL);
}

const std::string kResultArgs = "{index: 0}, {index: 1}, {index: 2}";

TEST_F(Usdts, Set) {
  const UsdtText text{.name = "result",
                      .args = kResultArgs,
                      .filters = "matchArgs: [{index: 2, operator: Equal, values: ['9']}]",
                      .action = SetTo(0, "32")};
  EXPECT_EQ(Result(cgroup_), Allowed(1 + 2));
  if (!IsAppliedWithSet(Policy("p", text))) return;
  EXPECT_EQ(Result(cgroup_), Allowed(32 + 2));
  EXPECT_EQ(Result(cgroup_, 8), Allowed(1 + 2));
  EXPECT_EQ(Result(other_), Allowed(1 + 2));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SET);
  EXPECT_EQ(told[0].args(0).int_arg(), 1);  // as it was
  EXPECT_EQ(gatehouse().Hits("p"), 1U);
  Must(gatehouse().Remove("p"));
  EXPECT_EQ(Result(cgroup_), Allowed(1 + 2));
}

TEST_F(Usdts, SetOfAByteAndOfTheFirstPolicy) {
  const auto set = [](int argument, const std::string& value) {
    return UsdtText{.name = "result", .args = kResultArgs, .action = SetTo(argument, value)};
  };
  if (!IsAppliedWithSet(Policy("a", set(1, "100")) + Policy("b", set(1, "101")) +
                        Policy("c", set(0, "10")))) {
    return;
  }
  EXPECT_EQ(Result(cgroup_), Allowed(10 + 100));
  EXPECT_EQ(Told().size(), 3U);
}

TEST_F(Usdts, AMonitorSetsNothing) {
  if (!IsAppliedWithSet(Policy(
          "p",
          {.name = "result", .args = kResultArgs, .action = SetTo(0, "32"), .mode = "monitor"}))) {
    return;
  }
  EXPECT_EQ(Result(cgroup_), Allowed(1 + 2));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SET);
  EXPECT_THAT(told[0].tags(), ::testing::Contains("gatehouse.monitor"));
}

TEST_F(Usdts, WhatIsRefused) {
  if (!IsAppliedOnPerfEvents(Policy("p", {}))) return;
  EXPECT_THAT(Refusal(Policy("p", {.name = "no_such_probe", .args = ""})),
              HasSubstr("has no static probe \"no_such_probe\" of provider \"gatehouse\""));
  EXPECT_THAT(Refusal(Policy("p", {.path = "/no/such/file"})), HasSubstr("cannot be read"));
  EXPECT_THAT(Refusal(Policy("p", {.args = "{index: 4}"})), HasSubstr("no argument 4"));
  EXPECT_THAT(Refusal(Policy("p", {.name = "memory", .args = "{index: 3}"})),
              HasSubstr("`8@gatehouse_usdts_test_counter(%rip)` in the file, which no program can "
                        "read"));
  EXPECT_THAT(Refusal(Policy("p", {.args = "{index: 0, type: string}"})),
              HasSubstr("`-4@%edi` in the file, which is too short for the address"));
  EXPECT_THAT(Refusal(Policy("p", {.action = "{action: Override, argError: -1}"})),
              HasSubstr("a static probe only tells"));
  if (!kernel::MayWriteToProcesses()) return;
  EXPECT_THAT(Refusal(Policy("p", {.args = "{index: 0}", .action = SetTo(0, "1")})),
              HasSubstr("argument 0 is `-4@%edi` in the file, and only what is in memory"));
  EXPECT_THAT(
      Refusal(Policy("p", {.name = "result", .args = kResultArgs, .action = SetTo(1, "256")})),
      HasSubstr("argument 1 has 1 bytes, too few for 256"));
}

}  // namespace
}  // namespace gatehouse::test
