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
#include "policy/sites.h"

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

/// A value that fits the operator on the type, if it is for that.
std::string_view ValueFor(ArgumentType type, Operator op) {
  const ValueKind values = TraitsOf(type).values;
  if (op == Operator::kFileType || op == Operator::kNotFileType) return "reg";
  if (op == Operator::kSameFile || op == Operator::kNotSameFile) return "/a";
  if (op == Operator::kFamily) return "1";
  if (values != ValueKind::kSocket) return IsNumber(values) ? "1" : "/a";
  return TraitsOf(op, ValueKind::kAddress).match == GH_MATCH_ADDRESS && !TakesRanges(op)
             ? "10.0.0.0/8"
             : "1";
}

TEST(Parse, TakesOfEachTypeItsOperatorsAndNoOthers) {
  size_t taken = 0;
  for (const NameRow<ArgumentType>& type : ArgumentTypes()) {
    if (!type.value || *type.value == ArgumentType::kLinuxBinprm) continue;
    const ArgumentTypeTraits traits = TraitsOf(*type.value);
    for (const NameRow<Operator>& op : Operators()) {
      if (!op.value) continue;
      if (!ValueOf(*op.value).empty()) continue;
      if (*op.value == Operator::kCapabilitiesGained) continue;  // is about two arguments
      const bool has_length =
          *type.value == ArgumentType::kBuffer || *type.value == ArgumentType::kIovec;
      const std::string text = FilterPolicy(
          "file_open", std::string(type.name) + (has_length ? ", sizeArgIndex: 2" : ""), op.name,
          ValueFor(*type.value, *op.value));
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
  // Of texts and buffers, paths, addresses of AF_UNIX; numbers, sets of capabilities; sockets,
  // packets, addresses; what is not known yet.
  EXPECT_EQ(taken, 12U * 8 + 5U * 18 + 13 + 14U * 12 + 4U * 5 + 2U * 11 + 10 + 5 + 37);
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

/// The hooks of a policy whose spec this is.
std::vector<Hook> HooksOf(const std::string& spec) {
  std::string text =
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n";
  text += spec;
  const std::vector<Document> documents = ParseGood(text);
  return documents.empty() ? std::vector<Hook>()
                           : std::get<TracingPolicy>(documents[0].object).spec.hooks;
}

TEST(Parse, APrivilegedPortIsARange) {
  const std::vector<Hook> hooks = HooksOf(
      "  lsmhooks:\n  - hook: socket_bind\n    args: [{index: 1, type: sockaddr}]\n"
      "    selectors:\n    - matchArgs: [{index: 1, operator: SPortPriv},\n"
      "        {index: 1, operator: NotSPortPriv}]\n");
  ASSERT_EQ(hooks.size(), 1U);
  for (const Filter& filter : hooks[0].selectors.at(0).filters) {
    EXPECT_THAT(filter.values.literals, ElementsAre("0:1023"));
  }
}

TEST(Parse, ReadsRateLimits) {
  const std::vector<Hook> hooks = HooksOf(
      "  kprobes:\n  - call: sys_openat\n    selectors:\n"
      "    - matchActions: [{action: Post, rateLimit: 5m}]\n"
      "    - matchActions: [{action: Post, rateLimit: \"30\", rateLimitScope: process}]\n"
      "    - matchActions: [{action: Post, rateLimit: 7s, rateLimitScope: global}]\n"
      "    - matchActions: [{action: Post, rateLimit: 2h, rateLimitScope: thread}]\n");
  ASSERT_EQ(hooks.size(), 1U);
  const auto action = [&](size_t selector) {
    return hooks[0].selectors.at(selector).actions.at(0);
  };
  EXPECT_EQ(action(0).interval_s, 300U);
  EXPECT_EQ(action(0).scope, RateScope::kThread);
  EXPECT_EQ(action(1).interval_s, 30U);
  EXPECT_EQ(action(1).scope, RateScope::kProcess);
  EXPECT_EQ(action(2).interval_s, 7U);
  EXPECT_EQ(action(2).scope, RateScope::kGlobal);
  EXPECT_EQ(action(3).interval_s, 7200U);
  EXPECT_EQ(action(3).scope, RateScope::kThread);
}

TEST(Parse, ReadsStacks) {
  const std::vector<Hook> hooks = HooksOf(
      "  kprobes:\n  - call: sys_openat\n    selectors:\n"
      "    - matchActions: [{action: Post}]\n"
      "    - matchActions: [{action: Post, kernelStackTrace: true, userStackTrace: false}]\n"
      "    - matchActions: [{action: Post, userStackTrace: true}]\n"
      "    - matchActions: [{action: Sigkill, kernelStackTrace: false}]\n");
  ASSERT_EQ(hooks.size(), 1U);
  const auto action = [&](size_t selector) {
    return hooks[0].selectors.at(selector).actions.at(0);
  };
  EXPECT_FALSE(action(0).kernel_stack || action(0).user_stack);
  EXPECT_TRUE(action(1).kernel_stack && !action(1).user_stack);
  EXPECT_TRUE(!action(2).kernel_stack && action(2).user_stack);
  EXPECT_FALSE(action(3).kernel_stack || action(3).user_stack);
}

TEST(Parse, AListIsAHookForEachOfItsNames) {
  const std::vector<Hook> hooks = HooksOf(
      "  lists:\n  - {name: dups, type: syscalls, values: [sys_dup, __x64_sys_dup2]}\n"
      "  kprobes:\n  - call: \"list:dups\"\n    args: [{index: 0, type: fd, label: old}]\n"
      "    message: text\n  - call: sys_close\n");
  ASSERT_EQ(hooks.size(), 3U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(hooks[i].system_call);
    EXPECT_EQ(hooks[i].message, "text");
    ASSERT_EQ(hooks[i].arguments.size(), 1U);
    EXPECT_EQ(hooks[i].arguments[0].type, ArgumentType::kFd);
  }
  EXPECT_EQ(hooks[0].call, "dup");
  EXPECT_EQ(hooks[1].call, "dup2");
  EXPECT_EQ(SiteOf(hooks[1]), (Site{Site::Kind::kSystemCall, "dup2"}));
  EXPECT_EQ(FunctionName(hooks[2]), "__x64_sys_close");
}

TEST(Parse, FunctionsMayStandInFentries) {
  const std::vector<Hook> hooks = HooksOf(
      "  fentries:\n  - {call: vfs_open, syscall: false, args: [{index: 0, type: path}]}\n");
  ASSERT_EQ(hooks.size(), 1U);
  EXPECT_EQ(hooks[0].kind, HookKind::kKprobe);
  EXPECT_EQ(SiteOf(hooks[0]), (Site{Site::Kind::kFunction, "vfs_open"}));
}

TEST(Parse, ReturnSaysWhereAHookIsJudged) {
  const std::string hook =
      "  kprobes:\n  - call: security_file_open\n    syscall: false\n"
      "    returnArg: {index: 0, type: int, label: result}\n";
  const std::vector<Hook> without = HooksOf(hook);
  ASSERT_EQ(without.size(), 1U);
  EXPECT_FALSE(without[0].returned) << "returnArg alone says nothing";
  const std::vector<Hook> with = HooksOf(hook + "    return: true\n");
  ASSERT_EQ(with.size(), 1U);
  ASSERT_TRUE(with[0].returned);
  EXPECT_EQ(with[0].returned->type, ArgumentType::kInt32);
  EXPECT_EQ(with[0].returned->label, "result");
  EXPECT_EQ(SiteOf(with[0]), (Site{Site::Kind::kFunction, "security_file_open", true}));
  EXPECT_EQ(SiteBefore(with[0]), (Site{Site::Kind::kFunction, "security_file_open", false}));
}

TEST(Parse, ACapabilityOfANamespaceIsTwoFilters) {
  const std::vector<Hook> hooks = HooksOf(
      "  kprobes:\n  - call: sys_close\n    selectors:\n    - matchCapabilities:\n"
      "      - {type: Permitted, operator: In, values: [CAP_CHOWN], isNamespaceCapability: true}\n"
      "      matchPIDs: [{operator: NotIn, values: [1, 22], isNamespacePID: true}]\n");
  ASSERT_EQ(hooks.size(), 1U);
  const std::vector<Filter>& filters = hooks[0].selectors.at(0).filters;
  ASSERT_EQ(filters.size(), 3U);
  EXPECT_EQ(filters[0].subject, Subject::kCapabilities);
  EXPECT_EQ(filters[0].which, static_cast<uint32_t>(GH_CAPABILITIES_PERMITTED));
  EXPECT_EQ(filters[1].subject, Subject::kNamespace);
  EXPECT_EQ(filters[1].which, static_cast<uint32_t>(GH_NAMESPACE_USER));
  EXPECT_EQ(filters[1].op, Operator::kNotIn);
  EXPECT_THAT(filters[1].values.literals, ElementsAre("host_ns"));
  EXPECT_EQ(filters[2].subject, Subject::kNamespacePid);
  EXPECT_THAT(filters[2].values.literals, ElementsAre("1", "22"));
}

TEST(Parse, AVariableOfCapabilitiesStandsForOnesOfASet) {
  const auto tmpl = [](const std::string& type, const std::string& filter) {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyTemplate\nmetadata: {name: "
           "t}\nspec:\n"
           "  variables: [{name: v, type: " +
           type + "}]\n  kprobes:\n  - call: sys_close\n    selectors:\n    - " + filter + "\n";
  };
  const std::string capabilities = "matchCapabilities: [{operator: In, valuesFromVariable: v}]";
  EXPECT_THAT(Messages(tmpl("capability", capabilities)), IsEmpty());
  EXPECT_EQ(Messages(tmpl("uint64", capabilities)).size(), 1U);
  EXPECT_EQ(Messages(tmpl("string", capabilities)).size(), 1U);
  const std::string ids = "matchPIDs: [{operator: In, valuesFromVariable: v}]";
  EXPECT_THAT(Messages(tmpl("uint32", ids)), IsEmpty());
  EXPECT_EQ(Messages(tmpl("capability", ids)).size(), 1U);
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

TEST(Parse, Usdts) {
  const auto documents = ParseGood(R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  usdts:
  - path: /bin/app
    provider: app
    name: "a:probe"
    args: [{index: 3}, {index: 1, type: string}]
    selectors: [{matchActions: [{action: Set, argIndex: 1, argValue: 0x20}]}]
)");
  ASSERT_EQ(documents.size(), 1U);
  const Hook& hook = std::get<TracingPolicy>(documents[0].object).spec.hooks.at(0);
  EXPECT_EQ(hook.kind, HookKind::kUsdt);
  EXPECT_EQ(hook.source, "/bin/app");
  EXPECT_EQ(hook.call, "app:a:probe");
  EXPECT_EQ(hook.arguments[0].type, ArgumentType::kInt64);
  EXPECT_TRUE(hook.arguments[0].untyped);
  EXPECT_FALSE(hook.arguments[1].untyped);
  const Action& action = hook.selectors.at(0).actions.at(0);
  EXPECT_EQ(action.kind, ActionKind::kSet);
  EXPECT_EQ(action.argument, 1U);
  EXPECT_EQ(action.value, 0x20U);
}

TEST(Parse, LoaderIsAHookOfItsOwn) {
  const auto documents = ParseGood(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\n"
      "spec: {loader: true}\n");
  ASSERT_EQ(documents.size(), 1U);
  const std::vector<Hook>& hooks = std::get<TracingPolicy>(documents[0].object).spec.hooks;
  ASSERT_EQ(hooks.size(), 1U);
  EXPECT_EQ(hooks[0].kind, HookKind::kLoader);
  EXPECT_EQ(NameOf(SiteOf(hooks[0])), "loader");
  EXPECT_EQ(hooks[0].arguments.size(), 2U);
}

TEST(Parse, UprobesMaySayMore) {
  const auto documents = ParseGood(R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  uprobes:
  - path: /bin/app
    symbols: [a, b]
    refCtrOffsets: [0, 0x4000]
    binaryDigests: ["build-id:C0FFEE"]
    ignore: {digestVerificationFailure: true}
    return: true
    returnArg: {index: 0, type: string}
)");
  ASSERT_EQ(documents.size(), 1U);
  const std::vector<Hook>& hooks = std::get<TracingPolicy>(documents[0].object).spec.hooks;
  ASSERT_EQ(hooks.size(), 2U);
  EXPECT_EQ(hooks[0].counter, 0U);
  EXPECT_EQ(hooks[1].counter, 0x4000U);
  EXPECT_THAT(hooks[1].digests, ElementsAre("build-id:c0ffee"));
  EXPECT_TRUE(hooks[1].may_differ);
  EXPECT_EQ(hooks[1].returned->type, ArgumentType::kString);
}

class LargeText : public testing::Test {
 protected:
  static constexpr size_t kDocuments = 500;

  /// Documents p0, p1 and so on, each of nine lines and more than two kilobytes.
  static std::string DocumentOf(size_t number) {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p" +
           std::to_string(number) +
           "}\nspec:\n  lsmhooks:\n  - hook: bprm_check_security\n    selectors:\n"
           "    - matchBinaries: [{operator: In, values: [/" +
           std::string(2500, 'x') + "]}]\n---\n";
  }
  static std::string Text() {
    std::string text;
    for (size_t i = 0; i < kDocuments; ++i) text += DocumentOf(i);
    return text;
  }
  static constexpr uint32_t kLines = 9;
};

TEST_F(LargeText, IsReadInItsOrder) {
  const std::vector<Document> documents = ParseGood(Text());
  ASSERT_EQ(documents.size(), kDocuments);
  for (size_t i = 0; i < kDocuments; ++i) {
    EXPECT_EQ(documents[i].key().name, "p" + std::to_string(i));
    EXPECT_THAT(documents[i].position, At(1 + i * kLines, 1));
    EXPECT_EQ(documents[i].text + "---\n", DocumentOf(i));
  }
}

TEST_F(LargeText, HandsNothingOverAfterTheFirstError) {
  std::string text = Text();
  const std::string after = DocumentOf(300);
  text.replace(text.find(after), after.size(), "[\n---\n" + after);
  text += "kind: 1\n---\n" + DocumentOf(7);
  size_t handed_over = 0;
  const std::vector<Diagnostic> diagnostics =
      ParseEach(text, "", {}, [&](const Document&) { ++handed_over; });
  EXPECT_EQ(handed_over, 300U);
  ASSERT_GE(diagnostics.size(), 3U) << "the errors behind it are found as well";
  EXPECT_EQ(diagnostics.front().position.line / kLines, 300U);
  EXPECT_THAT(diagnostics.back().cause, testing::HasSubstr("\"p7\" is there twice"));
}

TEST_F(LargeText, HasTheLimitsOfATextAsAWhole) {
  ParseLimits limits;
  limits.documents = 400;
  const std::vector<std::string> messages = Messages(Text(), limits);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_THAT(messages[0], testing::HasSubstr("more than 400 documents"));
  limits = {};
  limits.nodes = 1000;
  EXPECT_EQ(Messages(Text(), limits).size(), 1U);
}

TEST_F(LargeText, StopsWhenThereIsEnoughToSay) {
  std::string text;
  for (size_t i = 0; i < kDocuments; ++i) text += "kind: " + std::string(3000, 'x') + "\n---\n";
  EXPECT_EQ(Messages(text).size(), kDiagnosticsMax);
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
