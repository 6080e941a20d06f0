// SPDX-License-Identifier: Apache-2.0
#include "policy/catalog.h"

#include <gtest/gtest.h>

#include <set>

#include "policy/format.h"

namespace gatehouse::policy {
namespace {

TEST(Catalog, HasEachHookOfTheKernelSideOnce) {
  ASSERT_EQ(Hooks().size(), static_cast<size_t>(GH_HOOK_COUNT));
  for (size_t i = 0; i < Hooks().size(); ++i) {
    const HookRow& row = Hooks()[i];
    EXPECT_EQ(row.hook, static_cast<gh_hook>(i));
    EXPECT_EQ(FindHook(HookKind::kKprobe, row.kprobe), &row);
    EXPECT_EQ(FindHook(HookKind::kLsm, row.lsm), &row);
  }
}

TEST(Catalog, SpellsHooksAsTheirSectionDoes) {
  ASSERT_NE(FindHook(HookKind::kKprobe, "security_bprm_check"), nullptr);
  EXPECT_EQ(FindHook(HookKind::kKprobe, "security_bprm_check")->hook, GH_HOOK_BPRM_CHECK);
  EXPECT_EQ(FindHook(HookKind::kLsm, "bprm_check_security")->hook, GH_HOOK_BPRM_CHECK);
  EXPECT_EQ(FindHook(HookKind::kLsm, "bprm_creds_for_exec")->hook, GH_HOOK_BPRM_CREDS_FOR_EXEC);
  EXPECT_EQ(FindHook(HookKind::kLsm, "security_bprm_check"), nullptr);
  EXPECT_EQ(FindHook(HookKind::kKprobe, "bprm_check_security"), nullptr);
  EXPECT_EQ(FindHook(HookKind::kKprobe, ""), nullptr);
}

template <typename Value>
void ExpectDistinct(std::span<const NameRow<Value>> rows) {
  std::set<std::string_view> names;
  std::set<Value> values;
  for (const NameRow<Value>& row : rows) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    if (!row.alias.empty()) {
      EXPECT_TRUE(names.insert(row.alias).second) << row.alias;
    }
    if (row.value) values.insert(*row.value);
  }
  EXPECT_FALSE(values.empty());
}

TEST(Catalog, HasNoNameTwice) {
  ExpectDistinct(Operators());
  ExpectDistinct(ArgumentTypes());
  ExpectDistinct(Actions());
  ExpectDistinct(LabelOperators());
  ExpectDistinct(Modes());
  ExpectDistinct(OnOverlaps());
  ExpectDistinct(Options());
}

TEST(Catalog, KnowsHowOperatorsSearch) {
  struct Case {
    Operator op;
    gh_match match;
    bool negated;
  };
  for (const Case& c :
       {Case{Operator::kEqual, GH_MATCH_EXACT, false},
        Case{Operator::kNotEqual, GH_MATCH_EXACT, true}, Case{Operator::kIn, GH_MATCH_EXACT, false},
        Case{Operator::kNotIn, GH_MATCH_EXACT, true},
        Case{Operator::kPrefix, GH_MATCH_PREFIX, false},
        Case{Operator::kNotPrefix, GH_MATCH_PREFIX, true},
        Case{Operator::kPostfix, GH_MATCH_POSTFIX, false},
        Case{Operator::kNotPostfix, GH_MATCH_POSTFIX, true}}) {
    EXPECT_EQ(TraitsOf(c.op).match, c.match) << NameOf(c.op);
    EXPECT_EQ(TraitsOf(c.op).negated, c.negated) << NameOf(c.op);
  }
}

TEST(Format, NamesValuesAsPoliciesDo) {
  EXPECT_EQ(NameOf(Operator::kNotPostfix), "NotPostfix");
  EXPECT_EQ(NameOf(ActionKind::kSigkill), "Sigkill");
  EXPECT_EQ(NameOf(ArgumentType::kLinuxBinprm), "linux_binprm");
  EXPECT_EQ(NameOf(LabelOperator::kDoesNotExist), "DoesNotExist");
  EXPECT_EQ(NameOf(Mode::kMonitor), "monitor");
  EXPECT_EQ(NameOf(OnOverlap::kMerge), "Merge");
  EXPECT_EQ(NameOf(HookKind::kLsm), "lsmhooks");
  EXPECT_EQ(NameOf(HookKind::kKprobe), "kprobes");
  EXPECT_EQ(NameOf(Subject::kArgument), "matchArgs");
  EXPECT_EQ(NameOf(Subject::kBinary), "matchBinaries");
}

TEST(Format, NamesKindsOfDocuments) {
  Document document;
  TracingPolicy policy;
  document.object = policy;
  EXPECT_EQ(KindOf(document), "TracingPolicy");
  policy.key.ns = "shop";
  document.object = policy;
  EXPECT_EQ(KindOf(document), "TracingPolicyNamespaced");
  document.object = Template{};
  EXPECT_EQ(KindOf(document), "TracingPolicyTemplate");
  document.object = Binding{};
  EXPECT_EQ(KindOf(document), "TracingPolicyBinding");
}

}  // namespace
}  // namespace gatehouse::policy
