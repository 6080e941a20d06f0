// SPDX-License-Identifier: Apache-2.0
#include "eval/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bind/test_documents.h"

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
  [[nodiscard]] Verdict Ask(const std::optional<std::string>& object,
                            const std::optional<std::string>& binary = "/bin/sh") const {
    return Evaluate(policies_, &workload_,
                    {.hook = GH_HOOK_BPRM_CREDS_FOR_EXEC, .object = object, .binary = binary});
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

TEST_F(EvaluatorTest, EachOperatorOnReadableAndUnreadablePaths) {
  const struct {
    Operator op;
    bool ls, ls_extra, unreadable;  // whether /bin/ls, x/bin/lsx, and nothing match
  } cases[] = {
      {Operator::kEqual, true, false, false},   {Operator::kNotEqual, false, true, true},
      {Operator::kIn, true, false, false},      {Operator::kNotIn, false, true, true},
      {Operator::kPrefix, true, false, false},  {Operator::kNotPrefix, false, true, true},
      {Operator::kPostfix, true, false, false}, {Operator::kNotPostfix, false, true, true},
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
  EXPECT_EQ(
      Evaluate(policies_, &workload_, {.hook = GH_HOOK_BPRM_CHECK, .object = {}, .binary = {}})
          .error,
      -EACCES);
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
       Evaluate(policies_, nullptr, {.object = "/bin/ls", .binary = {}}).policies) {
    if (policy.standing == Standing::kApplies) on_host.push_back(policy.key.name);
  }
  EXPECT_THAT(on_host, ElementsAre("all", "host"));
  EXPECT_EQ(StandingOf("host"), Standing::kNotAbout);
  EXPECT_EQ(StandingOf("namespaced"), Standing::kApplies);
  workload_.pod.clear();
  EXPECT_EQ(StandingOf("host"), Standing::kApplies);
}

}  // namespace
}  // namespace gatehouse::eval
