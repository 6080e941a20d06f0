// SPDX-License-Identifier: Apache-2.0
// What lists become: hooks, and numbers of system calls. What is refused is in
// tests/corpus/policies/bad/lists.yaml.
#include "policy/lists.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/regular_expression.h"
#include "policy/sites.h"
#include "policy/system_calls.h"

namespace gatehouse::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Hook> HooksOf(std::string_view spec) {
  const auto documents = Parse(fmt::format("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n"
                                           "metadata: {{name: p}}\nspec:\n{}",
                                           spec),
                               "p.yaml");
  if (documents) return std::get<TracingPolicy>(documents->at(0).object).spec.hooks;
  for (const Diagnostic& each : documents.error()) ADD_FAILURE() << each.ToString();
  return {};
}

TEST(Lists, AHookOnAGeneratedListWaitsForTheKernel) {
  const std::vector<Hook> hooks = HooksOf(
      "  lists:\n"
      "  - {name: all, type: generated_syscalls}\n"
      "  - {name: ksys, type: generated_ftrace, pattern: ^ksys_}\n"
      "  kprobes:\n"
      "  - {call: \"list:all\", args: [{index: 0, type: int}], message: seen}\n"
      "  - {call: \"list:ksys\"}\n");
  ASSERT_EQ(hooks.size(), 2U);
  EXPECT_EQ(hooks[0].call, "list:all");
  EXPECT_TRUE(hooks[0].system_call);
  ASSERT_TRUE(hooks[0].generated);
  EXPECT_EQ(hooks[0].generated->pattern, "");
  EXPECT_EQ(hooks[0].arguments.size(), 1U);
  EXPECT_EQ(hooks[0].message, "seen");
  EXPECT_FALSE(hooks[1].system_call) << "the list says so, whatever the default of syscall";
  ASSERT_TRUE(hooks[1].generated);
  EXPECT_EQ(hooks[1].generated->name, "ksys");
  EXPECT_EQ(hooks[1].generated->pattern, "^ksys_");
}

TEST(Lists, AHookOnAListOfNamesIsOneOnEach) {
  const std::vector<Hook> hooks = HooksOf(
      "  lists: [{name: a, type: syscalls, values: [sys_dup, x64/sys_dup2]}]\n"
      "  kprobes: [{call: \"list:a\"}]\n");
  ASSERT_EQ(hooks.size(), 2U);
  EXPECT_EQ(hooks[0].call, "dup");
  EXPECT_EQ(hooks[1].call, "dup2");
  EXPECT_FALSE(hooks[0].generated);
}

/// The values of a filter on the number of a system call.
std::vector<std::string> ValuesOf(std::string_view list, std::string_view type, std::string_view op,
                                  std::string_view values) {
  const std::vector<Hook> hooks = HooksOf(
      fmt::format("  lists: [{{name: a, type: syscalls, values: [{}]}}]\n"
                  "  tracepoints:\n"
                  "  - subsystem: raw_syscalls\n"
                  "    event: sys_enter\n"
                  "    args: [{{index: 4, type: {}}}]\n"
                  "    selectors: [{{matchArgs: [{{index: 4, operator: {}, values: [{}]}}]}}]\n",
                  list, type, op, values));
  return hooks.empty() ? std::vector<std::string>()
                       : hooks[0].selectors.at(0).filters.at(0).values.literals;
}

TEST(Lists, CallsOfThe32BitTableAreHooksOfTheirOwn) {
  const std::vector<Hook> hooks = HooksOf(
      "  lists: [{name: dups, type: syscalls, values: [sys_dup, __ia32_sys_dup, i386/sys_dup2]}]\n"
      "  kprobes: [{call: \"list:dups\"}]\n");
  ASSERT_EQ(hooks.size(), 3U);
  EXPECT_EQ(hooks[0].call, "dup");
  EXPECT_EQ(hooks[1].call, "i386/dup");
  EXPECT_EQ(FunctionName(hooks[1]), "__ia32_sys_dup");
  EXPECT_EQ(NameOf(SiteOf(hooks[2])), "i386/sys_dup2");
}

TEST(Enforcers, AreHooksBehindTheOthers) {
  const std::vector<Hook> hooks = HooksOf(
      "  lists:\n"
      "  - {name: dups, type: syscalls, values: [sys_dup, __x64_sys_dup2]}\n"
      "  - {name: all, type: generated_syscalls}\n"
      "  enforcers:\n"
      "  - calls: [\"list:dups\", sys_dup, security_file_open]\n"
      "  - calls: [\"list:all\", \"list:all\"]\n"
      "  kprobes:\n"
      "  - call: sys_openat\n"
      "    selectors: [{matchActions: [{action: NotifyEnforcer, argError: -1}]}]\n");
  std::vector<std::pair<std::string, bool>> enforcers;
  for (const Hook& hook : hooks) {
    if (hook.kind != HookKind::kEnforcer) continue;
    enforcers.emplace_back(hook.call, hook.system_call);
    EXPECT_THAT(hook.selectors, IsEmpty());
  }
  EXPECT_THAT(enforcers,
              ElementsAre(std::pair("dup", true), std::pair("dup2", true),
                          std::pair("security_file_open", false), std::pair("list:all", true)))
      << "each once";
  ASSERT_EQ(hooks.size(), 5U);
  EXPECT_EQ(hooks.front().call, "openat");
  EXPECT_TRUE(hooks.back().generated);
  const Action& action = hooks.front().selectors.at(0).actions.at(0);
  EXPECT_EQ(action.kind, ActionKind::kNotifyEnforcer);
  EXPECT_EQ(action.error, -1);
  EXPECT_EQ(action.signal, 0);
}

TEST(Lists, AValueStandsForTheNumbersOfItsSystemCalls) {
  EXPECT_THAT(ValuesOf("sys_dup, __x64_sys_dup2", "uint64", "InMap", "\"list:a\""),
              ElementsAre("32", "33"));
  EXPECT_THAT(ValuesOf("sys_dup", "uint32", "NotEqual", "\"1\", \"list:a\", \"2\""),
              ElementsAre("1", "32", "2"));
}

TEST(Lists, TheNumbersOfThe32BitTableAreOthers) {
  EXPECT_THAT(
      ValuesOf("sys_dup, i386/sys_dup, __ia32_sys_dup", "syscall64", "In", "\"list:a\""),
      ElementsAre("32", std::to_string(0x80000000U + 41), std::to_string(0x80000000U + 41)));
}

TEST(Lists, ATextThatBeginsSoIsAText) {
  const std::vector<Hook> hooks = HooksOf(
      "  kprobes:\n"
      "  - call: sys_openat\n"
      "    args: [{index: 1, type: string}]\n"
      "    selectors: [{matchArgs: [{index: 1, operator: In, values: [\"list:a\"]}]}]\n");
  ASSERT_EQ(hooks.size(), 1U);
  EXPECT_THAT(hooks[0].selectors.at(0).filters.at(0).values.literals, ElementsAre("list:a"));
}

TEST(SystemCallNames, AreWrittenInSixWays) {
  const auto found = [](std::string_view written) {
    const auto call = FindSystemCall(written);
    return call ? call->name + (call->compat ? " 32" : "") : "none";
  };
  EXPECT_EQ(found("sys_dup"), "dup");
  EXPECT_EQ(found("__x64_sys_dup"), "dup");
  EXPECT_EQ(found("x64/sys_dup"), "dup");
  EXPECT_EQ(found("x64/__x64_sys_dup"), "dup");
  EXPECT_EQ(found("__ia32_sys_dup"), "dup 32");
  EXPECT_EQ(found("i386/sys_dup"), "dup 32");
  EXPECT_EQ(found("i386/__x64_sys_dup"), "none");
  EXPECT_EQ(found("i386/x64/sys_dup"), "none");
  EXPECT_EQ(found("sys_"), "none");
  EXPECT_EQ(found("dup"), "none");
}

TEST(SystemCallNames, OfAnotherArchitectureHaveNoNumber) {
  EXPECT_EQ(NumberOf({.name = "openat"}), 257U);
  EXPECT_EQ(NumberOf({.name = "waitpid", .compat = true}), 7U);
  EXPECT_EQ(NumberOf({.name = "waitpid"}), std::nullopt);
  EXPECT_EQ(NumberOf({.name = "no_such_call"}), std::nullopt);
  EXPECT_FALSE(MayBeNative("waitpid"));
  EXPECT_TRUE(MayBeNative("openat"));
  EXPECT_TRUE(MayBeNative("no_such_call")) << "it may be newer";
}

TEST(Patterns, MatchAnyPartOfAName) {
  const std::vector<std::string> names{"ksys_read", "ksys_write", "vfs_read"};
  EXPECT_THAT(Matching("^ksys_", names), ElementsAre("ksys_read", "ksys_write"));
  EXPECT_THAT(Matching("read", names), ElementsAre("ksys_read", "vfs_read"));
  EXPECT_THAT(Matching("^read", names), IsEmpty());
}

TEST(Patterns, OfNoUseAreExplained) {
  EXPECT_EQ(FaultOf("^ksys_*"), std::nullopt);
  EXPECT_EQ(FaultOf("a(b"), "missing ): a(b");
}

}  // namespace
}  // namespace gatehouse::policy
