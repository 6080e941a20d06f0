// SPDX-License-Identifier: Apache-2.0
// When selectors of a hook with `return: true` act. What is refused is in
// tests/corpus/policies/bad/returns.yaml.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/catalog.h"
#include "policy/numbers.h"
#include "policy/parse.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

/// A hook that returns a value of `type`, with one selector.
Hook HookOf(std::string_view type, std::string_view selector) {
  const auto documents = Parse(
      fmt::format("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\n"
                  "spec:\n  kprobes:\n  - call: vfs_read\n    syscall: false\n    return: true\n"
                  "    returnArg: {{index: 0, type: {}}}\n    selectors:\n    - {}\n",
                  type, selector),
      "p.yaml");
  if (documents) {
    return std::get<TracingPolicy>(documents->at(0).object).spec.hooks.at(0);
  }
  for (const Diagnostic& each : documents.error()) ADD_FAILURE() << each.ToString();
  return {};
}

Selector SelectorOf(std::string_view type, std::string_view selector) {
  return HookOf(type, selector).selectors.at(0);
}

TEST(ReturnActions, AreTheActionsOfTheSelectorAtTheReturn) {
  const Selector failed = SelectorOf("int",
                                     "{matchReturnArgs: [{operator: LT, values: [\"0\"]}], "
                                     "matchReturnActions: [{action: Sigkill}]}");
  ASSERT_EQ(failed.actions.size(), 1U);
  EXPECT_EQ(failed.actions[0].kind, ActionKind::kSigkill);
  EXPECT_EQ(failed.filters.size(), 1U) << "which says by itself that it is for the return";
  EXPECT_FALSE(ActsBefore(failed));

  EXPECT_TRUE(ActsBefore(SelectorOf("int", "{matchActions: [{action: Sigkill}]}")));
  const Selector always = SelectorOf("int", "{matchReturnActions: [{action: Sigkill}]}");
  EXPECT_FALSE(ActsBefore(always));
  EXPECT_TRUE(LooksAtReturn(always));

  const Selector posts = SelectorOf("int", "{matchReturnActions: [{action: Post}]}");
  EXPECT_TRUE(posts.filters.empty()) << "an event is posted at the return anyway";
}

TEST(ReturnActions, AreForWhateverNumberIsReturned) {
  for (const std::string_view type :
       {"int8", "uint8", "int16", "uint16", "int", "uint32", "int64", "uint64", "size_t"}) {
    const Hook hook = HookOf(type, "{matchReturnActions: [{action: Sigkill}]}");
    ASSERT_EQ(hook.selectors.at(0).filters.size(), 1U) << type;
    const Filter& filter = hook.selectors[0].filters[0];
    EXPECT_EQ(filter.subject, Subject::kReturn);
    const ArgumentType returned = hook.returned.value().type;
    const auto ranges = ReadRanges(returned, filter.op, filter.values.literals.at(0));
    ASSERT_TRUE(ranges) << ranges.error().Message();
    uint64_t numbers = 0;  // of 64 bits all, which is 0
    for (const gh_range& range : *ranges) numbers += range.last - range.first + 1;
    const unsigned bits = TraitsOf(returned).bytes * 8u;
    EXPECT_EQ(numbers, bits == 64 ? 0 : uint64_t{1} << bits) << type;
  }
}

}  // namespace
}  // namespace gatehouse::policy
