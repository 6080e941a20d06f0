// SPDX-License-Identifier: Apache-2.0
// Functions of programs: of this one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "fixture.h"
#include "kernel/elf_file.h"

/// What the policies are about. Not inlined, nor left out.
extern "C" __attribute__((noinline, used)) int GatehouseProbed(int number, const char* text) {
  asm volatile("" : : "r"(number), "r"(text) : "memory");
  return number;
}
extern "C" __attribute__((noinline, used)) int GatehouseProbedToo(int number) {
  asm volatile("" : : "r"(number) : "memory");
  return number;
}

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kKill = "{action: Sigkill}";

/// A uprobe of a policy, in parts as they are written.
struct UprobeText {
  std::string places = "symbols: [GatehouseProbed]";
  std::string args = "{index: 0, type: int}, {index: 1, type: string, label: text}";
  std::string filters = {};
  std::string action = "{action: Post}";
  std::string path = std::filesystem::read_symlink("/proc/self/exe");
};

std::string Policy(const std::string& name, const UprobeText& text) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  uprobes:\n  - {path: " + text.path + ", " + text.places +
         ", message: seen, tags: [a, b], args: [" + text.args + "], selectors: [{" + text.filters +
         (text.filters.empty() ? "" : ", ") + "matchActions: [" + text.action + "]}]}\n";
}

std::string TextIs(const std::string& value) {
  return "matchArgs: [{index: 1, operator: Equal, values: [\"" + value + "\"]}]";
}

class Uprobes : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  [[nodiscard]] static Attempt Call(const Cgroup& cgroup, int number, const char* text) {
    return cgroup.Try([&]() -> int {
      // A program cannot wait for a page of its string that was not read yet.
      const std::string touched(text);
      _exit(GatehouseProbed(number, touched.c_str()));
    });
  }
  static std::vector<tetragon::ProcessUprobe> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_uprobe);
  }

  const Cgroup cgroup_{"app"};
  const Cgroup other_{"other"};
};

TEST_F(Uprobes, EveryFieldOfAnEvent) {
  if (!IsAppliedOnPerfEvents(Policy("p", {.filters = TextIs("listed")}))) return;
  EXPECT_EQ(Call(cgroup_, 7, "other").outcome, Allowed(7));
  EXPECT_EQ(Call(other_, 7, "listed").outcome, Allowed(7));
  const Attempt attempt = Call(cgroup_, 9, "listed");
  EXPECT_EQ(attempt.outcome, Allowed(9));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].path(), UprobeText().path);
  EXPECT_EQ(told[0].symbol(), "GatehouseProbed");
  EXPECT_EQ(told[0].offset(), 0U);
  EXPECT_EQ(told[0].policy_name(), "p");
  EXPECT_EQ(told[0].message(), "seen");
  EXPECT_THAT(told[0].tags(), ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).int_arg(), 9);
  EXPECT_EQ(told[0].args(1).string_arg(), "listed");
  EXPECT_EQ(told[0].args(1).label(), "text");
  EXPECT_EQ(gatehouse().Hits("p"), 1U);
}

TEST_F(Uprobes, KillByAnArgument) {
  if (!IsAppliedOnPerfEvents(Policy("p", {.filters = TextIs("no"), .action = kKill}))) return;
  EXPECT_EQ(Call(cgroup_, 0, "yes").outcome, Allowed());
  EXPECT_EQ(Call(cgroup_, 0, "no").outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SIGKILL);
}

TEST_F(Uprobes, DataOfTheTaskAndOfRegisters) {
  const std::string data =
      "data: [{index: 0, type: int, source: current_task, resolve: tgid},"
      " {index: 1, type: string, source: pt_regs, resolve: rsi},"
      " {index: 2, type: uint8, source: pt_regs, resolve: edi},"
      " {index: 3, type: uint64, source: pt_regs, resolve: rip}]";
  const std::string listed = "matchData: [{index: 1, operator: Equal, values: [listed]}]";
  if (!IsAppliedOnPerfEvents(Policy("p", {.places = "symbols: [GatehouseProbed], " + data,
                                          .args = "{index: 0, type: int}",
                                          .filters = listed}))) {
    return;
  }
  EXPECT_EQ(Call(cgroup_, 0x107, "other").outcome, Allowed(7));
  const Attempt attempt = Call(cgroup_, 0x107, "listed");
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].data_size(), 4);
  EXPECT_EQ(told[0].data(0).int_arg(), attempt.pid);
  EXPECT_EQ(told[0].data(1).string_arg(), "listed");
  EXPECT_EQ(told[0].data(2).uint_arg(), 7U) << "the lowest byte";
  EXPECT_EQ(told[0].data(3).size_arg(), reinterpret_cast<uint64_t>(&GatehouseProbed));
}

TEST_F(Uprobes, RegistersThatAreNone) {
  const auto refusal = [](const std::string& entry) {
    return Refusal(Policy("p", {.places = "symbols: [GatehouseProbed], data: [{index: 0, " + entry +
                                          ", source: pt_regs}]"}));
  };
  if (!IsAppliedOnPerfEvents(Policy("p", {}))) return;
  EXPECT_THAT(refusal("type: int, resolve: xmm0"), HasSubstr("there is no register xmm0"));
  EXPECT_THAT(refusal("type: uint64, resolve: eax"), HasSubstr("eax has 4 bytes"));
  EXPECT_THAT(refusal("type: string, resolve: eflags"), HasSubstr("eflags has 4 bytes"));
}

TEST_F(Uprobes, AtAnOffset) {
  const std::string path = UprobeText().path;
  const uint64_t offset = Must(kernel::OffsetOfSymbol(path, "GatehouseProbed", "test"));
  if (!IsAppliedOnPerfEvents(Policy("p", {.places = fmt::format("offsets: [{}]", offset)}))) return;
  EXPECT_EQ(Call(cgroup_, 3, "text").outcome, Allowed(3));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].offset(), offset);
  EXPECT_EQ(told[0].symbol(), "");
  EXPECT_EQ(told[0].args(0).int_arg(), 3);
}

TEST_F(Uprobes, AtAnAddress) {
  uint64_t begin = 0;  // of this program, which is linked to begin at 0
  std::ifstream("/proc/self/maps") >> std::hex >> begin;
  const uint64_t address = reinterpret_cast<uint64_t>(&GatehouseProbed) - begin;
  if (!IsAppliedOnPerfEvents(Policy("p", {.places = fmt::format("addrs: [{:#x}]", address)}))) {
    return;
  }
  EXPECT_EQ(Call(cgroup_, 3, "text").outcome, Allowed(3));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].symbol(), fmt::format("@{:#x}", address));
  EXPECT_EQ(told[0].args(0).int_arg(), 3);
}

TEST_F(Uprobes, SeveralSymbolsAreSeveralHooks) {
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.places = "symbols: [GatehouseProbed, GatehouseProbedToo]",
                       .args = "{index: 0, type: int}"}))) {
    return;
  }
  EXPECT_EQ(
      cgroup_.Run([]() -> int { _exit(GatehouseProbed(1, nullptr) + GatehouseProbedToo(2)); }),
      Allowed(3));
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].symbol(), "GatehouseProbed");
  EXPECT_EQ(told[0].args(0).int_arg(), 1);
  EXPECT_EQ(told[1].symbol(), "GatehouseProbedToo");
  EXPECT_EQ(told[1].args(0).int_arg(), 2);
}

TEST_F(Uprobes, ServeAllPoliciesByOneProgram) {
  if (!IsAppliedOnPerfEvents(Policy("a", {.filters = TextIs("a")}) +
                             Policy("b", {.filters = TextIs("b")}))) {
    return;
  }
  EXPECT_EQ(Call(cgroup_, 0, "b").outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].policy_name(), "b");
  const auto hooks = gatehouse().kernel().status().hooks;
  EXPECT_EQ(
      std::ranges::count(hooks, UprobeText().path + ":GatehouseProbed", &kernel::HookStatus::name),
      1);
  Must(gatehouse().Remove("a"));
  Must(gatehouse().Remove("b"));
  EXPECT_EQ(Call(cgroup_, 0, "b").outcome, Allowed());
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(Uprobes, AnUnreadableStringIsInNoSet) {
  if (!IsAppliedOnPerfEvents(
          Policy("p", {.filters = "matchArgs: [{index: 1, operator: NotPrefix, values: [a]}]",
                       .action = kKill}))) {
    return;
  }
  EXPECT_EQ(
      cgroup_.Run([]() -> int { _exit(GatehouseProbed(0, reinterpret_cast<const char*>(1))); }),
      Killed(SIGKILL));
  ExpectCounter("string_fault");
}

TEST_F(Uprobes, WhatCannotBeProbed) {
  if (!IsAppliedOnPerfEvents(Policy("p", {}))) return;
  EXPECT_THAT(Refusal(Policy("p", {.places = "symbols: [no_such_function]"})),
              HasSubstr("defines no function of that name"));
  EXPECT_THAT(Refusal(Policy("p", {.path = "/no/such/file"})), HasSubstr("cannot be read"));
  EXPECT_THAT(Refusal(Policy("p", {.places = "offsets: [0x7fffffffffff]"})),
              HasSubstr("no instructions at that offset"));
  EXPECT_THAT(Refusal(Policy("p", {.places = "addrs: [0x7fffffffffff]"})),
              HasSubstr("no instructions at that address"));
  EXPECT_THAT(Refusal(Policy("p", {.args = "{index: 6, type: int}"})), HasSubstr("no argument 6"));
  EXPECT_THAT(Refusal(Policy("p", {.action = "{action: Override, argError: -1}"})),
              HasSubstr("a uprobe only tells"));
}

}  // namespace
}  // namespace gatehouse::test
