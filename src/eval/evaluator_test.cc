// SPDX-License-Identifier: Apache-2.0
#include "eval/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <csignal>

#include "bind/test_documents.h"
#include "policy/format.h"
#include "policy/sites.h"

namespace gatehouse::eval {
namespace {

using namespace gatehouse::test;
using policy::Mode;
using policy::OnOverlap;
using policy::Operator;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Documents, and one workload that they are asked about.
class EvaluatorTest : public testing::Test {
 protected:
  void Add(policy::Document document) {
    documents_.push_back(std::make_unique<policy::Document>(std::move(document)));
    policies_.push_back({documents_.back().get(), true, std::nullopt});
  }
  /// A policy on the workload with these selectors.
  void AddPolicy(std::string name, std::vector<policy::Selector> selectors) {
    policy::Spec spec;
    spec.hooks.push_back(ExecHook(std::move(selectors)));
    Add(PolicyDocument(std::move(name), Pods({}), std::move(spec)));
  }
  [[nodiscard]] Verdict Ask(const std::optional<std::string>& program,
                            const std::optional<std::string>& binary = "/bin/sh") const {
    Operation operation{.site = policy::kCredsForExec, .values = {}, .binary = binary};
    if (program) operation.values[0] = *program;
    return Evaluate(policies_, &workload_, operation);
  }
  /// A policy that denies if `filter` holds on argument 2 of an LSM hook, which is of `type`.
  void AddNumberPolicy(policy::ArgumentType type, policy::Filter filter) {
    policy::Hook hook = ExecHook({Selector({std::move(filter)}, {Deny()})}, "capable");
    hook.kind = policy::HookKind::kLsm;
    hook.arguments[0] = {2, type, "", {}};
    policy::Spec spec;
    spec.hooks.push_back(std::move(hook));
    Add(PolicyDocument("p", Pods({}), std::move(spec)));
  }
  /// Whether that policy denies if argument 2 is `value`.
  [[nodiscard]] bool Denies(const Value& value) const {
    const Operation operation{
        .site = {policy::Site::Kind::kLsm, "capable"}, .values = {{2, value}}, .binary = {}};
    return Evaluate(policies_, &workload_, operation).error != 0;
  }
  [[nodiscard]] const PolicyVerdict& About(const Verdict& verdict, const std::string& name) const {
    for (const PolicyVerdict& policy : verdict.policies) {
      if (policy.key.name == name) return policy;
    }
    ADD_FAILURE() << "no verdict on " << name;
    return verdict.policies.at(0);
  }
  [[nodiscard]] Standing StandingOf(const std::string& name) const {
    return About(Ask("/bin/ls"), name).standing;
  }

  std::vector<std::unique_ptr<policy::Document>> documents_;
  std::vector<Policy> policies_;
  workload::Workload workload_ = Pod(1, "web", {{"app", "web"}}, "shop", "main");
};

TEST_F(EvaluatorTest, NothingSaysNothing) {
  const Verdict verdict = Ask("/bin/ls");
  EXPECT_EQ(verdict.error, 0);
  EXPECT_THAT(verdict.posts, IsEmpty());
}

TEST_F(EvaluatorTest, PatternsTakeWholeTextsAndPartsAnyCase) {
  const auto denies = [&](Operator op, const std::string& value, const std::string& path) {
    policies_.clear();
    AddPolicy("p", {Selector({ObjectFilter(op, {value})}, {Deny()})});
    return Ask(path).error != 0;
  };
  EXPECT_TRUE(denies(Operator::kGlob, "/bin/*", "/bin/ls"));
  EXPECT_FALSE(denies(Operator::kGlob, "/bin/*", "/bin/x/ls"));
  EXPECT_TRUE(denies(Operator::kInDirectory, "/bin", "/bin/x/ls"));
  EXPECT_TRUE(denies(Operator::kInDirectory, "/", "/bin/x/ls"));
  EXPECT_FALSE(denies(Operator::kInDirectory, "/bin", "/bin2/ls"));
  EXPECT_FALSE(denies(Operator::kSubString, "X/L", "/bin/x/ls"));
  EXPECT_TRUE(denies(Operator::kSubStringIgnoringCase, "X/L", "/bin/x/ls"));
}

TEST_F(EvaluatorTest, EachOperatorOnReadableAndUnreadablePaths) {
  const struct {
    Operator op;
    bool ls, ls_extra, unreadable;  // whether /bin/ls, x/bin/lsx, and nothing match
  } cases[] = {
      {Operator::kEqual, true, false, false},
      {Operator::kNotEqual, false, true, true},
      {Operator::kIn, true, false, false},
      {Operator::kNotIn, false, true, true},
      {Operator::kPrefix, true, false, false},
      {Operator::kNotPrefix, false, true, true},
      {Operator::kPostfix, true, false, false},
      {Operator::kNotPostfix, false, true, true},
      {Operator::kGlob, true, false, false},
      {Operator::kNotGlob, false, true, true},
      {Operator::kInDirectory, true, false, false},
      {Operator::kNotInDirectory, false, true, true},
      {Operator::kSubString, true, true, false},
      {Operator::kSubStringIgnoringCase, true, true, false},
  };
  for (const auto& expected : cases) {
    policies_.clear();
    AddPolicy("p", {Selector({ObjectFilter(expected.op, {"/opt/x", "/bin/ls"})}, {Deny()})});
    EXPECT_EQ(Ask("/bin/ls").error != 0, expected.ls);
    EXPECT_EQ(Ask("x/bin/lsx").error != 0, expected.ls_extra);
    EXPECT_EQ(Ask(std::nullopt).error != 0, expected.unreadable);
    policies_.clear();
    AddPolicy("p", {Selector({BinaryFilter(expected.op, {"/bin/ls"})}, {Deny()})});
    EXPECT_EQ(Ask("/opt", "/bin/ls").error != 0, expected.ls);
    EXPECT_EQ(Ask("/opt", std::nullopt).error != 0, expected.unreadable);
  }
  policies_.clear();
  AddPolicy("p", {Selector({ObjectFilter(Operator::kPrefix, {"/usr"})}, {Deny()})});
  EXPECT_NE(Ask("/usrlocal").error, 0) << "not aware of components";
  policies_.clear();
  AddPolicy("p", {Selector({ObjectFilter(Operator::kPostfix, {"sh"})}, {Deny()})});
  EXPECT_NE(Ask("/bin/bash").error, 0);
}

TEST_F(EvaluatorTest, TheFirstSelectorThatMatchesActs) {
  AddPolicy("p", {Selector({ObjectFilter(Operator::kEqual, {"/bin/ls"})}, {NoPost()}),
                  Selector({ObjectFilter(Operator::kPrefix, {"/bin/"})}, {Kill()}),
                  Selector({}, {Deny()})});
  EXPECT_EQ(Ask("/bin/ls").error, 0);
  EXPECT_THAT(Ask("/bin/ls").posts, IsEmpty());
  EXPECT_THAT(Ask("/bin/cat").signals, ElementsAre(SIGKILL));
  EXPECT_EQ(Ask("/bin/cat").error, 0);
  const Verdict verdict = Ask("/opt/x");
  EXPECT_EQ(verdict.error, -EPERM);
  EXPECT_EQ(verdict.posts.at(0).selector, 2);
  EXPECT_EQ(About(verdict, "p").hooks.at(0).selectors.size(), 3u);
}

TEST_F(EvaluatorTest, AllFiltersOfASelectorMustHold) {
  AddPolicy("p", {Selector({ObjectFilter(Operator::kPrefix, {"/bin/"}),
                            BinaryFilter(Operator::kIn, {"/bin/sh"})},
                           {Deny()})});
  EXPECT_NE(Ask("/bin/ls", "/bin/sh").error, 0);
  EXPECT_EQ(Ask("/bin/ls", "/bin/zsh").error, 0);
  const Verdict verdict = Ask("/opt/x", "/bin/sh");
  const SelectorVerdict& selector = About(verdict, "p").hooks.at(0).selectors.at(0);
  EXPECT_EQ(selector.filters.size(), 1u) << "the first that fails decides";
  EXPECT_FALSE(selector.filters[0].holds);
}

TEST_F(EvaluatorTest, AHookWithoutSelectorsPosts) {
  AddPolicy("p", {});
  const Verdict verdict = Ask("/bin/ls");
  ASSERT_EQ(verdict.posts.size(), 1u);
  EXPECT_EQ(verdict.error, 0);
}

TEST_F(EvaluatorTest, ADenialWinsAndTheFirstPolicysErrnoIsReturned) {
  AddPolicy("c", {Selector({}, {Deny(-EACCES)})});
  AddPolicy("b", {Selector({}, {Deny(-EPERM), Signal(10)})});
  AddPolicy("a", {Selector({}, {Kill()})});
  const Verdict verdict = Ask("/bin/ls");
  EXPECT_EQ(verdict.error, -EPERM);
  EXPECT_EQ(verdict.denied_by->name, "b");
  EXPECT_THAT(verdict.signals, ElementsAre(SIGKILL, 10));
  std::vector<std::string> posts;
  posts.reserve(verdict.posts.size());
  for (const Post& post : verdict.posts) posts.push_back(post.key.name);
  EXPECT_THAT(posts, ElementsAre("a", "b", "c"));
}

TEST_F(EvaluatorTest, OfSeveralValuesForAnArgumentTheFirstPolicysIsSet) {
  const policy::Site site{
      .kind = policy::Site::Kind::kUsdt, .name = "app:probe", .source = "/bin/app", .writes = true};
  const auto add = [&](const std::string& name, uint32_t argument, uint32_t value) {
    policy::Hook hook;
    hook.kind = policy::HookKind::kUsdt;
    hook.call = site.name;
    hook.source = site.source;
    hook.arguments = {{.index = 7, .type = policy::ArgumentType::kInt32},
                      {.index = 5, .type = policy::ArgumentType::kInt32}};
    hook.selectors = {
        Selector({}, {{.kind = policy::ActionKind::kSet, .argument = argument, .value = value}})};
    policy::Spec spec;
    spec.hooks.push_back(std::move(hook));
    Add(PolicyDocument(name, Pods({}), spec));
  };
  add("b", 0, 2);
  add("a", 0, 1);
  add("c", 1, 3);
  const Verdict verdict =
      Evaluate(policies_, &workload_, {.site = site, .values = {}, .binary = {}});
  EXPECT_EQ(verdict.sets, (Sets{{7, 1}, {5, 3}}));
  for (Policy& policy : policies_) policy.mode = Mode::kMonitor;
  EXPECT_THAT(Evaluate(policies_, &workload_, {.site = site, .values = {}, .binary = {}}).sets,
              IsEmpty());
}

TEST_F(EvaluatorTest, AMonitoringPolicyReportsAndDoesNothing) {
  AddPolicy("p", {Selector({}, {Deny(), Kill()})});
  policies_[0].mode = Mode::kMonitor;
  const Verdict verdict = Ask("/bin/ls");
  EXPECT_EQ(verdict.error, 0);
  EXPECT_THAT(verdict.signals, IsEmpty());
  ASSERT_EQ(verdict.posts.size(), 1u);
  EXPECT_TRUE(verdict.posts[0].monitor);
  EXPECT_EQ(verdict.posts[0].error, -EPERM);
  EXPECT_THAT(verdict.posts[0].signals, ElementsAre(SIGKILL));
}

TEST_F(EvaluatorTest, OnlyTheHooksOfTheOperationJudge) {
  policy::Spec spec;
  spec.hooks.push_back(ExecHook({Selector({}, {Deny(-EACCES)})}, "security_bprm_check"));
  spec.hooks.push_back(ExecHook({Selector({}, {Deny(-EPERM)})}));
  Add(PolicyDocument("p", Pods({}), spec));
  const Verdict verdict = Ask("/bin/ls");
  EXPECT_EQ(verdict.error, -EPERM);
  EXPECT_EQ(verdict.posts.at(0).hook_index, 1);
  EXPECT_EQ(Evaluate(policies_, &workload_, {policy::kBprmCheck, {}, {}}).error, -EACCES);
  EXPECT_EQ(Evaluate(policies_, &workload_, {{policy::Site::Kind::kLsm, "capable"}, {}, {}}).error,
            0);
}

TEST_F(EvaluatorTest, EachOperatorOnNumbers) {
  constexpr auto kMinusOne = static_cast<uint64_t>(-1);
  const struct {
    Operator op;
    std::vector<std::string> values;
    bool minus_one, five, unreadable;  // whether they match
  } cases[] = {
      {Operator::kEqual, {"5", "6"}, false, true, false},
      {Operator::kEqual, {"-0x1"}, true, false, false},
      {Operator::kNotEqual, {"5"}, true, false, true},
      {Operator::kIn, {"-1", "0x5"}, true, true, false},
      {Operator::kNotIn, {"-1", "5"}, false, false, true},
      {Operator::kGreater, {"-1"}, false, true, false},
      {Operator::kLess, {"5"}, true, false, false},
      {Operator::kMask, {"0x2", "4"}, true, true, false},
      {Operator::kMask, {"2"}, true, false, false},
      {Operator::kMask, {"0"}, false, false, false},
      {Operator::kInRange, {"-1:4"}, true, false, false},
      {Operator::kInRange, {"7:9", "5"}, false, true, false},
      {Operator::kNotInRange, {"0:10"}, true, false, true},
      {Operator::kInMap, {"-2:-1", "0:5"}, true, true, false},
      {Operator::kNotInMap, {"5"}, true, false, true},
  };
  for (const auto& each : cases) {
    policies_.clear();
    AddNumberPolicy(policy::ArgumentType::kInt32, ObjectFilter(each.op, each.values));
    SCOPED_TRACE(each.values[0]);
    EXPECT_EQ(Denies(kMinusOne), each.minus_one);
    EXPECT_EQ(Denies(uint64_t{5}), each.five);
    EXPECT_EQ(Denies(std::monostate{}), each.unreadable);
    EXPECT_EQ(Denies("5"), each.unreadable) << "a text is no number";
  }
}

TEST_F(EvaluatorTest, NumbersHaveASignOrNot) {
  AddNumberPolicy(policy::ArgumentType::kUint64, ObjectFilter(Operator::kGreater, {"5"}));
  EXPECT_TRUE(Denies(UINT64_MAX));
  policies_.clear();
  AddNumberPolicy(policy::ArgumentType::kInt64, ObjectFilter(Operator::kGreater, {"5"}));
  EXPECT_FALSE(Denies(UINT64_MAX));
}

TEST_F(EvaluatorTest, EachOperatorOnSockets) {
  const Socket socket{{GH_FIELD_FAMILY, uint64_t{AF_INET}},
                      {GH_FIELD_PROTOCOL, uint64_t{IPPROTO_TCP}},
                      {GH_FIELD_STATE, uint64_t{2}},
                      {GH_FIELD_SOURCE_PORT, uint64_t{4242}},
                      {GH_FIELD_DESTINATION_PORT, uint64_t{443}},
                      {GH_FIELD_SOURCE, std::string("10.0.0.1")},
                      {GH_FIELD_DESTINATION, std::string("::ffff:192.0.2.7")}};
  const struct {
    Operator op;
    std::string value;
    bool holds;
  } cases[] = {
      {Operator::kSourceAddress, "10.0.0.0/31", true},
      {Operator::kSourceAddress, "10.0.0.0/32", false},
      {Operator::kSourceAddress, "::/0", false},
      {Operator::kNotSourceAddress, "::/0", true},
      {Operator::kDestinationAddress, "192.0.2.0/24", true},
      {Operator::kNotDestinationAddress, "192.0.2.0/24", false},
      {Operator::kDestinationAddress, "::ffff:192.0.2.0/120", true},
      {Operator::kSourcePort, "4242", true},
      {Operator::kNotSourcePort, "4000:5000", false},
      {Operator::kDestinationPort, "80", false},
      {Operator::kNotDestinationPort, "80", true},
      {Operator::kSourcePortPrivileged, "0:1023", false},
      {Operator::kNotSourcePortPrivileged, "0:1023", true},
      {Operator::kDestinationPortPrivileged, "0:1023", true},
      {Operator::kNotDestinationPortPrivileged, "0:1023", false},
      {Operator::kProtocol, "IPPROTO_TCP", true},
      {Operator::kFamily, "AF_INET6", false},
      {Operator::kState, "TCP_SYN_SENT", true},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(std::string(policy::NameOf(each.op)) + " " + each.value);
    documents_.clear();
    policies_.clear();
    AddNumberPolicy(policy::ArgumentType::kSock, ObjectFilter(each.op, {each.value}));
    EXPECT_EQ(Denies(socket), each.holds);
    EXPECT_FALSE(Denies(Socket{})) << "what it has not";
    const bool negated = policy::NameOf(each.op).starts_with("Not");
    EXPECT_EQ(Denies({}), negated) << "unreadable";
  }
}

TEST_F(EvaluatorTest, AFileHasAType) {
  const auto judges = [&](Operator op, const std::string& value,
                          std::map<uint32_t, uint64_t> types) {
    documents_.clear();
    policies_.clear();
    AddPolicy("p", {Selector({ObjectFilter(op, {value})}, {Deny()})});
    Operation operation{.site = policy::kCredsForExec, .values = {}, .binary = {}};
    operation.file_types = std::move(types);
    return Evaluate(policies_, &workload_, operation).error != 0;
  };
  EXPECT_TRUE(judges(Operator::kFileType, "reg", {{0, 8}}));
  EXPECT_FALSE(judges(Operator::kFileType, "reg", {{0, 4}}));
  EXPECT_FALSE(judges(Operator::kFileType, "reg", {}));
  EXPECT_FALSE(judges(Operator::kNotFileType, "dir", {{0, 4}}));
  EXPECT_TRUE(judges(Operator::kNotFileType, "dir", {{0, 8}}));
  EXPECT_TRUE(judges(Operator::kNotFileType, "dir", {}));
}

TEST_F(EvaluatorTest, AFileHasAnIdentity) {
  const auto judges = [&](Operator op, const std::string& value, std::map<uint32_t, Texts> names) {
    documents_.clear();
    policies_.clear();
    AddPolicy("p", {Selector({ObjectFilter(op, {value})}, {Deny()})});
    Operation operation{.site = policy::kCredsForExec, .values = {{0, "/name"}}, .binary = {}};
    operation.file_names = std::move(names);
    return Evaluate(policies_, &workload_, operation).error != 0;
  };
  EXPECT_TRUE(judges(Operator::kSameFile, "/file", {{0, {"/name", "/file", "8:1:7"}}}));
  EXPECT_TRUE(judges(Operator::kSameFile, "8:1:7", {{0, {"/name", "/file", "8:1:7"}}}));
  EXPECT_FALSE(judges(Operator::kSameFile, "/file", {{0, {"/name", "8:1:8"}}}));
  EXPECT_FALSE(judges(Operator::kNotSameFile, "/file", {{0, {"/file"}}}));
  EXPECT_TRUE(judges(Operator::kNotSameFile, "/file", {{0, {"/name"}}}));
  EXPECT_FALSE(judges(Operator::kSameFile, "/name", {})) << "unreadable";
  EXPECT_TRUE(judges(Operator::kNotSameFile, "/name", {}));
}

TEST_F(EvaluatorTest, AnAddressOfUnixIsATextWithAFamily) {
  const Socket named = {{GH_FIELD_WHOLE, "/run/x"}, {GH_FIELD_FAMILY, uint64_t{1}}};
  const Socket inet = {{GH_FIELD_WHOLE, ""}, {GH_FIELD_FAMILY, uint64_t{2}}};
  const struct {
    Operator op;
    std::string value;
    bool named, inet;
  } cases[] = {{Operator::kEqual, "/run/x", true, false},
               {Operator::kNotPrefix, "/run", false, true},
               {Operator::kFamily, "AF_UNIX", true, false},
               {Operator::kFamily, "2", false, true}};
  for (const auto& each : cases) {
    SCOPED_TRACE(std::string(policy::NameOf(each.op)) + " " + each.value);
    documents_.clear();
    policies_.clear();
    AddNumberPolicy(policy::ArgumentType::kSockaddrUn, ObjectFilter(each.op, {each.value}));
    EXPECT_EQ(Denies(named), each.named);
    EXPECT_EQ(Denies(inet), each.inet);
  }
}

TEST_F(EvaluatorTest, CapabilitiesHaveNames) {
  AddNumberPolicy(policy::ArgumentType::kCapability,
                  ObjectFilter(Operator::kIn, {"CAP_SYS_ADMIN", "12"}));
  EXPECT_TRUE(Denies(uint64_t{21}));
  EXPECT_TRUE(Denies(uint64_t{12}));
  EXPECT_FALSE(Denies(uint64_t{0}));
}

TEST_F(EvaluatorTest, ASetOfCapabilitiesIsComparedAsAWhole) {
  const struct {
    Operator op;
    std::string value;
    std::set<uint64_t> denied;  // of these: 0, 0x20, 0x21
  } cases[] = {
      {Operator::kEqual, "CAP_KILL", {0x20}},
      {Operator::kIn, "CAP_CHOWN,CAP_KILL", {0x21}},
      {Operator::kNotEqual, "0x20", {0, 0x21}},
      {Operator::kNotIn, "0", {0x20, 0x21}},
      {Operator::kMask, "CAP_CHOWN,CAP_FOWNER", {0x21}},
      {Operator::kEqual, "CAP_KILL,", {}},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(std::string(policy::NameOf(each.op)) + " " + each.value);
    documents_.clear();
    policies_.clear();
    AddNumberPolicy(policy::ArgumentType::kCapPermitted, ObjectFilter(each.op, {each.value}));
    for (const uint64_t set : {0x0, 0x20, 0x21})
      EXPECT_EQ(Denies(set), each.denied.contains(set)) << set;
  }
}

TEST_F(EvaluatorTest, AStringIsATextOfAFunction) {
  policy::Hook hook = ExecHook({Selector({ObjectFilter(Operator::kPrefix, {"tmp"})}, {Deny()})},
                               "security_sb_mount");
  hook.arguments[0] = {2, policy::ArgumentType::kString, "", {}};
  policy::Spec spec;
  spec.hooks.push_back(std::move(hook));
  Add(PolicyDocument("p", Pods({}), std::move(spec)));
  const auto denies = [&](policy::Site::Kind kind, uint32_t index, const char* text) {
    const Operation operation{{kind, "security_sb_mount"}, {{index, text}}, {}};
    return Evaluate(policies_, &workload_, operation).error != 0;
  };
  EXPECT_TRUE(denies(policy::Site::Kind::kFunction, 2, "tmpfs"));
  EXPECT_FALSE(denies(policy::Site::Kind::kFunction, 2, "overlay"));
  EXPECT_FALSE(denies(policy::Site::Kind::kFunction, 0, "tmpfs")) << "another argument";
  EXPECT_FALSE(denies(policy::Site::Kind::kLsm, 2, "tmpfs")) << "another place";
}

TEST_F(EvaluatorTest, ABindingWhoseNumbersDoNotFitIsRefused) {
  policy::Document document = AllowTemplate("t");
  policy::Hook& hook = std::get<policy::Template>(document.object).spec.hooks[0];
  hook.call = "security_capable";
  hook.arguments[0] = {2, policy::ArgumentType::kUint8, "", {}};
  Add(std::move(document));
  for (const char* value : {"256", "ten", "-1", "1:2", "", "01", "0x100", "99999999999999999999"}) {
    policies_.resize(1);
    Add(BindingDocument("b", "t", Pods({}), {"1", value}));
    EXPECT_EQ(StandingOf("b"), Standing::kBadValues) << value;
  }
  for (const char* value : {"255", "0", "0xff", "-0"}) {
    policies_.resize(1);
    Add(BindingDocument("b", "t", Pods({}), {"1", value}));
    EXPECT_EQ(StandingOf("b"), Standing::kApplies) << value;
  }
}

TEST_F(EvaluatorTest, WhatIsForOtherNodesDoesNotApply) {
  Add(PolicyDocument("policy", Pods({}), AllowList({})));
  policies_.back().for_node = false;
  Add(AllowTemplate("t"));
  policies_.back().for_node = false;
  Add(BindingDocument("binding", "t", Pods({}), {}));
  const Verdict verdict = Ask("/bin/ls");
  EXPECT_EQ(verdict.error, 0);
  EXPECT_EQ(About(verdict, "policy").standing, Standing::kNotAbout);
  EXPECT_THAT(About(verdict, "policy").reason, HasSubstr("nodeSelector"));
  EXPECT_EQ(About(verdict, "binding").standing, Standing::kNoTemplate);
  EXPECT_THAT(About(verdict, "binding").reason, HasSubstr("is for other nodes"));
}

TEST_F(EvaluatorTest, SaysWhyAPolicyDoesNotApply) {
  Add(PolicyDocument("elsewhere", Pods({In("app", {"db"})}), AllowList({})));
  Add(PolicyDocument("namespaced", Everything(), AllowList({}), "bank"));
  Add(PolicyDocument("disabled", Pods({}), AllowList({})));
  policies_.back().enabled = false;
  Add(BindingDocument("orphan", "none", Pods({}), {}));
  Add(AllowTemplate("t"));
  Add(BindingDocument("misfit", "t", Pods({}), {}, {.variable = "other"}));
  const Verdict verdict = Ask("/bin/ls");
  EXPECT_EQ(verdict.error, 0);
  EXPECT_EQ(About(verdict, "elsewhere").standing, Standing::kNotAbout);
  EXPECT_THAT(About(verdict, "elsewhere").reason, HasSubstr("app In"));
  EXPECT_EQ(About(verdict, "namespaced").standing, Standing::kNotAbout);
  EXPECT_EQ(About(verdict, "disabled").standing, Standing::kDisabled);
  EXPECT_EQ(About(verdict, "orphan").standing, Standing::kNoTemplate);
  EXPECT_THAT(About(verdict, "orphan").reason, HasSubstr("\"none\" does not exist"));
  EXPECT_EQ(About(verdict, "misfit").standing, Standing::kBadValues);
  EXPECT_EQ(verdict.policies.size(), 5u) << "a template has no say of its own";
}

TEST_F(EvaluatorTest, ABindingJudgesWithItsValues) {
  Add(AllowTemplate("t"));
  Add(BindingDocument("b", "t", Pods({In("app", {"web"})}), {"/bin/ls"}));
  EXPECT_EQ(Ask("/bin/ls").error, 0);
  EXPECT_EQ(Ask("/bin/cat").error, -EPERM);
  EXPECT_EQ(Ask(std::nullopt).error, -EPERM) << "an allow-list denies what it cannot see";
  workload_.labels.clear();
  EXPECT_EQ(Ask("/bin/cat").error, 0);
}

TEST_F(EvaluatorTest, TheLabelNamesABinding) {
  Add(AllowTemplate("t"));
  Add(BindingDocument("t-strict", "t", Everything(), {}));
  EXPECT_EQ(StandingOf("t-strict"), Standing::kNotAbout);
  workload_.labels["tetragon-t"] = "strict";
  EXPECT_EQ(StandingOf("t-strict"), Standing::kApplies);
  workload_.labels["tetragon-t"] = "";
  EXPECT_EQ(StandingOf("t-strict"), Standing::kNotAbout);
}

TEST_F(EvaluatorTest, BindingsOfOneTemplateContend) {
  const auto contend = [&](const BindingOptions& a, const BindingOptions& b) {
    documents_.clear();
    policies_.clear();
    Add(AllowTemplate("t"));
    Add(BindingDocument("a", "t", Pods({}), {"/a"}, a));
    Add(BindingDocument("b", "t", Pods({}), {"/b"}, b));
  };
  contend({}, {});
  EXPECT_EQ(StandingOf("a"), Standing::kConflict);
  EXPECT_THAT(About(Ask("/x"), "a").reason, HasSubstr("\"b\""));
  EXPECT_EQ(Ask("/x").error, 0) << "neither is applied";

  contend({.override_allowed = true, .priority = 2}, {.override_allowed = true, .priority = 1});
  EXPECT_EQ(StandingOf("a"), Standing::kApplies);
  EXPECT_EQ(StandingOf("b"), Standing::kOverridden);
  EXPECT_EQ(Ask("/b").error, -EPERM);

  contend({.override_allowed = true, .priority = 1}, {.override_allowed = true, .priority = 1});
  EXPECT_EQ(StandingOf("b"), Standing::kConflict);

  contend({.on_overlap = OnOverlap::kMerge}, {});
  EXPECT_EQ(StandingOf("a"), Standing::kConflict);

  contend({.on_overlap = OnOverlap::kMerge}, {.on_overlap = OnOverlap::kMerge});
  const Verdict verdict = Ask("/x");
  ASSERT_EQ(verdict.policies.size(), 1u);
  EXPECT_EQ(verdict.policies[0].standing, Standing::kMerged);
  EXPECT_EQ(verdict.policies[0].members.size(), 2u);
  EXPECT_EQ(verdict.error, -EPERM);
  EXPECT_EQ(Ask("/a").error, 0);
  EXPECT_EQ(Ask("/b").error, 0);
}

TEST_F(EvaluatorTest, TheHostHasWhatSelectsIt) {
  Add(PolicyDocument("all", Everything(), AllowList({})));
  Add(PolicyDocument("host", Host(), AllowList({})));
  Add(PolicyDocument("pods", Pods({}), AllowList({})));
  Add(PolicyDocument("namespaced", Everything(), AllowList({}), "shop"));
  std::vector<std::string> on_host;
  for (const PolicyVerdict& policy :
       Evaluate(policies_, nullptr, {policy::kCredsForExec, {}, {}}).policies) {
    if (policy.standing == Standing::kApplies) on_host.push_back(policy.key.name);
  }
  EXPECT_THAT(on_host, ElementsAre("all", "host"));
  EXPECT_EQ(StandingOf("host"), Standing::kNotAbout);
  EXPECT_EQ(StandingOf("namespaced"), Standing::kApplies);
  workload_.pod.clear();
  EXPECT_EQ(StandingOf("host"), Standing::kApplies);
}

TEST_F(EvaluatorTest, AHookWithReturnIsJudgedTwice) {
  policy::Filter returned = ObjectFilter(Operator::kLess, {"0"});
  returned.subject = policy::Subject::kReturn;
  policy::Hook hook = ExecHook({Selector({ObjectFilter(Operator::kIn, {"/no"})}, {Kill()}),
                                Selector({returned}, {test::Post()})},
                               "mkdirat");
  hook.system_call = true;
  hook.arguments[0] = {0, policy::ArgumentType::kString, "", {}};
  hook.returned = policy::Argument{GH_SUBJECT_RETURN, policy::ArgumentType::kInt32, "", {}};
  policy::Spec spec;
  spec.hooks.push_back(hook);
  Add(PolicyDocument("p", Pods({}), std::move(spec)));
  const auto at = [&](bool at_return, const std::string& path, int64_t value) {
    return Evaluate(policies_, &workload_,
                    {.site = {policy::Site::Kind::kSystemCall, "mkdirat", at_return},
                     .values = {{0, path}, {GH_SUBJECT_RETURN, static_cast<uint64_t>(value)}},
                     .binary = {}});
  };
  EXPECT_THAT(at(false, "/no", 0).signals, ElementsAre(SIGKILL));
  EXPECT_EQ(at(false, "/no", 0).posts.size(), 1U);
  EXPECT_THAT(at(false, "/other", -1).posts, IsEmpty());
  EXPECT_THAT(at(true, "/no", -1).signals, IsEmpty());
  EXPECT_THAT(at(true, "/no", -1).posts, IsEmpty()) << "the first selector decides, and has acted";
  EXPECT_THAT(at(true, "/other", 0).posts, IsEmpty());
  ASSERT_EQ(at(true, "/other", -1).posts.size(), 1U);
  EXPECT_EQ(at(true, "/other", -1).posts[0].selector, 1);
}

TEST_F(EvaluatorTest, CapabilitiesThatASecondSetHas) {
  policy::Hook hook = ExecHook({});
  hook.arguments = {{.index = 0, .type = policy::ArgumentType::kCapEffective},
                    {.index = 1, .type = policy::ArgumentType::kCapPermitted}};
  policy::Filter filter = ObjectFilter(Operator::kCapabilitiesGained, {"CAP_KILL,CAP_CHOWN"});
  filter.other = 1;
  hook.selectors = {Selector({filter}, {Deny()})};
  policy::Spec spec;
  spec.hooks = {hook};
  Add(PolicyDocument("p", Pods({}), spec));
  const auto gained = [&](Value before, Value after) {
    return Evaluate(policies_, &workload_,
                    {.site = policy::kCredsForExec,
                     .values = {{0, std::move(before)}, {1, std::move(after)}},
                     .binary = {}})
               .error != 0;
  };
  constexpr uint64_t kChown = 1, kKill = 1U << 5U, kFowner = 1U << 3U;
  EXPECT_TRUE(gained(kChown, kChown | kKill));
  EXPECT_FALSE(gained(kChown | kKill, kChown)) << "lost";
  EXPECT_FALSE(gained(kChown, kChown | kFowner)) << "none of those that are asked for";
  EXPECT_FALSE(gained(Value(), kKill));
  EXPECT_FALSE(gained(kChown, Value()));
}

TEST_F(EvaluatorTest, AnEnforcerDoesOnceWhatItsPolicyNotifiedOf) {
  policy::Hook enforcer;
  enforcer.kind = policy::HookKind::kEnforcer;
  enforcer.call = "dup";
  enforcer.system_call = true;
  const policy::Action notify{
      .kind = policy::ActionKind::kNotifyEnforcer, .error = -EPERM, .signal = SIGTERM};
  policy::Spec spec;
  spec.hooks = {ExecHook({Selector({ObjectFilter(Operator::kEqual, {"/bin/a"})}, {notify}),
                          Selector({ObjectFilter(Operator::kEqual, {"/bin/b"})},
                                   {{.kind = policy::ActionKind::kCleanupEnforcerNotification}})}),
                enforcer};
  Add(PolicyDocument("p", Pods({}), spec));
  const auto execute = [&](const std::string& program, Notifications before) {
    return Evaluate(policies_, &workload_,
                    {.site = policy::kCredsForExec,
                     .values = {{0, program}},
                     .binary = {},
                     .notified = std::move(before)});
  };
  const auto dup = [&](Notifications before) {
    return Evaluate(policies_, &workload_,
                    {.site = {policy::Site::Kind::kSystemCall, "dup"},
                     .values = {},
                     .binary = {},
                     .notified = std::move(before)});
  };
  const Notifications noted{{policy::Key{"p", ""}, {-EPERM, SIGTERM}}};
  const Verdict notified = execute("/bin/a", {});
  EXPECT_EQ(notified.notified, noted);
  EXPECT_EQ(notified.error, 0) << "not here";
  EXPECT_THAT(notified.signals, IsEmpty());
  EXPECT_EQ(execute("/bin/c", noted).notified, noted);
  EXPECT_EQ(execute("/bin/b", noted).notified, Notifications{});

  const Verdict enforced = dup(noted);
  EXPECT_EQ(enforced.error, -EPERM);
  EXPECT_THAT(enforced.signals, ElementsAre(SIGTERM));
  EXPECT_THAT(enforced.posts, IsEmpty());
  EXPECT_EQ(enforced.notified, Notifications{});
  EXPECT_EQ(dup({}).error, 0);
  EXPECT_EQ(dup({{policy::Key{"q", ""}, {-EPERM, 0}}}).error, 0) << "another policy's";

  policies_[0].mode = Mode::kMonitor;
  EXPECT_EQ(execute("/bin/a", {}).notified, Notifications{});
}

TEST_F(EvaluatorTest, FiltersOnTheProcess) {
  const auto judges = [&](policy::Subject subject, uint32_t which, Operator op,
                          const std::string& value, uint32_t of, Value is) {
    documents_.clear();
    policies_.clear();
    policy::Filter filter = ObjectFilter(op, {value});
    filter.subject = subject;
    filter.which = which;
    AddPolicy("p", {Selector({filter}, {Deny()})});
    return Evaluate(policies_, &workload_,
                    {.site = policy::kCredsForExec, .values = {{of, is}}, .binary = {}})
               .error != 0;
  };
  using policy::Subject;
  EXPECT_TRUE(judges(Subject::kPid, 0, Operator::kIn, "7", GH_SUBJECT_PID, uint64_t{7}));
  EXPECT_FALSE(judges(Subject::kNamespacePid, 0, Operator::kIn, "7", GH_SUBJECT_PID, uint64_t{7}));
  const auto ancestors = [&](Operator op, const Numbers& pids) {
    return judges(Subject::kAncestors, 0, op, "7", GH_SUBJECT_ANCESTORS, pids);
  };
  EXPECT_TRUE(ancestors(Operator::kIn, {9, 7, 1}));
  EXPECT_FALSE(ancestors(Operator::kIn, {9, 1}));
  EXPECT_FALSE(ancestors(Operator::kNotIn, {9, 7, 1}));
  const auto descent = [&](Operator op, Value programs) {
    return judges(Subject::kDescent, 0, op, "/bin/sh", GH_SUBJECT_DESCENT, std::move(programs));
  };
  EXPECT_TRUE(descent(Operator::kIn, Texts{"/bin/ls", "/bin/sh"}));
  EXPECT_FALSE(descent(Operator::kNotIn, Texts{"/bin/ls", "/bin/sh"}));
  EXPECT_FALSE(descent(Operator::kIn, Texts{"/bin/ls"}));
  EXPECT_TRUE(descent(Operator::kNotIn, Value()));
  const auto script = [&](Operator op, const Value& path) {
    return judges(Subject::kScript, 0, op, "/opt/script", GH_SUBJECT_SCRIPT, path);
  };
  EXPECT_TRUE(script(Operator::kIn, "/opt/script"));
  EXPECT_FALSE(script(Operator::kIn, "/bin/sh"));
  EXPECT_FALSE(script(Operator::kIn, Value())) << "none";
  EXPECT_TRUE(script(Operator::kNotIn, Value()));
  const auto changes = [&](Operator op, Value kinds) {
    return judges(Subject::kNamespaceChanges, 0, op, "Mnt", GH_SUBJECT_NAMESPACE_CHANGES,
                  std::move(kinds));
  };
  constexpr uint64_t kMnt = 1U << GH_NAMESPACE_MNT;
  constexpr uint64_t kUts = 1U << GH_NAMESPACE_UTS;
  EXPECT_TRUE(changes(Operator::kIn, kMnt | kUts));
  EXPECT_FALSE(changes(Operator::kIn, kUts));
  EXPECT_FALSE(changes(Operator::kIn, uint64_t{0}));
  EXPECT_TRUE(changes(Operator::kNotIn, kMnt | kUts)) << "another has changed";
  EXPECT_FALSE(changes(Operator::kNotIn, kMnt));
  EXPECT_FALSE(changes(Operator::kNotIn, uint64_t{0})) << "nothing has changed";
  EXPECT_FALSE(changes(Operator::kNotIn, Value())) << "nothing to compare with";
  EXPECT_TRUE(ancestors(Operator::kNotIn, {9, 1}));
  const auto parent = [&](Operator op, const Value& path) {
    return judges(Subject::kParentBinary, 0, op, "/bin/sh", GH_SUBJECT_PARENT_BINARY, path);
  };
  EXPECT_TRUE(parent(Operator::kIn, "/bin/sh"));
  EXPECT_FALSE(parent(Operator::kIn, Value()));
  EXPECT_TRUE(parent(Operator::kNotIn, Value()));
  const auto net = [&](Operator op, const std::string& value, uint64_t is) {
    return judges(Subject::kNamespace, GH_NAMESPACE_NET, op, value,
                  int{GH_SUBJECT_NAMESPACE_0} + int{GH_NAMESPACE_NET}, is);
  };
  EXPECT_TRUE(net(Operator::kIn, "host_ns", GH_HOST_NAMESPACE + 9));
  EXPECT_FALSE(net(Operator::kIn, "host_ns", 9));
  EXPECT_TRUE(net(Operator::kIn, "9", GH_HOST_NAMESPACE + 9));
  EXPECT_TRUE(net(Operator::kIn, "9", 9));
  EXPECT_FALSE(net(Operator::kNotIn, "9", 9));
  const auto effective = [&](Operator op, uint64_t bits) {
    return judges(Subject::kCapabilities, GH_CAPABILITIES_EFFECTIVE, op, "CAP_SYS_ADMIN",
                  GH_SUBJECT_CAPABILITIES_0, bits);
  };
  EXPECT_TRUE(effective(Operator::kIn, 1U << 21));
  EXPECT_FALSE(effective(Operator::kIn, 1U << 20));
  EXPECT_TRUE(effective(Operator::kNotIn, 1U << 20));
}

}  // namespace
}  // namespace gatehouse::eval
