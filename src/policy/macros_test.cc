// SPDX-License-Identifier: Apache-2.0
// What macros of selectors become. What is refused is in tests/corpus/policies/bad/macros.yaml.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/parse.h"

namespace gatehouse::policy {
namespace {

using testing::ElementsAre;

std::string Policy(std::string_view spec) {
  return fmt::format(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n{}",
      spec);
}

std::vector<Hook> HooksOf(std::string_view spec) {
  const auto documents = Parse(Policy(spec), "p.yaml");
  if (documents) return std::get<TracingPolicy>(documents->at(0).object).spec.hooks;
  for (const Diagnostic& each : documents.error()) ADD_FAILURE() << each.ToString();
  return {};
}

constexpr std::string_view kBig =
    "  selectorsMacros:\n"
    "    big: {matchArgs: [{index: 2, operator: GT, values: [\"4096\"]}]}\n"
    "    kill: {matchActions: [{action: Sigkill}]}\n";

TEST(Macros, AddTheirFiltersAndActionsToASelector) {
  const std::vector<Hook> hooks = HooksOf(std::string(kBig) +
                                          "  kprobes:\n  - call: sys_read\n"
                                          "    args: [{index: 2, type: size_t}]\n"
                                          "    selectors:\n"
                                          "    - matchPIDs: [{operator: In, values: [1]}]\n"
                                          "      macros: [big, kill]\n"
                                          "    - macros: [kill]\n");
  ASSERT_EQ(hooks.size(), 1U);
  const std::vector<Selector>& selectors = hooks[0].selectors;
  ASSERT_EQ(selectors.size(), 2U);
  ASSERT_EQ(selectors[0].filters.size(), 2U);
  EXPECT_EQ(selectors[0].filters[0].subject, Subject::kPid);
  EXPECT_EQ(selectors[0].filters[1].subject, Subject::kArgument);
  EXPECT_EQ(selectors[0].filters[1].op, Operator::kGreater);
  EXPECT_THAT(selectors[0].filters[1].values.literals, ElementsAre("4096"));
  EXPECT_EQ(selectors[0].filters[1].position.line, 6U) << "the filter is where it is written";
  EXPECT_EQ(selectors[0].position.line, 12U);
  ASSERT_EQ(selectors[0].actions.size(), 1U);
  EXPECT_EQ(selectors[0].actions[0].kind, ActionKind::kSigkill);
  EXPECT_TRUE(selectors[1].filters.empty());
  EXPECT_EQ(selectors[1].actions.size(), 1U);
}

TEST(Macros, AreAboutTheArgumentsOfTheHookThatUsesThem) {
  const std::vector<Hook> hooks = HooksOf(
      std::string(kBig) +
      "  kprobes:\n"
      "  - {call: sys_read, args: [{index: 2, type: size_t}], selectors: [{macros: [big]}]}\n"
      "  - call: sys_write\n"
      "    args: [{index: 0, type: fd}, {index: 2, type: size_t}]\n"
      "    selectors: [{macros: [big]}]\n");
  ASSERT_EQ(hooks.size(), 2U);
  EXPECT_EQ(hooks[0].selectors.at(0).filters.at(0).which, 0U);
  EXPECT_EQ(hooks[1].selectors.at(0).filters.at(0).which, 1U);
}

TEST(Macros, UseVariablesIfASelectorUsesThem) {
  const auto tmpl = [](std::string_view selector) {
    return fmt::format(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyTemplate\nmetadata: {{name: t}}\n"
        "spec:\n  variables: [{{name: v}}]\n"
        "  selectorsMacros: {{m: {{matchBinaries: [{{operator: In, valuesFromVariable: v}}]}}}}\n"
        "  kprobes: [{{call: sys_dup, selectors: [{}]}}]\n",
        selector);
  };
  const auto used = Parse(tmpl("{macros: [m]}"), "t.yaml");
  ASSERT_TRUE(used.has_value());
  const auto& object = std::get<Template>(used->at(0).object);
  EXPECT_EQ(object.variables.at(0).type, ArgumentType::kLinuxBinprm);
  EXPECT_EQ(object.spec.hooks.at(0).selectors.at(0).filters.at(0).values.variable, "v");

  const auto unused = Parse(tmpl("{matchActions: [{action: Post}]}"), "t.yaml");
  ASSERT_FALSE(unused.has_value());
  EXPECT_EQ(unused.error().at(0).ToString(),
            "t.yaml:5:15: spec.variables[0]: no filter uses variable \"v\"; name it in "
            "valuesFromVariable, or remove it");
}

/// The least number of nodes that `text` can be read with.
size_t NodesOf(const std::string& text) {
  ParseLimits limits;
  for (limits.nodes = 1; !Parse(text, "", limits); ++limits.nodes) {
    if (limits.nodes == 1'000) ADD_FAILURE() << "not to be read with any number of nodes";
    if (limits.nodes == 1'000) break;
  }
  return limits.nodes;
}

TEST(Macros, CountForEachUseLikeAliases) {
  const auto policy = [](std::string_view name, std::string_view macro) {
    return fmt::format(
        "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: {}}}\nspec:\n"
        "  selectorsMacros: {{empty: {{}}, one: {{matchPIDs: [{{operator: In, values: [1]}}]}}}}\n"
        "  kprobes: [{{call: sys_dup, selectors: [{{macros: [{}]}}]}}]\n",
        name, macro);
  };
  constexpr size_t kNodesOfFilter = 8;  // behind {}: matchPIDs, [{}], operator, In, values, [1]
  const size_t with_empty = NodesOf(policy("a", "empty"));
  EXPECT_EQ(NodesOf(policy("a", "one")), with_empty + kNodesOfFilter);
  EXPECT_EQ(NodesOf(policy("a", "one") + policy("b", "one")), 2 * (with_empty + kNodesOfFilter))
      << "in all documents of a text together";
}

TEST(Macros, AreNoWayToMoreMemory) {
  std::string text =
      "  selectorsMacros:\n    m:\n      matchBinaries:\n      - operator: In\n"
      "        values:\n";
  for (int i = 0; i < 10'000; ++i) text += fmt::format("        - /{}\n", i);
  text += "  kprobes:\n";
  for (int hook = 0; hook < 64; ++hook) {
    text += "  - call: sys_dup\n    selectors:\n";
    for (int selector = 0; selector < 64; ++selector) text += "    - macros: [m]\n";
  }
  ParseLimits limits;
  limits.nodes = 100'000;
  const auto documents = Parse(Policy(text), "p.yaml", limits);
  ASSERT_FALSE(documents.has_value());
  ASSERT_EQ(documents.error().size(), 1U);
  EXPECT_EQ(
      documents.error()[0].ToString(),
      "p.yaml:10020:16: spec.kprobes[0].selectors[7].macros[0]: the text has more than 100000 "
      "nodes; split it into several files; a macro counts for each selector that uses it");
}

}  // namespace
}  // namespace gatehouse::policy
