// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "daemon/fake_kernel.h"
#include "daemon/test_policies.h"
#include "policy/sites.h"

namespace gatehouse::daemon {
namespace {

using testing::BindingText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PolicyText;
using testing::TemplateText;

constexpr const char* kRoot = "/cg";
constexpr const char* kSeparator = "---\n";
constexpr size_t kManyDocuments = size_t{2} * GH_POLICIES_PER_GATE_MAX + 1;

class AgentTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(kernel_->violations(), IsEmpty()); }

  Agent& Make(AgentOptions options = {}, kernel::Backend backend = kernel::Backend::kLsm) {
    options.cgroup_root = kRoot;
    options.cgroup_id = [this](const std::string& path) -> std::optional<uint64_t> {
      const auto found = cgroups_.find(path);
      if (found == cgroups_.end()) return std::nullopt;
      return found->second;
    };
    agent_.reset();
    kernel_ = std::make_unique<FakeKernel>(backend);
    agent_ = std::make_unique<Agent>(strings_, *kernel_, std::move(options));
    return *agent_;
  }

  bind::WorkloadId AddWorkload(const std::string& cgroup,
                               workload::Labels labels = {{"app", "web"}}) {
    const auto added = agent_->AddWorkload(Identity(cgroup, std::move(labels)), false);
    EXPECT_TRUE(added) << added.error().Message();
    return added ? added->workload->id : 0;
  }

  static workload::Workload Identity(const std::string& cgroup, workload::Labels labels) {
    workload::Workload workload;
    workload.cgroup = cgroup;
    workload.labels = std::move(labels);
    return workload;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const PolicyView& view : agent_->ListPolicies())
      names.push_back(view.status.key.ToString());
    return names;
  }

  compile::StringPool strings_;
  std::map<std::string, uint64_t> cgroups_;  // what exists, for ReconcileCgroups
  std::unique_ptr<FakeKernel> kernel_ = std::make_unique<FakeKernel>();
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentTest, AppliesAllDocumentsOfATextInOneStep) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  const uint64_t before = kernel_->generation();
  const auto result = agent.AddPolicies(
      PolicyText{.name = "b"}.ToString() + kSeparator + PolicyText{.name = "a"}.ToString(),
      "f.yaml", {});
  ASSERT_TRUE(result.applied) << result.Message(1000);
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_EQ(kernel_->generation(), before + 1);
  ASSERT_EQ(kernel_->Programs(id).size(), 2u);
  ASSERT_EQ(result.documents.size(), 2u);
  EXPECT_EQ(result.documents[0].key.name, "b");
  EXPECT_EQ(result.documents[0].outcome, Outcome::kAdded);
  EXPECT_EQ(result.documents[1].position.line, 15u);
}

TEST_F(AgentTest, OneRefusedDocumentLeavesEverythingUnchanged) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  const uint64_t before = kernel_->generation();
  const auto result = agent.AddPolicies(
      PolicyText{.name = "new"}.ToString() + kSeparator + PolicyText{}.ToString(), "", {});
  EXPECT_FALSE(result.applied);
  EXPECT_EQ(result.code, ErrorCode::kExists);
  EXPECT_EQ(result.documents[0].outcome, Outcome::kNotApplied);
  EXPECT_EQ(result.documents[1].outcome, Outcome::kRefused);
  EXPECT_THAT(result.Message(1000), HasSubstr("policy/web: exists already"));
  EXPECT_THAT(Names(), ElementsAre("web"));
  EXPECT_EQ(kernel_->generation(), before);
  EXPECT_EQ(kernel_->Group(id).size(), 1u);
}

TEST_F(AgentTest, ATextThatDoesNotParseSaysWhereAndChangesNothing) {
  Agent& agent = Make();
  const auto result = agent.AddPolicies(PolicyText{}.ToString() + kSeparator +
                                            PolicyText{.name = "b", .action = "Overide"}.ToString(),
                                        "f.yaml", {});
  EXPECT_FALSE(result.applied);
  EXPECT_EQ(result.code, ErrorCode::kInvalid);
  EXPECT_THAT(result.documents, IsEmpty());
  EXPECT_THAT(result.Message(1000), HasSubstr("f.yaml:27:"));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(AgentTest, ATextWithWarningsIsTakenAndTellsThem) {
  Agent& agent = Make();
  const std::string warned =
      PolicyText{.filter = "matchArgs: [{index: 0, operator: Prefix, values: [bin/]}]"}.ToString();
  const auto result = agent.AddPolicies(warned, "f.yaml", {});
  ASSERT_TRUE(result.applied) << result.Message(1000);
  EXPECT_FALSE(result.refused());
  EXPECT_THAT(Names(), ElementsAre("web"));
  ASSERT_EQ(result.diagnostics.size(), 1u);
  EXPECT_EQ(result.diagnostics[0].severity, policy::Severity::kWarning);
  EXPECT_THAT(result.Message(1000), HasSubstr("warning: f.yaml:12:"));

  const auto refused = agent.AddPolicies(warned, "f.yaml", {});
  EXPECT_FALSE(refused.applied) << "the name is taken";
  EXPECT_TRUE(refused.refused());
  EXPECT_THAT(refused.Message(1000), HasSubstr("exists already"));
}

TEST_F(AgentTest, ANameTwiceInOneTextIsRefusedAlsoWithReplace) {
  Agent& agent = Make();
  const std::string text = PolicyText{}.ToString() + kSeparator + PolicyText{}.ToString();
  const auto result = agent.AddPolicies(text, "f.yaml", {.replace = true});
  EXPECT_FALSE(result.applied);
  EXPECT_THAT(result.Message(1000), HasSubstr("is there twice"));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(AgentTest, WhenTheKernelFailsNothingHasChanged) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  const auto group = kernel_->Group(id);
  const Error full{ErrorCode::kSystem, "arena", "cannot grow", ""};

  kernel_->FailNextApply(full);
  EXPECT_FALSE(agent.AddPolicies(PolicyText{.name = "b"}.ToString(), "", {}).applied);
  kernel_->FailNextApply(full);
  EXPECT_FALSE(agent.DeletePolicy({"web", ""}));
  kernel_->FailNextApply(full);
  EXPECT_FALSE(agent.Configure({"web", ""}, false, {}));
  EXPECT_THAT(Names(), ElementsAre("web"));
  EXPECT_EQ(kernel_->Group(id), group);
  EXPECT_EQ(agent.GetPolicy({"web", ""})->status.state, bind::State::kEnabled);

  // And afterwards it works.
  EXPECT_TRUE(agent.AddPolicies(PolicyText{.name = "b"}.ToString(), "", {}).applied);
  EXPECT_TRUE(agent.DeletePolicy({"web", ""}));
  EXPECT_THAT(Names(), ElementsAre("b"));
}

TEST_F(AgentTest, OnePolicyTooManyIsRefusedAtItsPlace) {
  Agent& agent = Make();
  AddWorkload("/cg/a");
  std::string text;
  for (size_t i = 0; i < GH_POLICIES_PER_GATE_MAX; ++i) {
    text += PolicyText{.name = "p" + std::to_string(i)}.ToString() + kSeparator;
  }
  ASSERT_TRUE(agent.AddPolicies(text, "", {}).applied);
  const std::string more =
      PolicyText{.name = "other", .selector = "podSelector: {matchLabels: {app: x}}"}.ToString() +
      kSeparator + PolicyText{.name = "q"}.ToString();
  for (const bool dry_run : {true, false}) {
    const auto result = agent.AddPolicies(more, "f.yaml", {.dry_run = dry_run});
    EXPECT_FALSE(result.applied);
    EXPECT_EQ(result.code, ErrorCode::kRefused);
    ASSERT_EQ(result.documents.size(), 2u);
    EXPECT_EQ(result.documents[0].outcome, Outcome::kNotApplied);
    EXPECT_EQ(result.documents[1].outcome, Outcome::kRefused);
    EXPECT_THAT(result.Message(1000), HasSubstr("f.yaml:15:1: policy/q: workload \"/cg/a\""));
    EXPECT_THAT(result.Message(1000), HasSubstr("; narrow its selector"));
  }
  EXPECT_THAT(agent.SyncFiles({{"/p/f.yaml", more}}).at(0).Message(1000),
              HasSubstr("/p/f.yaml:15:1: policy/q: "));
}

TEST_F(AgentTest, DryRunChecksAndChangesNothing) {
  Agent& agent = Make();
  const uint64_t before = kernel_->generation();
  const auto good = agent.AddPolicies(PolicyText{}.ToString(), "", {.dry_run = true});
  EXPECT_TRUE(good.applied);
  EXPECT_EQ(good.documents[0].outcome, Outcome::kAdded);
  EXPECT_FALSE(
      agent.AddPolicies(PolicyText{.selector = ""}.ToString(), "", {.dry_run = true}).applied);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_EQ(kernel_->generation(), before);
}

TEST_F(AgentTest, WhatEnforcesOnTheHostNeedsTheOperatorsWord) {
  Agent& agent = Make();
  for (const char* selector : {"", "hostSelector: {}"}) {
    for (const char* action : {"Override", "Sigkill"}) {
      const auto refused =
          agent.AddPolicies(PolicyText{.selector = selector, .action = action}.ToString(), "", {});
      EXPECT_FALSE(refused.applied) << selector << action;
      EXPECT_EQ(refused.code, ErrorCode::kRefused);
      EXPECT_THAT(refused.Message(1000), HasSubstr("--allow-host-enforcement"));
    }
  }
  EXPECT_TRUE(
      agent
          .AddPolicies(PolicyText{.name = "p", .selector = "", .action = "Post"}.ToString(), "", {})
          .applied);
  EXPECT_TRUE(agent
                  .AddPolicies(
                      PolicyText{.name = "m", .selector = "", .mode = "monitor"}.ToString(), "", {})
                  .applied);
  const auto enforced = agent.Configure({"m", ""}, {}, policy::Mode::kEnforce);
  ASSERT_FALSE(enforced);
  EXPECT_EQ(enforced.error().code, ErrorCode::kRefused);
  EXPECT_FALSE(
      agent.AddPolicies(PolicyText{.name = "m", .selector = ""}.ToString(), "", {.replace = true})
          .applied);
  for (const auto& program : kernel_->Programs(bind::kHostWorkload)) {
    const bool posts_only = program->hooks[0].rules[0].actions == GH_ACTION_POST;
    EXPECT_TRUE(program->monitor || posts_only);
  }
}

TEST_F(AgentTest, HostEnforcementIsTakenWhenAllowed) {
  Agent& agent = Make({.allow_host_enforcement = true});
  EXPECT_TRUE(agent.AddPolicies(PolicyText{.selector = ""}.ToString(), "", {}).applied);
  EXPECT_EQ(kernel_->Group(bind::kHostWorkload).size(), 1u);
}

TEST_F(AgentTest, ActionsOnTheNetworkNeedConsent) {
  const std::string text =
      PolicyText{.name = "canary", .action = "DnsLookup, argFqdn: canary.example.com"}.ToString();
  const auto refused = Make({}).AddPolicies(text, "", {});
  EXPECT_FALSE(refused.applied);
  EXPECT_EQ(refused.code, ErrorCode::kRefused);
  EXPECT_THAT(refused.Message(1000), HasSubstr("action DnsLookup reaches out of this node"));
  EXPECT_THAT(refused.Message(1000), HasSubstr("--allow-network-actions"));

  Agent& agent = Make({.allow_network_actions = true});
  ASSERT_TRUE(agent.AddPolicies(text, "", {}).applied);
  EXPECT_EQ(agent.GetPolicy({"canary", ""})->status.hooks->at(0).network_actions,
            (std::vector<policy::NetworkAction>{
                {0, policy::ActionKind::kDnsLookup, "canary.example.com"}}));
}

TEST_F(AgentTest, OverrideIsRefusedWhereOnlyKillingIsPossible) {
  Agent& agent = Make({}, kernel::Backend::kSignal);
  for (const char* mode : {"enforce", "monitor"}) {
    const auto refused =
        agent.AddPolicies(PolicyText{.action = "Override", .mode = mode}.ToString(), "", {});
    EXPECT_FALSE(refused.applied) << mode;
    EXPECT_EQ(refused.code, ErrorCode::kUnsupported);
    EXPECT_THAT(refused.Message(1000), HasSubstr("security_bprm_creds_for_exec"));
    EXPECT_THAT(refused.Message(1000), HasSubstr("--deny-by-signal"));
  }
  EXPECT_TRUE(agent.AddPolicies(PolicyText{.action = "Sigkill"}.ToString(), "", {}).applied);
  EXPECT_FALSE(agent.AddPolicies(PolicyText{.action = "Override"}.ToString(), "", {.replace = true})
                   .applied);
}

TEST_F(AgentTest, OverrideIsTakenWithDenyBySignal) {
  Agent& agent = Make({.deny_by_signal = true}, kernel::Backend::kSignal);
  EXPECT_TRUE(agent.AddPolicies(PolicyText{.action = "Override"}.ToString(), "", {}).applied);
}

TEST_F(AgentTest, AHookThatMayBeMissingIsLeftOut) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  kernel_->RemoveHook({policy::Site::Kind::kFunction, "security_old"});
  kernel_->RefuseHook({policy::Site::Kind::kFunction, "security_hard"},
                      {ErrorCode::kUnsupported, "security_hard", "its argument is another", ""});
  const auto text = [](const std::string& hooks) {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
           "  podSelector: {}\n  kprobes:\n  - {call: security_new, syscall: false}\n" +
           hooks;
  };
  const std::string missing = "  - {call: security_old, syscall: false";
  EXPECT_FALSE(agent.AddPolicies(text(missing + "}\n"), "", {}).applied);
  EXPECT_FALSE(
      agent.AddPolicies(text(missing + ", ignore: {callNotFound: false}}\n"), "", {}).applied);
  const auto hard = agent.AddPolicies(
      text("  - {call: security_hard, syscall: false, ignore: {callNotFound: true}}\n"), "", {});
  EXPECT_FALSE(hard.applied) << "it is there, and cannot be served";

  const std::string good = text(missing + ", ignore: {callNotFound: true}}\n" +
                                "  - {call: security_newer, syscall: "
                                "false, ignore: {callNotFound: true}}\n");
  const auto result = agent.AddPolicies(good, "f.yaml", {});
  ASSERT_TRUE(result.applied) << result.Message(1000);
  EXPECT_EQ(result.Message(1000),
            "warning: f.yaml:8:5: policy/p: this kernel has no security_old, so the hook is left "
            "out; remove ignore.callNotFound, if it must be there");
  const auto programs = kernel_->Programs(id);
  ASSERT_EQ(programs.size(), 1u);
  ASSERT_EQ(programs[0]->hooks.size(), 2u);
  EXPECT_EQ(programs[0]->hooks[0].site->name, "security_new");
  EXPECT_EQ(programs[0]->hooks[1].site->name, "security_newer");
  EXPECT_EQ(agent.PolicyText({"p", ""}).value(), good) << "another kernel may have it";
}

TEST_F(AgentTest, WhatOnlyTheKernelCanTellOfValuesIsAskedOfIt) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  const auto text = [](const std::string& path, const std::string& value) {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
           "  podSelector: {}\n  kprobes:\n  - call: security_file_open\n    syscall: false\n"
           "    args: [{index: 0, type: auto, resolve: " +
           path + "}, {index: 1, type: auto}]\n    selectors:\n    - matchArgs: [{index: 1, " +
           "operator: GT, values: [" + value + "]}]\n";
  };
  kernel_->RefusePath("f_wrong", {ErrorCode::kInvalid, "hook/security_file_open",
                                  "no field f_wrong", "did you mean \"f_flags\"?"});
  const auto wrong = agent.AddPolicies(text("f_wrong", "\"1\""), "f.yaml", {});
  EXPECT_FALSE(wrong.applied);
  EXPECT_EQ(wrong.Message(1000),
            "f.yaml:9:44: policy/p: hook/security_file_open: no field f_wrong; did you mean "
            "\"f_flags\"?");
  const auto unfit = agent.AddPolicies(text("f_flags", "one"), "f.yaml", {});
  EXPECT_FALSE(unfit.applied);
  EXPECT_EQ(unfit.Message(1000),
            "f.yaml:11:19: policy/p: \"one\" is not a number; write it in decimal, or in "
            "hexadecimal with 0x");
  const auto good = agent.AddPolicies(text("f_flags", "\"1\""), "f.yaml", {});
  ASSERT_TRUE(good.applied) << good.Message(1000);
  const auto programs = kernel_->Programs(id);
  ASSERT_EQ(programs.size(), 1u);
  const std::vector<compile::Input>& inputs = programs[0]->hooks.at(0).inputs;
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].read, GH_READ_NUMBER);
  EXPECT_EQ(inputs[0].bytes, 4);
  ASSERT_TRUE(inputs[1].resolved);
  EXPECT_EQ(inputs[1].subject, GH_SUBJECT_RESOLVED_0);
  EXPECT_EQ(inputs[1].resolved->chain, (policy::Chain{{0}, 4}));
}

TEST_F(AgentTest, AHookOnAGeneratedListIsOneOnEachNameThatTheKernelHas) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  using Kind = policy::Site::Kind;
  kernel_->SetNames(Kind::kFunction, {"ksys_hidden", "ksys_read", "ksys_write", "vfs_read"});
  kernel_->SetNames(Kind::kSystemCall, {"dup"});
  kernel_->RefuseHook({Kind::kFunction, "ksys_hidden"},
                      {ErrorCode::kUnsupported, "hook/ksys_hidden", "nothing is let near", ""});
  const auto text = [](const std::string& pattern, const std::string& more = "") {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
           "  podSelector: {}\n  lists:\n  - {name: all, type: generated_syscalls}\n"
           "  - {name: some, type: generated_ftrace, pattern: \"" +
           pattern + "\"}\n  kprobes:\n  - {call: sys_openat}\n  - {call: \"list:some\"}\n" + more;
  };
  const auto good = agent.AddPolicies(text("^ksys_", "  - {call: \"list:all\"}\n"), "f.yaml", {});
  ASSERT_TRUE(good.applied) << good.Message(1000);
  EXPECT_EQ(good.Message(1000),
            "warning: f.yaml:11:5: policy/p: 1 of the 3 functions of list some cannot be attached "
            "to and are left out, the first of them hook/ksys_hidden: nothing is let near");
  const auto programs = kernel_->Programs(id);
  ASSERT_EQ(programs.size(), 1u);
  std::vector<std::string> names;
  for (const auto& hook : programs[0]->hooks) {
    EXPECT_EQ(hook.hook_index, names.size());
    names.push_back(policy::FunctionName(*hook.site));
  }
  EXPECT_THAT(names, ElementsAre("__x64_sys_openat", "ksys_read", "ksys_write", "__x64_sys_dup"));

  const auto refusal = [&](const std::string& pattern) {
    const auto result = agent.AddPolicies(text(pattern), "f.yaml", {.replace = true});
    EXPECT_FALSE(result.applied);
    return result.Message(1000);
  };
  EXPECT_THAT(refusal("^no_"), HasSubstr("policy/p: list some: this kernel has no function whose "
                                         "name matches \"^no_\""));
  EXPECT_THAT(refusal("hidden"), HasSubstr("to none of its 1 functions a program can be attached; "
                                           "of the first, hook/ksys_hidden: nothing is let near"));
  std::vector<std::string> many;
  for (int i = 0; i <= GH_HOOKS_PER_POLICY_MAX; ++i) many.push_back("f" + std::to_string(i));
  kernel_->SetNames(Kind::kFunction, many);
  EXPECT_THAT(refusal("^f"),
              HasSubstr("1025 functions match \"^f\", and at most 1024 are possible; "
                        "write a narrower pattern"));
  EXPECT_THAT(refusal("^f[1-9]"), HasSubstr("1025 hooks")) << "sys_openat is one, too";
}

TEST_F(AgentTest, AHookOnAStaticProbeIsOneOnEachOfItsPlaces) {
  using Type = policy::ArgumentType;
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  kernel_->SetPlaces({{Type::kUint16, Type::kInt32}, {std::nullopt}});
  const std::string text =
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
      "  podSelector: {}\n  usdts:\n  - path: /bin/app\n    provider: app\n    name: probe\n"
      "    args: [{index: 0}, {index: 1, type: uint8}]\n"
      "    selectors: [{matchActions: [{action: Set, argIndex: 0, argValue: 1}]}]\n";
  const auto result = agent.AddPolicies(text, "f.yaml", {});
  ASSERT_TRUE(result.applied) << result.Message(1000);
  const auto programs = kernel_->Programs(id);
  ASSERT_EQ(programs.size(), 1u);
  const auto& hooks = programs[0]->hooks;
  ASSERT_EQ(hooks.size(), 2u);
  for (uint32_t place = 0; place < 2; ++place) {
    EXPECT_EQ(*hooks[place].site, (policy::Site{.kind = policy::Site::Kind::kUsdt,
                                                .name = "app:probe",
                                                .source = "/bin/app",
                                                .place = place,
                                                .writes = true}));
    EXPECT_EQ(hooks[place].hook_index, place);
    EXPECT_EQ(hooks[place].inputs[1].bytes, 1) << "what the policy says stands";
  }
  EXPECT_EQ(hooks[0].inputs[0].bytes, 2) << "what it does not say, the file says";
  EXPECT_FALSE(hooks[0].inputs[0].is_signed);
  EXPECT_EQ(hooks[1].inputs[0].bytes, 8) << "and else it is the widest";
  EXPECT_EQ(agent.PolicyText({"p", ""}).value(), text);

  kernel_->SetPlaces(std::vector<kernel::ProbePlace>(GH_HOOKS_PER_POLICY_MAX + 1));
  EXPECT_THAT(
      agent.AddPolicies(text, "f.yaml", {.replace = true}).Message(1000),
      HasSubstr("1025 hooks, each name of a list and each place of a static probe counted"));
}

TEST_F(AgentTest, AFileOfAnotherDigestIsRefusedOrLeftOut) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  kernel_->SetDigest("build-id:c0ffee");
  const auto text = [](const std::string& digests, const std::string& more = "") {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
           "  podSelector: {}\n  uprobes:\n  - {path: /bin/app, symbols: [other]}\n"
           "  - {path: /bin/app, symbols: [main], binaryDigests: [\"" +
           digests + "\"]" + more + "}\n";
  };
  EXPECT_TRUE(agent.AddPolicies(text("build-id:C0FFEE"), "f.yaml", {}).applied);
  ASSERT_EQ(kernel_->Programs(id).size(), 1u);
  EXPECT_EQ(kernel_->Programs(id)[0]->hooks.size(), 2u);
  const auto refused = agent.AddPolicies(text("build-id:00"), "f.yaml", {.replace = true});
  EXPECT_FALSE(refused.applied);
  EXPECT_THAT(refused.Message(1000),
              HasSubstr("policy/p: /bin/app has none of the digests in binaryDigests"));
  const auto ignored =
      agent.AddPolicies(text("build-id:00", ", ignore: {digestVerificationFailure: true}"),
                        "f.yaml", {.replace = true});
  ASSERT_TRUE(ignored.applied) << ignored.Message(1000);
  EXPECT_THAT(ignored.Message(1000), HasSubstr("so the hook is left out"));
  EXPECT_EQ(kernel_->Programs(id)[0]->hooks.size(), 1u);
}

TEST_F(AgentTest, AFileIsTheOneThatItsPathLeadsToWhenItIsAdded) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  kernel_->SetFile("/bin/app", 7);
  const auto result = agent.AddPolicies(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
      "  podSelector: {}\n  lsmhooks:\n  - hook: file_open\n    args: [{index: 0, type: file}]\n"
      "    selectors:\n    - matchArgs:\n"
      "      - {index: 0, operator: SameFile, values: [/bin/app, /bin/none, \"1:2:9\"]}\n",
      "f.yaml", {});
  ASSERT_TRUE(result.applied) << result.Message(1000);
  EXPECT_THAT(result.Message(1000), HasSubstr("/bin/none does not exist, so no file is the same"));
  const compile::ValueSet& set = *kernel_->Programs(id).at(0)->hooks[0].rules[0].filters[0].set;
  std::vector<std::pair<uint64_t, uint64_t>> files;
  for (const gh_address_range& file : set.addresses()) {
    files.emplace_back(file.first, file.first_low);
  }
  constexpr uint64_t kDevice = uint64_t{1} << 20 | 2;
  EXPECT_THAT(files, ElementsAre(::testing::Pair(kDevice, 7), ::testing::Pair(kDevice, 9)));
}

TEST_F(AgentTest, WhatTheKernelCannotServeIsRefusedWithItsReason) {
  Agent& agent = Make();
  AddWorkload("/cg/a");
  kernel_->RefuseHook(policy::kBprmCheck, {ErrorCode::kUnsupported, "bprm_check_security",
                                           "this backend has no such place", "use another"});
  kernel_->RefuseSubject(GH_SUBJECT_BINARY, {ErrorCode::kUnsupported, "bprm_creds_for_exec",
                                             "no matchBinaries", "drop it"});
  const auto hook = agent.AddPolicies(PolicyText{.call = "security_bprm_check"}.ToString(), "", {});
  EXPECT_FALSE(hook.applied);
  EXPECT_EQ(hook.code, ErrorCode::kUnsupported);
  EXPECT_THAT(
      hook.Message(1000),
      HasSubstr("policy/web: bprm_check_security: this backend has no such place; use another"));
  const auto subject = agent.AddPolicies(
      PolicyText{.filter = "matchBinaries: [{operator: In, values: [/bin/sh]}]"}.ToString(), "",
      {});
  EXPECT_FALSE(subject.applied);
  EXPECT_THAT(subject.Message(1000), HasSubstr("no matchBinaries; drop it"));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(AgentTest, ReplaceChangesWhatIsThereAndAddsTheRest) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  const uint64_t before = kernel_->generation();
  const auto same = agent.AddPolicies(PolicyText{}.ToString(), "", {.replace = true});
  ASSERT_TRUE(same.applied);
  EXPECT_EQ(same.documents[0].outcome, Outcome::kUnchanged);
  EXPECT_EQ(kernel_->generation(), before);

  const auto changed = agent.AddPolicies(
      PolicyText{.action = "Override"}.ToString() + kSeparator + PolicyText{.name = "x"}.ToString(),
      "", {.replace = true});
  ASSERT_TRUE(changed.applied) << changed.Message(1000);
  EXPECT_EQ(changed.documents[0].outcome, Outcome::kReplaced);
  EXPECT_EQ(changed.documents[1].outcome, Outcome::kAdded);
  EXPECT_EQ(kernel_->generation(), before + 1);
  const auto programs = kernel_->Programs(id);
  ASSERT_EQ(programs.size(), 2u);
  EXPECT_EQ(programs[0]->hooks[0].rules[0].error, -1);
  EXPECT_THAT(*agent.PolicyText({"web", ""}), HasSubstr("Override"));
}

TEST_F(AgentTest, APolicyForOtherNodesIsTakenWhateverItsKernelCanDo) {
  Agent& agent = Make({.node_labels = {{"zone", "a"}}}, kernel::Backend::kSignal);
  const auto id = AddWorkload("/cg/a");
  std::string text = PolicyText{.action = "Override"}.ToString();
  EXPECT_FALSE(agent.AddPolicies(text, "", {}).applied) << "this backend can only kill";
  text += "  nodeSelector: {matchLabels: {zone: b}}\n";
  const ApplyResult result = agent.AddPolicies(text, "", {});
  ASSERT_TRUE(result.applied) << result.Message(1000);
  EXPECT_EQ(agent.GetPolicy({"web", ""})->status.state, bind::State::kSkipped);
  EXPECT_THAT(kernel_->Group(id), IsEmpty());
}

TEST_F(AgentTest, ModeAndSwitchReachTheKernel) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  ASSERT_TRUE(agent.Configure({"web", ""}, {}, policy::Mode::kMonitor));
  EXPECT_TRUE(kernel_->Programs(id).at(0)->monitor);
  EXPECT_EQ(agent.GetPolicy({"web", ""})->status.mode, policy::Mode::kMonitor);
  ASSERT_TRUE(agent.Configure({"web", ""}, false, {}));
  EXPECT_THAT(kernel_->Group(id), IsEmpty());
  EXPECT_EQ(agent.GetPolicy({"web", ""})->status.state, bind::State::kDisabled);
  ASSERT_TRUE(agent.Configure({"web", ""}, true, policy::Mode::kEnforce));
  EXPECT_FALSE(kernel_->Programs(id).at(0)->monitor);
  const auto absent = agent.Configure({"none", ""}, true, {});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
}

TEST_F(AgentTest, ConflictsShowInTheList) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent
                  .AddPolicies(TemplateText() + kSeparator + BindingText("a", "/bin/a") +
                                   kSeparator + BindingText("b", "/bin/b"),
                               "", {})
                  .applied);
  EXPECT_THAT(kernel_->Group(id), IsEmpty());
  for (const char* name : {"a", "b"}) {
    const auto view = agent.GetPolicy({name, ""});
    ASSERT_TRUE(view);
    EXPECT_EQ(view->status.state, bind::State::kConflict);
    EXPECT_THAT(view->status.error, HasSubstr(std::string(name) == "a" ? "\"b\"" : "\"a\""));
    EXPECT_THAT(view->status.error, HasSubstr("/cg/a"));
  }
  EXPECT_EQ(agent.GetPolicy({"allow", ""})->bindings, 2u);
  EXPECT_EQ(agent.Counts().conflicts, 2u);
  ASSERT_TRUE(agent.DeletePolicy({"b", ""}));
  EXPECT_EQ(agent.GetPolicy({"a", ""})->status.state, bind::State::kEnabled);
  EXPECT_EQ(kernel_->Group(id).size(), 1u);
}

/// What each workload is judged by, without the numbers that depend on the order of arrival.
std::vector<std::string> Verdicts(const Agent& agent) {
  std::vector<std::string> all;
  for (const WorkloadView& view : agent.ListWorkloads()) {
    std::string line = view.workload->cgroup + ":";
    for (const auto& policy : view.policies)
      line += " " + policy->template_name + "/" + policy->key.ToString();
    all.push_back(line);
  }
  std::ranges::sort(all);
  return all;
}

TEST_F(AgentTest, TheOutcomeDoesNotDependOnTheOrderOfArrival) {
  const std::vector<std::string> texts = {
      TemplateText(), BindingText("one", "/bin/a", "onOverlap: Merge"),
      BindingText("two", "/bin/b", "onOverlap: Merge"), PolicyText{.name = "p"}.ToString(),
      PolicyText{.name = "everywhere", .selector = "podSelector: {}"}.ToString()};
  std::vector<size_t> order = {0, 1, 2, 3, 4, 5, 6};  // five texts, two workloads
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same orders in every run
  std::optional<std::vector<std::string>> first;
  for (int round = 0; round < 40; ++round) {
    Agent& agent = Make();
    for (const size_t step : order) {
      if (step < texts.size()) {
        ASSERT_TRUE(agent.AddPolicies(texts[step], "", {}).applied);
      } else {
        AddWorkload(step == 5 ? "/cg/web" : "/cg/other", {{"app", step == 5 ? "web" : "db"}});
      }
    }
    const auto verdicts = Verdicts(agent);
    if (!first) first = verdicts;
    ASSERT_EQ(verdicts, *first);
    std::shuffle(order.begin(), order.end(), random);
  }
  EXPECT_THAT(first->at(1), HasSubstr("allow/one+two"));
}

// ---- files ----

TEST_F(AgentTest, APolicyThatMovesToAnotherFileIsNeverMissing) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent.SyncFiles({{"/p/a.yaml", PolicyText{}.ToString()}}).at(0).applied);
  const uint64_t before = kernel_->generation();
  const auto group = kernel_->Group(id);
  const auto results = agent.SyncFiles({{"/p/a.yaml", ""}, {"/p/b.yaml", PolicyText{}.ToString()}});
  EXPECT_TRUE(results.at(0).applied);
  EXPECT_TRUE(results.at(1).applied);
  EXPECT_EQ(kernel_->generation(), before);  // the same text: nothing to do in the kernel
  EXPECT_EQ(kernel_->Group(id), group);
  EXPECT_EQ(agent.GetPolicy({"web", ""})->origin, "/p/b.yaml");
  ASSERT_TRUE(agent.SyncFiles({{"/p/a.yaml", std::nullopt}}).at(0).applied);
  EXPECT_THAT(Names(), ElementsAre("web"));
}

TEST_F(AgentTest, ABrokenFileKeepsWhatItHadAndDoesNotStopTheOthers) {
  Agent& agent = Make();
  ASSERT_TRUE(agent.SyncFiles({{"/p/a.yaml", PolicyText{.name = "a"}.ToString()}}).at(0).applied);
  const auto results =
      agent.SyncFiles({{"/p/a.yaml", "kind: ["},
                       {"/p/b.yaml", PolicyText{.name = "b"}.ToString()},
                       {"/p/c.yaml", PolicyText{.name = "c", .selector = ""}.ToString()}});
  EXPECT_FALSE(results.at(0).applied);
  EXPECT_THAT(results.at(0).Message(1000), HasSubstr("/p/a.yaml:1:"));
  EXPECT_TRUE(results.at(1).applied);
  EXPECT_FALSE(results.at(2).applied);
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(AgentTest, WithoutItsTextAPolicyIsDeleted) {
  Agent& agent = Make();
  ASSERT_TRUE(agent
                  .SyncFiles({{"/p/a.yaml", PolicyText{.name = "a"}.ToString() + kSeparator +
                                                PolicyText{.name = "b"}.ToString()}})
                  .at(0)
                  .applied);
  const auto results = agent.SyncFiles({{"/p/a.yaml", PolicyText{.name = "b"}.ToString()}});
  ASSERT_TRUE(results.at(0).applied);
  EXPECT_THAT(results.at(0).removed, ElementsAre(policy::Key{"a", ""}));
  EXPECT_THAT(Names(), ElementsAre("b"));
  ASSERT_TRUE(agent.SyncFiles({{"/p/a.yaml", std::nullopt}}).at(0).applied);
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(AgentTest, FilesAndApiKeepToTheirOwn) {
  Agent& agent = Make();
  ASSERT_TRUE(agent.SyncFiles({{"/p/a.yaml", PolicyText{.name = "a"}.ToString()}}).at(0).applied);
  ASSERT_TRUE(agent.AddPolicies(PolicyText{.name = "b"}.ToString(), "", {}).applied);
  const auto deleted = agent.DeletePolicy({"a", ""});
  ASSERT_FALSE(deleted);
  EXPECT_EQ(deleted.error().code, ErrorCode::kRefused);
  EXPECT_THAT(deleted.error().Message(), HasSubstr("/p/a.yaml"));
  EXPECT_FALSE(
      agent.AddPolicies(PolicyText{.name = "a", .action = "Post"}.ToString(), "", {.replace = true})
          .applied);
  EXPECT_FALSE(agent.SyncFiles({{"/p/b.yaml", PolicyText{.name = "b"}.ToString()}}).at(0).applied);
  EXPECT_EQ(agent.GetPolicy({"b", ""})->origin, "");
}

TEST_F(AgentTest, TwoFilesWithOneNameAreRefusedTogether) {
  Agent& agent = Make();
  const auto results = agent.SyncFiles(
      {{"/p/a.yaml", PolicyText{}.ToString()}, {"/p/b.yaml", PolicyText{}.ToString()}});
  EXPECT_TRUE(results.at(0).applied);  // the first in the order of the files has the name
  EXPECT_FALSE(results.at(1).applied);
  EXPECT_THAT(results.at(1).Message(1000), HasSubstr("/p/a.yaml"));
}

// ---- workloads ----

TEST_F(AgentTest, AWorkloadThatCannotBeTrackedIsNotRegistered) {
  Agent& agent = Make();
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  kernel_->FailNextTrack({ErrorCode::kNotFound, "/cg/a", "there is no such cgroup", "create it"});
  const auto added = agent.AddWorkload(Identity("/cg/a", {{"app", "web"}}), false);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(agent.ListWorkloads(), IsEmpty());
  EXPECT_EQ(kernel_->instance_count(), 0u);
  EXPECT_NE(AddWorkload("/cg/a"), 0u);
}

TEST_F(AgentTest, ReplacingAnIdentityKeepsTheIdAndChangesThePolicies) {
  Agent& agent = Make();
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  const auto id = AddWorkload("/cg/a");
  EXPECT_EQ(kernel_->Group(id).size(), 1u);
  const auto again = agent.AddWorkload(Identity("/cg/a", {}), false);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
  const auto replaced = agent.AddWorkload(Identity("/cg//a/", {{"app", "db"}}), true);
  ASSERT_TRUE(replaced) << replaced.error().Message();
  EXPECT_EQ(replaced->workload->id, id);
  EXPECT_THAT(kernel_->Group(id), IsEmpty());

  kernel_->FailNextApply({ErrorCode::kSystem, "arena", "cannot grow", ""});
  EXPECT_FALSE(agent.AddWorkload(Identity("/cg/a", {{"app", "web"}}), true));
  EXPECT_EQ(agent.ListWorkloads().at(0).workload->labels.at("app"), "db");
}

TEST_F(AgentTest, ADeletedWorkloadIsUntied) {
  Agent& agent = Make();
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  AddWorkload("/cg/a");
  kernel_->FailNextApply({ErrorCode::kSystem, "arena", "cannot grow", ""});
  EXPECT_FALSE(agent.DeleteWorkload("/cg/a"));
  EXPECT_EQ(kernel_->Tracked().size(), 1u);
  ASSERT_TRUE(agent.DeleteWorkload("/cg/a"));
  EXPECT_THAT(kernel_->Tracked(), IsEmpty());
  EXPECT_EQ(kernel_->instance_count(), 0u);
  EXPECT_EQ(agent.DeleteWorkload("/cg/a").error().code, ErrorCode::kNotFound);
}

TEST_F(AgentTest, TheWorkloadsFileIsAppliedAsAWhole) {
  Agent& agent = Make();
  cgroups_ = {{"/cg/a", 1001}, {"/cg/b", 1002}};
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  ASSERT_TRUE(agent.SyncWorkloads({Identity("/cg/a", {{"app", "web"}}), Identity("/cg/b", {})}));
  EXPECT_EQ(kernel_->Tracked().size(), 2u);
  const auto first = agent.ListWorkloads().at(0).workload->id;
  EXPECT_EQ(kernel_->Group(first).size(), 1u);

  const auto twice = agent.SyncWorkloads({Identity("/cg/c", {}), Identity("/cg/c/", {})});
  ASSERT_FALSE(twice);
  EXPECT_EQ(agent.ListWorkloads().size(), 2u);

  ASSERT_TRUE(agent.SyncWorkloads({Identity("/cg/a", {{"app", "db"}})}));
  EXPECT_EQ(agent.ListWorkloads().size(), 1u);
  EXPECT_EQ(agent.ListWorkloads().at(0).workload->id, first);
  EXPECT_THAT(kernel_->Group(first), IsEmpty());
  EXPECT_FALSE(agent.DeleteWorkload("/cg/a"));
  EXPECT_FALSE(agent.AddWorkload(Identity("/cg/a", {}), true));
}

TEST_F(AgentTest, CgroupsAreTiedWhenTheyAppearAndAgainWhenTheyAreMadeAnew) {
  Agent& agent = Make();
  ASSERT_TRUE(agent.SyncWorkloads({Identity("/cg/a", {{"app", "web"}})}));
  EXPECT_THAT(kernel_->Tracked(), IsEmpty());
  EXPECT_THAT(agent.ReconcileCgroups().failures, IsEmpty());
  EXPECT_THAT(kernel_->Tracked(), IsEmpty());
  const uint64_t id = 1000 + agent.ListWorkloads().at(0).workload->id;  // what the fake gives
  cgroups_["/cg/a"] = id;
  EXPECT_THAT(agent.ReconcileCgroups().failures, IsEmpty());
  EXPECT_EQ(kernel_->Tracked().size(), 1u);
  EXPECT_EQ(agent.ListWorkloads().at(0).cgroup_id, id);
  cgroups_.clear();
  EXPECT_THAT(agent.ReconcileCgroups().failures, IsEmpty());
  EXPECT_THAT(kernel_->Tracked(), IsEmpty());
  EXPECT_EQ(agent.ListWorkloads().at(0).cgroup_id, 0u);
}

// ---- questions ----

TEST_F(AgentTest, CountsDecisionsBySelectorOverAllInstances) {
  Agent& agent = Make();
  const auto id = AddWorkload("/cg/a");
  ASSERT_TRUE(agent.AddPolicies(PolicyText{}.ToString(), "", {}).applied);
  kernel_->SetHits(kernel_->Group(id).at(0), {{.hook_index = 0, .rule = 0, .hits = 7}});
  const auto view = agent.GetPolicy({"web", ""});
  ASSERT_EQ(view->rules.size(), 1u);
  EXPECT_EQ(view->rules[0].hits, 7u);
  EXPECT_EQ(view->rules[0].call, "security_bprm_creds_for_exec");
  EXPECT_EQ(view->rules[0].signal, SIGKILL);
  EXPECT_EQ(view->kernel_memory_bytes, sizeof(gh_rule));
  EXPECT_EQ(view->status.workloads, 1u);
}

TEST_F(AgentTest, ExplainsWithWhatTheWorkloadHas) {
  Agent& agent = Make();
  AddWorkload("/cg/a");
  ASSERT_TRUE(
      agent
          .AddPolicies(
              PolicyText{}.ToString() + kSeparator +
                  PolicyText{.name = "db", .selector = "podSelector: {matchLabels: {app: db}}"}
                      .ToString() +
                  kSeparator + TemplateText() + kSeparator + BindingText("b", "/usr/bin/true"),
              "", {})
          .applied);
  const auto denied = agent.Explain("/cg/a", "/usr/bin/curl", {}, policy::kCredsForExec);
  ASSERT_TRUE(denied) << denied.error().Message();
  ASSERT_EQ(denied->hooks.size(), 1u);
  EXPECT_THAT(denied->hooks[0].verdict.signals, ElementsAre(SIGKILL));
  EXPECT_EQ(denied->hooks[0].verdict.posts.size(), 2u);  // web and allow(b), not db
  const auto allowed = agent.Explain("/cg/a", "/usr/bin/true", {}, {});
  ASSERT_TRUE(allowed);
  EXPECT_EQ(allowed->hooks.size(), 2U);
  EXPECT_THAT(allowed->hooks[0].verdict.signals, IsEmpty());
  const auto host = agent.Explain("host", "/usr/bin/curl", {}, {});
  ASSERT_TRUE(host);
  EXPECT_THAT(host->hooks[0].verdict.signals, IsEmpty());
  EXPECT_EQ(agent.Explain("/cg/none", "/usr/bin/curl", {}, {}).error().code, ErrorCode::kNotFound);
}

TEST_F(AgentTest, ExplainsWithWhatIsInForceHoweverMuchElseThereIs) {
  Agent& agent = Make();
  AddWorkload("/cg/a");
  std::string text;  // bindings without their template, of other workloads, first by key
  for (size_t i = 0; i < kManyDocuments; ++i) {
    std::string binding = BindingText("a" + std::to_string(i), "/bin/a");
    binding.replace(binding.find("app: web"), 8, "app: other");
    binding.replace(binding.find("name: allow"), 11, "name: none");
    text += binding + kSeparator;
  }
  text += PolicyText{.name = "z"}.ToString() + kSeparator + TemplateText() + kSeparator +
          BindingText("zz", "/bin/a");
  const auto added = agent.AddPolicies(text, "", {});
  ASSERT_TRUE(added.applied) << added.Message(1000);
  const auto explained = agent.Explain("/cg/a", "/bin/b", {}, policy::kCredsForExec);
  ASSERT_TRUE(explained) << explained.error().Message();
  EXPECT_EQ(explained->documents.size(), 3u);
  EXPECT_THAT(explained->hooks[0].verdict.signals, ElementsAre(SIGKILL));
  EXPECT_EQ(explained->hooks[0].verdict.posts.size(), 2u);
}

TEST_F(AgentTest, ExplainSaysWhenItCannotReadAllThatIsAboutTheWorkload) {
  Agent& agent = Make();
  AddWorkload("/cg/a");
  std::string text;
  for (size_t i = 0; i < kManyDocuments; ++i) {
    text += BindingText("a" + std::to_string(i), "/bin/a") + kSeparator;
  }
  ASSERT_TRUE(agent.AddPolicies(text, "", {}).applied);
  const auto explained = agent.Explain("/cg/a", "/bin/b", {}, {});
  ASSERT_FALSE(explained);
  EXPECT_EQ(explained.error().code, ErrorCode::kRefused);
  EXPECT_THAT(explained.error().Message(), HasSubstr("8193 policies"));
  EXPECT_TRUE(agent.Explain("host", "/bin/b", {}, {}));
}

TEST_F(AgentTest, AnyThreadMayDoAnything) {
  Agent& agent = Make();
  constexpr int kRounds = 20;
  constexpr int kWriters = 3;
  std::vector<std::thread> threads;
  threads.reserve(kWriters + 2);
  for (int t = 0; t < kWriters; ++t) {
    threads.emplace_back([&agent, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string name = "p" + std::to_string(t) + "-" + std::to_string(i);
        EXPECT_TRUE(agent.AddPolicies(PolicyText{.name = name}.ToString(), "", {}).applied);
        EXPECT_TRUE(agent.AddWorkload(Identity("/cg/" + name, {{"app", "web"}}), false));
        EXPECT_TRUE(agent.Configure({name, ""}, {}, policy::Mode::kMonitor));
        if (i % 2 == 0) {
          EXPECT_TRUE(agent.DeletePolicy({name, ""}));
          EXPECT_TRUE(agent.DeleteWorkload("/cg/" + name));
        }
      }
    });
  }
  threads.emplace_back([&agent] {
    for (int i = 0; i < kRounds; ++i) {
      (void)agent.ListPolicies();
      (void)agent.ListWorkloads();
      (void)agent.KernelStatus();
      (void)agent.Counts();
      (void)agent.Explain("host", "/usr/bin/true", {}, {});
      (void)agent.ReconcileCgroups();
      (void)agent.SyncFiles(
          {{"/p/f.yaml", PolicyText{.name = "f" + std::to_string(i)}.ToString()}});
    }
  });
  threads.emplace_back([&agent] {  // as the reader of events does, without the agent's lock
    for (bind::InstanceId id = 0; id < 500; ++id) {
      (void)agent.instances().Find(id);
      (void)agent.workloads().FindRecent(id);
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(agent.Counts().policies, kWriters * kRounds / 2 + 1u);
}

}  // namespace
}  // namespace gatehouse::daemon
