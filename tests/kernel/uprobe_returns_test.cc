// SPDX-License-Identifier: Apache-2.0
// Functions of programs when they return, and what else uprobes may say: of this program.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "fixture.h"
#include "kernel/elf_file.h"
#include "kernel/testing/static_probe.h"

extern "C" {
volatile unsigned short gatehouse_uprobe_returns_test_counter
    __attribute__((section(".probes"), used)) = 0;

/// What the policies are about. Not inlined, nor left out. Nothing of its arguments is in a
/// register when it returns.
__attribute__((noinline, used)) int GatehouseReturns(int number, const char* text) {
  asm volatile("" : : "r"(text) : "memory");
  const int result = number - 10;
  asm volatile("xor %%edi, %%edi; xor %%esi, %%esi" : : : "rdi", "rsi");
  return result;
}
__attribute__((noinline, used)) const char* GatehouseReturnsText(const char* text) {
  asm volatile("" : "+r"(text) : : "memory");
  return text + 1;
}
__attribute__((noinline, used)) int GatehouseRecurses(int depth) {
  asm volatile("" : "+r"(depth) : : "memory");
  const int below = depth > 0 ? GatehouseRecurses(depth - 1) : 0;
  asm volatile("" : : : "memory");
  return below + 10;
}
__attribute__((noinline, used)) int GatehouseCounted() {
  // Where the counter is, a note says.
  asm volatile(
      GATEHOUSE_STATIC_PROBE("gatehouse", "returns", "", "gatehouse_uprobe_returns_test_counter"));
  return gatehouse_uprobe_returns_test_counter;
}
}

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Self() { return std::filesystem::read_symlink("/proc/self/exe"); }

/// A uprobe of a policy, in parts as they are written.
struct UprobeText {
  std::string places = "symbols: [GatehouseReturns]";
  std::string args = "args: [{index: 0, type: int}, {index: 1, type: string}],";
  std::string returns = "return: true, returnArg: {index: 0, type: int, label: result},";
  std::string selector = "matchActions: [{action: Post}]";
};

std::string Policy(const UprobeText& text) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
         "  podSelector: {}\n  uprobes:\n  - {path: " +
         Self() + ", " + text.places + ", " + text.args + text.returns + " selectors: [{" +
         text.selector + "}]}\n";
}

class UprobeReturns : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  [[nodiscard]] Attempt Call(int number, const char* text = "text") const {
    return cgroup_.Try([&]() -> int {
      const std::string touched(text);
      _exit(GatehouseReturns(number, touched.c_str()));
    });
  }
  static std::vector<tetragon::ProcessUprobe> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_uprobe);
  }

  const Cgroup cgroup_{"app"};
};

TEST_F(UprobeReturns, TellWhatIsReturnedAndWhatWasGiven) {
  if (!IsAppliedOnPerfEvents(
          Policy({.selector = "matchReturnArgs: [{operator: Equal, values: ['5']}]"}))) {
    return;
  }
  EXPECT_EQ(Call(14).outcome, Allowed(4));
  const Attempt attempt = Call(15, "given");
  EXPECT_EQ(attempt.outcome, Allowed(5));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].symbol(), "GatehouseReturns");
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 3);
  EXPECT_EQ(told[0].args(0).int_arg(), 15);
  EXPECT_EQ(told[0].args(1).string_arg(), "given");
  EXPECT_EQ(told[0].args(2).int_arg(), 5);
  EXPECT_EQ(told[0].args(2).label(), "result");
  EXPECT_EQ(gatehouse().Hits("p"), 1U);
}

TEST_F(UprobeReturns, JudgeByArguments) {
  if (!IsAppliedOnPerfEvents(
          Policy({.selector =
                      "matchArgs: [{index: 1, operator: Equal, values: [right]}], matchReturnArgs: "
                      "[{operator: Equal, values: ['-1']}]"}))) {
    return;
  }
  EXPECT_EQ(Call(9, "wrong").outcome, Allowed(0xff));
  EXPECT_EQ(Call(8, "right").outcome, Allowed(0xfe));
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(Call(9, "right").outcome, Allowed(0xff));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(2).int_arg(), -1);
}

TEST_F(UprobeReturns, OfACallWithinACall) {
  if (!IsAppliedOnPerfEvents(Policy(
          {.places = "symbols: [GatehouseRecurses]", .args = "args: [{index: 0, type: int}],"}))) {
    return;
  }
  EXPECT_EQ(cgroup_.Run([]() -> int { _exit(GatehouseRecurses(2)); }), Allowed(30));
  const auto told = Told();
  ASSERT_EQ(told.size(), 3U);
  for (int depth = 0; depth < 3; ++depth) {  // the innermost returns first
    EXPECT_EQ(told[depth].args(0).int_arg(), depth);
    EXPECT_EQ(told[depth].args(1).int_arg(), 10 * (depth + 1));
  }
}

TEST_F(UprobeReturns, Texts) {
  if (!IsAppliedOnPerfEvents(
          Policy({.places = "symbols: [GatehouseReturnsText]",
                  .args = "args: [{index: 0, type: string}],",
                  .returns = "return: true, returnArg: {index: 0, type: string},",
                  .selector = "matchReturnArgs: [{operator: Prefix, values: [ext]}], "
                              "matchReturnActions: [{action: Sigkill}]"}))) {
    return;
  }
  const auto call = [&](const char* text) {
    return cgroup_.Run([&]() -> int {
      const std::string touched(text);
      _exit(GatehouseReturnsText(touched.c_str()) == nullptr ? 1 : 0);
    });
  };
  EXPECT_EQ(call("test"), Allowed());
  EXPECT_EQ(call("text"), Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).string_arg(), "text");
  EXPECT_EQ(told[0].args(1).string_arg(), "ext");
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SIGKILL);
}

TEST_F(UprobeReturns, ActBeforeTheFunctionUnlessTheyLookAtTheReturn) {
  if (!IsAppliedOnPerfEvents(Policy(
          {.selector = "matchArgs: [{index: 0, operator: Equal, values: ['7']}], "
                       "matchActions: [{action: Sigkill}]}, {matchActions: [{action: Post}]"}))) {
    return;
  }
  EXPECT_EQ(Call(17).outcome, Allowed(7));
  EXPECT_EQ(Call(7).outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told[0].args_size(), 3);
  EXPECT_EQ(told[1].action(), tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(told[1].args_size(), 2);  // nothing is returned yet
  EXPECT_EQ(gatehouse().Hits("p"), 2U);
}

TEST_F(UprobeReturns, NothingIsLeftBehind) {
  if (!IsAppliedOnPerfEvents(Policy({}))) return;
  Must(gatehouse().Remove("p"));
  EXPECT_EQ(Call(15).outcome, Allowed(5));
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(UprobeReturns, ACounterIsRaised) {
  const auto count = [&] { return cgroup_.Run([]() -> int { _exit(GatehouseCounted()); }); };
  EXPECT_EQ(count(), Allowed());
  const auto probe = Must(kernel::FindStaticProbe(Self(), "gatehouse", "returns", "test"));
  if (!IsAppliedOnPerfEvents(Policy({.places = fmt::format("symbols: [GatehouseCounted], "
                                                           "refCtrOffsets: [{}]",
                                                           probe.front().counter),
                                     .args = "",
                                     .returns = ""}))) {
    return;
  }
  EXPECT_EQ(count(), Allowed(1));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].ref_ctr_offset(), probe.front().counter);
  Must(gatehouse().Remove("p"));
  EXPECT_EQ(count(), Allowed());
}

std::string DigestOfSelf() {
  FILE* const pipe = popen(("sha256sum " + Self()).c_str(), "r");
  std::array<char, 65> digits{};
  if (pipe == nullptr || fgets(digits.data(), digits.size(), pipe) == nullptr) return "";
  pclose(pipe);
  return digits.data();
}

TEST_F(UprobeReturns, DigestsOfTheFile) {
  const auto with = [](const std::string& digests) {
    return Policy({.places = "symbols: [GatehouseReturns], binaryDigests: [" + digests + "]"});
  };
  const std::string wrong = "'sha256:" + std::string(64, '0') + "'";
  if (!IsAppliedOnPerfEvents(with(wrong + ", 'SHA256:" + DigestOfSelf() + "'"))) return;
  EXPECT_EQ(Call(15).outcome, Allowed(5));
  EXPECT_EQ(Told().size(), 1U);
  EXPECT_THAT(Refusal(with(wrong)), HasSubstr("has none of the digests in binaryDigests"));
}

}  // namespace
}  // namespace gatehouse::test
