// SPDX-License-Identifier: Apache-2.0
// What a good text becomes. What is refused, and with which words, is in tests/corpus/policies/bad.
#include "policy/parse.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "policy/catalog.h"
#include "policy/format.h"

namespace gatehouse::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Document> ParseGood(std::string_view text, const ParseLimits& limits = {}) {
  auto documents = Parse(text, "good.yaml", limits);
  if (documents) return std::move(*documents);
  for (const Diagnostic& each : documents.error()) ADD_FAILURE() << each.ToString();
  return {};
}

std::vector<std::string> Messages(std::string_view text, const ParseLimits& limits = {}) {
  std::vector<std::string> messages;
  const auto documents = Parse(text, "bad.yaml", limits);
  if (documents) return messages;
  for (const Diagnostic& each : documents.error()) messages.push_back(each.ToString());
  return messages;
}

MATCHER_P2(At, line, column, "") {
  return arg.line == static_cast<uint32_t>(line) && arg.column == static_cast<uint32_t>(column);
}

constexpr std::string_view kPolicy = R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicyNamespaced
metadata: {name: a.b-1, namespace: shop}
spec:
  podSelector:
    matchLabels: {app: web}
    matchExpressions:
    - {key: tier, operator: NotIn, values: [b, a, b]}
    - {key: x/y, operator: Exists}
  containerSelector: {}
  options:
  - {name: policy-mode, value: monitor}
  - {name: override-method, value: fmod-ret}
  kprobes:
  - call: security_bprm_creds_for_exec
    syscall: false
    message: text
    tags: [one, two]
    args:
    - {index: 0, type: linux_binprm, label: program}
    selectors:
    - matchBinaries:
      - operator: neq
        values: [/usr/bin/a]
      matchArgs:
      - args: [0]
        operator: NotPostfix
        values:
        - .sh
        - .py
      matchActions:
      - {action: Override, argError: -13}
      - action: Signal
        argSig: 15
      - action: NoPost
    - matchActions:
      - action: Sigkill
  - call: security_bprm_check
    syscall: false
)";

TEST(Parse, ReadsAPolicy) {
  const std::vector<Document> documents = ParseGood(kPolicy);
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_EQ(documents[0].file, "good.yaml");
  EXPECT_EQ(documents[0].text, kPolicy);
  EXPECT_THAT(documents[0].position, At(1, 1));
  ASSERT_TRUE(std::holds_alternative<TracingPolicy>(documents[0].object));
  const auto& policy = std::get<TracingPolicy>(documents[0].object);
  EXPECT_EQ(policy.key.name, "a.b-1");
  EXPECT_EQ(policy.key.ns, "shop");
  EXPECT_EQ(policy.spec.mode, Mode::kMonitor);
  ASSERT_EQ(policy.spec.hooks.size(), 2U);
  const Hook& hook = policy.spec.hooks[0];
  EXPECT_EQ(hook.kind, HookKind::kKprobe);
  EXPECT_EQ(hook.call, "security_bprm_creds_for_exec");
  EXPECT_EQ(hook.message, "text");
  EXPECT_THAT(hook.tags, ElementsAre("one", "two"));
  EXPECT_THAT(hook.position, At(15, 5));
  ASSERT_EQ(hook.arguments.size(), 1U);
  EXPECT_EQ(hook.arguments[0].index, 0U);
  EXPECT_EQ(hook.arguments[0].type, ArgumentType::kLinuxBinprm);
  EXPECT_EQ(hook.arguments[0].label, "program");
  EXPECT_THAT(hook.arguments[0].position, At(20, 7));
  EXPECT_EQ(policy.spec.hooks[1].call, "security_bprm_check");
  EXPECT_THAT(policy.spec.hooks[1].selectors, IsEmpty());
}

TEST(Parse, ReadsWorkloadSelectors) {
  const std::vector<Document> documents = ParseGood(kPolicy);
  ASSERT_EQ(documents.size(), 1U);
  const WorkloadSelector& selector = std::get<TracingPolicy>(documents[0].object).selector;
  EXPECT_FALSE(selector.host);
  EXPECT_FALSE(selector.Unconstrained());
  ASSERT_TRUE(selector.pod.has_value());
  const std::vector<LabelRequirement>& pod = selector.pod->requirements;
  ASSERT_EQ(pod.size(), 3U);
  EXPECT_EQ(pod[0].key, "app");
  EXPECT_EQ(pod[0].op, LabelOperator::kIn);
  EXPECT_THAT(pod[0].values, ElementsAre("web"));
  EXPECT_EQ(pod[1].key, "tier");
  EXPECT_EQ(pod[1].op, LabelOperator::kNotIn);
  EXPECT_THAT(pod[1].values, ElementsAre("a", "b"));
  EXPECT_EQ(pod[2].key, "x/y");
  EXPECT_EQ(pod[2].op, LabelOperator::kExists);
  EXPECT_THAT(pod[2].values, IsEmpty());
  ASSERT_TRUE(selector.container.has_value());
  EXPECT_THAT(selector.container->requirements, IsEmpty());
}

TEST(Parse, ReadsFiltersAndActions) {
  const std::vector<Document> documents = ParseGood(kPolicy);
  ASSERT_EQ(documents.size(), 1U);
  const Spec& spec = std::get<TracingPolicy>(documents[0].object).spec;
  ASSERT_EQ(spec.hooks.size(), 2U);
  ASSERT_EQ(spec.hooks[0].selectors.size(), 2U);
  const Selector& selector = spec.hooks[0].selectors[0];
  EXPECT_THAT(selector.position, At(22, 7));
  ASSERT_EQ(selector.filters.size(), 2U);
  const Filter& binary = selector.filters[0];
  EXPECT_EQ(binary.subject, Subject::kBinary);
  EXPECT_EQ(binary.op, Operator::kNotEqual);
  EXPECT_THAT(binary.values.literals, ElementsAre("/usr/bin/a"));
  EXPECT_THAT(binary.position, At(23, 9));
  EXPECT_THAT(binary.values.position, At(24, 17));
  const Filter& argument = selector.filters[1];
  EXPECT_EQ(argument.subject, Subject::kArgument);
  EXPECT_EQ(argument.which, 0U);
  EXPECT_EQ(argument.op, Operator::kNotPostfix);
  EXPECT_THAT(argument.values.literals, ElementsAre(".sh", ".py"));
  EXPECT_FALSE(argument.values.variable.has_value());
  EXPECT_THAT(argument.values.position, At(29, 9));
  ASSERT_EQ(selector.actions.size(), 3U);
  EXPECT_EQ(selector.actions[0].kind, ActionKind::kOverride);
  EXPECT_EQ(selector.actions[0].error, -13);
  EXPECT_THAT(selector.actions[0].position, At(32, 9));
  EXPECT_EQ(selector.actions[1].kind, ActionKind::kSignal);
  EXPECT_EQ(selector.actions[1].signal, 15);
  EXPECT_EQ(selector.actions[2].kind, ActionKind::kNoPost);
  ASSERT_EQ(spec.hooks[0].selectors[1].actions.size(), 1U);
  EXPECT_EQ(spec.hooks[0].selectors[1].actions[0].signal, SIGKILL);
}

constexpr std::string_view kTemplateAndBinding = R"(
--- # the template
apiVersion: cilium.io/v1alpha1
kind: TracingPolicyTemplate
metadata: {name: t}
spec:
  variables: [{name: paths, type: linux_binprm}, {name: who}]
  lsmhooks:
  - hook: bprm_check_security
    args: [{index: 0, type: linux_binprm}]
    selectors:
    - matchArgs: [{index: 0, operator: NotIn, valuesFromVariable: paths}]
      matchBinaries: [{operator: Prefix, valuesFromVariable: who}]
---
apiVersion: cilium.io/v1alpha1
kind: TracingPolicyBinding
metadata: {name: t-b, namespace: shop}
spec:
  templateRef: {name: t}
  overrideAllowed: true
  overridePriority: -5
  onOverlap: Merge
  containerSelector: {matchLabels: {name: main}}
  bindings:
  - name: paths
    values: [relative/as/well, /a]
  - {name: who, values: [/b/]}
...
)";

TEST(Parse, ReadsATemplate) {
  const std::vector<Document> documents = ParseGood(kTemplateAndBinding);
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_THAT(documents[0].position, At(3, 1));
  EXPECT_TRUE(documents[0].text.starts_with("apiVersion")) << documents[0].text;
  const auto& result = std::get<Template>(documents[0].object);
  EXPECT_EQ(result.key.ToString(), "t");
  ASSERT_EQ(result.variables.size(), 2U);
  EXPECT_EQ(result.variables[0].name, "paths");
  EXPECT_EQ(result.variables[0].type, ArgumentType::kLinuxBinprm);
  EXPECT_THAT(result.variables[0].position, At(7, 15));
  EXPECT_EQ(result.variables[1].name, "who");
  EXPECT_EQ(result.variables[1].type, ArgumentType::kLinuxBinprm) << "of its use";
  ASSERT_EQ(result.spec.hooks.size(), 1U);
  EXPECT_EQ(result.spec.hooks[0].kind, HookKind::kLsm);
  const Selector& selector = result.spec.hooks[0].selectors.at(0);
  EXPECT_EQ(selector.filters.at(0).values.variable, "paths");
  EXPECT_THAT(selector.filters.at(0).values.literals, IsEmpty());
  EXPECT_EQ(selector.filters.at(1).values.variable, "who");
  EXPECT_EQ(result.spec.mode, Mode::kEnforce);
}

TEST(Parse, ReadsABinding) {
  const std::vector<Document> documents = ParseGood(kTemplateAndBinding);
  ASSERT_EQ(documents.size(), 2U);
  EXPECT_FALSE(documents[1].text.ends_with("...\n"));
  const auto& binding = std::get<Binding>(documents[1].object);
  EXPECT_EQ(binding.key.ToString(), "shop/t-b");
  EXPECT_EQ(binding.template_name, "t");
  EXPECT_TRUE(binding.override_allowed);
  EXPECT_EQ(binding.override_priority, -5);
  EXPECT_EQ(binding.on_overlap, OnOverlap::kMerge);
  EXPECT_FALSE(binding.selector.pod.has_value());
  ASSERT_TRUE(binding.selector.container.has_value());
  EXPECT_FALSE(binding.selector.host);
  ASSERT_EQ(binding.values.size(), 2U);
  EXPECT_THAT(binding.values.at("paths").literals, ElementsAre("relative/as/well", "/a"));
  EXPECT_THAT(binding.values.at("paths").position, At(26, 13));
  EXPECT_THAT(binding.values.at("who").literals, ElementsAre("/b/"));
}

TEST(Parse, TakesEveryOperatorOnBothSubjects) {
  for (const char* name :
       {"Equal", "eq", "NotEqual", "neq", "In", "NotIn", "Prefix", "prefix", "NotPrefix",
        "notprefix", "Postfix", "postfix", "NotPostfix", "notpostfix"}) {
    const std::string text =
        std::string("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n") +
        "metadata: {name: p}\nspec:\n  lsmhooks:\n  - hook: bprm_check_security\n"
        "    args: [{index: 0, type: linux_binprm}]\n    selectors:\n"
        "    - matchArgs: [{index: 0, operator: " +
        name + ", values: [/a]}]\n      matchBinaries: [{operator: " + name + ", values: [/a]}]\n";
    const std::vector<Document> documents = ParseGood(text);
    ASSERT_EQ(documents.size(), 1U) << name;
    const auto& policy = std::get<TracingPolicy>(documents[0].object);
    EXPECT_EQ(policy.spec.hooks[0].selectors[0].filters.size(), 2U);
  }
}

/// A policy on LSM hook `hook` with one argument and one filter on it.
std::string FilterPolicy(std::string_view hook, std::string_view type, std::string_view op,
                         std::string_view value) {
  return fmt::format(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n"
      "  lsmhooks:\n  - hook: {}\n    args: [{{index: 0, type: {}}}]\n    selectors:\n"
      "    - matchArgs: [{{index: 0, operator: {}, values: [\"{}\"]}}]\n",
      hook, type, op, value);
}

TEST(Parse, TakesOfEachTypeItsOperatorsAndNoOthers) {
  size_t taken = 0;
  for (const NameRow<ArgumentType>& type : ArgumentTypes()) {
    if (!type.value || *type.value == ArgumentType::kLinuxBinprm) continue;
    const ArgumentTypeTraits traits = TraitsOf(*type.value);
    for (const NameRow<Operator>& op : Operators()) {
      if (!op.value) continue;
      const std::string text =
          FilterPolicy("file_open", type.name, op.name, IsNumber(traits.values) ? "1" : "/a");
      const bool applies = std::ranges::find(traits.operators, *op.value) != traits.operators.end();
      EXPECT_EQ(Messages(text).empty(), applies) << type.name << " " << op.name;
      if (!applies) continue;
      const std::vector<Document> documents = ParseGood(text);
      const Hook& hook = std::get<TracingPolicy>(documents.at(0).object).spec.hooks.at(0);
      EXPECT_EQ(hook.arguments.at(0).type, *type.value);
      EXPECT_EQ(hook.selectors.at(0).filters.at(0).op, *op.value);
      ++taken;
    }
  }
  EXPECT_EQ(taken, 5U * 8 + 12U * 11);
}

TEST(Parse, TakesABprmOfHooksOfBprms) {
  EXPECT_THAT(Messages(FilterPolicy("bprm_committing_creds", "linux_binprm", "In", "/a")),
              IsEmpty());
  EXPECT_THAT(Messages(FilterPolicy("bprm_check_security", "linux_binprm", "In", "/a")), IsEmpty());
  EXPECT_EQ(Messages(FilterPolicy("bprm_check_security", "file", "In", "/a")).size(), 1U);
  EXPECT_EQ(Messages(FilterPolicy("file_open", "linux_binprm", "In", "/a")).size(), 1U);
}

TEST(Parse, BoundsNamesInTheKernel) {
  const std::string longest(127, 'x');
  EXPECT_THAT(Messages(FilterPolicy(longest, "int", "In", "1")), IsEmpty());
  EXPECT_EQ(Messages(FilterPolicy(longest + "x", "int", "In", "1")).size(), 1U);
}

std::string PolicyNamed(const std::string& name) {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec: {lsmhooks: [{hook: bprm_check_security}]}\n";
}

TEST(Parse, TakesNoTextAsNoDocuments) {
  EXPECT_THAT(ParseGood(""), IsEmpty());
  EXPECT_THAT(ParseGood("# nothing\n---\n~\n---\nnull\n"), IsEmpty());
}

TEST(Parse, RefusesAllIfOneIsBad) {
  EXPECT_THAT(Messages(PolicyNamed("a") + "---\nkind: 1\n---\n" + PolicyNamed("b")).size(), 4U);
}

TEST(Parse, NamesItsLimits) {
  ParseLimits limits;
  limits.documents = 1;
  EXPECT_THAT(
      Messages(PolicyNamed("a") + "---\n" + PolicyNamed("b"), limits),
      ElementsAre("bad.yaml:5:1: more than 1 documents; split the text into several files"));
  limits = {};
  limits.nodes = 16;
  EXPECT_EQ(ParseGood(PolicyNamed("a")).size(), 1U);
  EXPECT_THAT(Messages(PolicyNamed("a") + "---\n" + PolicyNamed("b"), limits),
              ElementsAre("bad.yaml:6:1: the text has more than 16 nodes; split it into several "
                          "files; an alias counts as all that it stands for"));
  limits = {};
  limits.values_per_filter = 2;
  const std::string text =
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
      "  lsmhooks:\n  - hook: bprm_check_security\n    selectors:\n    - matchBinaries:\n"
      "      - {operator: In, values: [/a, /b, /c]}\n";
  EXPECT_EQ(ParseGood(text).size(), 1U);
  EXPECT_THAT(
      Messages(text, limits),
      ElementsAre(
          "bad.yaml:9:32: spec.lsmhooks[0].selectors[0].matchBinaries[0].values: 3 entries, "
          "more than 2; split the list"));
}

TEST(ParseEach, HandsOverDocumentsUpToTheFirstError) {
  std::vector<std::string> names;
  const auto sink = [&](const Document& document) { names.push_back(document.key().name); };
  EXPECT_THAT(ParseEach(PolicyNamed("a") + "---\n" + PolicyNamed("b"), "", {}, sink), IsEmpty());
  EXPECT_THAT(names, ElementsAre("a", "b"));
  names.clear();
  EXPECT_EQ(ParseEach(PolicyNamed("a") + "---\n[\n---\n" + PolicyNamed("b"), "", {}, sink).size(),
            1U);
  EXPECT_THAT(names, ElementsAre("a"));
}

TEST(Parse, TakesTenThousandValuesOfAnyLength) {
  std::string text =
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyBinding\nmetadata: {name: b}\nspec:\n"
      "  templateRef: {name: t}\n  bindings:\n  - name: v\n    values:\n";
  for (int i = 0; i < 10'000; ++i) text += "    - /usr/bin/" + std::to_string(i) + "\n";
  text += "    - /" + std::string(4094, 'x') + "\n";
  const std::vector<Document> documents = ParseGood(text);
  ASSERT_EQ(documents.size(), 1U);
  const Values& values = std::get<Binding>(documents[0].object).values.at("v");
  ASSERT_EQ(values.literals.size(), 10'001U);
  EXPECT_EQ(values.literals[9'999], "/usr/bin/9999");
  EXPECT_EQ(values.literals[10'000].size(), 4095U);
}

}  // namespace
}  // namespace gatehouse::policy
