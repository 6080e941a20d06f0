// SPDX-License-Identifier: Apache-2.0
#include "bind/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "bind/test_documents.h"

namespace gatehouse::bind {
namespace {

using namespace gatehouse::test;
using policy::Mode;
using policy::OnOverlap;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class ResolverTest : public testing::Test {
 protected:
  using Change = std::function<Result<void>(Resolver::Transaction&)>;

  /// Makes one committed change; its delta.
  Delta Apply(const Change& change) {
    Resolver::Transaction transaction(resolver_);
    const auto changed = change(transaction);
    EXPECT_TRUE(changed.has_value()) << changed.error().Message();
    auto delta = transaction.Stage();
    EXPECT_TRUE(delta.has_value()) << delta.error().Message();
    if (!delta) return {};
    transaction.Commit();
    return *std::move(delta);
  }
  Delta Add(const policy::Document& document) {
    return Apply([&](auto& transaction) { return transaction.Add(document); });
  }
  Delta Replace(const policy::Document& document) {
    return Apply([&](auto& transaction) { return transaction.Replace(document); });
  }
  Delta Remove(const std::string& name) {
    return Apply([&](auto& transaction) { return transaction.Remove({name, ""}); });
  }
  Delta Configure(const std::string& name, std::optional<bool> enabled, std::optional<Mode> mode) {
    return Apply(
        [&](auto& transaction) { return transaction.Configure({name, ""}, enabled, mode); });
  }
  Delta Put(workload::Workload workload) {
    return Apply([&](auto& transaction) -> Result<void> {
      transaction.PutWorkload(Share(std::move(workload)));
      return {};
    });
  }
  Delta RemoveWorkload(WorkloadId id) {
    return Apply([&](auto& transaction) -> Result<void> {
      transaction.RemoveWorkload(id);
      return {};
    });
  }
  /// The error of a change that must fail.
  Error Refused(const Change& change) {
    Resolver::Transaction transaction(resolver_);
    if (auto changed = change(transaction); !changed) return changed.error();
    auto delta = transaction.Stage();
    EXPECT_FALSE(delta.has_value());
    return delta ? Error{} : delta.error();
  }

  /// Names of the instances on a workload, in order.
  [[nodiscard]] std::vector<std::string> On(WorkloadId workload) const {
    std::vector<std::string> names;
    for (const InstanceId id : resolver_.Group(workload)) {
      names.push_back(resolver_.instances().Find(id)->key.ToString());
    }
    return names;
  }
  [[nodiscard]] PolicyStatus Status(const std::string& name) const {
    const auto status = resolver_.Status({name, ""});
    EXPECT_TRUE(status.has_value());
    return status.value_or(PolicyStatus{});
  }
  [[nodiscard]] std::vector<std::string> ValuesOf(const Delta& delta) {
    EXPECT_EQ(delta.added.size(), 1u);
    return sets_.Texts(*delta.added.at(0).second->hooks.at(0).rules.at(0).filters.at(0).set);
  }

  compile::StringPool pool_;
  compile::ValueSets sets_{pool_};
  Resolver resolver_{sets_, {.allow_host_enforcement = true}};
};

// ---- policies
// ------------------------------------------------------------------------------------

TEST_F(ResolverTest, APolicyIsInForceWhereItsSelectorMatches) {
  EXPECT_TRUE(Put(Pod(1, "web", {{"app", "web"}})).empty());
  EXPECT_TRUE(Put(Pod(2, "db", {{"app", "db"}})).empty());
  const Delta delta =
      Add(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({"/bin/ls"})));
  ASSERT_EQ(delta.added.size(), 1u);
  EXPECT_THAT(delta.removed, IsEmpty());
  EXPECT_THAT(delta.groups, ElementsAre(testing::Pair(1u, ElementsAre(delta.added[0].first))));
  EXPECT_THAT(On(1), ElementsAre("web"));
  EXPECT_THAT(On(2), IsEmpty());
  EXPECT_THAT(On(kHostWorkload), IsEmpty());
}

TEST_F(ResolverTest, AWorkloadThatComesLaterGetsThePolicy) {
  EXPECT_TRUE(Add(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({}))).empty())
      << "no instance without a workload";
  const Delta delta = Put(Pod(1, "web", {{"app", "web"}}));
  EXPECT_EQ(delta.added.size(), 1u);
  EXPECT_THAT(On(1), ElementsAre("web"));
  const Delta second = Put(Pod(2, "web", {{"app", "web"}}));
  EXPECT_THAT(second.added, IsEmpty()) << "one instance serves all workloads";
  EXPECT_EQ(Status("web").workloads, 2u);
}

TEST_F(ResolverTest, TheInstanceGoesWithItsLastWorkload) {
  Add(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({})));
  const InstanceId id = Put(Pod(1, "web", {{"app", "web"}})).added.at(0).first;
  Put(Pod(2, "web", {{"app", "web"}}));
  const Delta first = RemoveWorkload(1);
  EXPECT_THAT(first.removed, IsEmpty());
  EXPECT_THAT(first.groups, ElementsAre(testing::Pair(1u, IsEmpty())));
  EXPECT_THAT(RemoveWorkload(2).removed, ElementsAre(id));
  EXPECT_THAT(Status("web").instances, IsEmpty());
  ASSERT_NE(resolver_.instances().Find(id), nullptr) << "its events may be on the way";
  EXPECT_GT(Put(Pod(3, "web", {{"app", "web"}})).added.at(0).first, id) << "ids are not reused";
}

TEST_F(ResolverTest, AnInstanceSurvivesWhenAnotherWorkloadTakesOver) {
  Add(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({})));
  Put(Pod(1, "web", {{"app", "web"}}));
  const Delta delta = Apply([](auto& transaction) -> Result<void> {
    transaction.RemoveWorkload(1);
    transaction.PutWorkload(Share(Pod(2, "web", {{"app", "web"}})));
    return {};
  });
  EXPECT_THAT(delta.added, IsEmpty());
  EXPECT_THAT(delta.removed, IsEmpty());
  EXPECT_EQ(delta.groups.size(), 2u);
}

TEST_F(ResolverTest, PoliciesAreOrderedByNameThenNamespace) {
  Put(Pod(1, "web", {}, "shop"));
  Add(PolicyDocument("b", Everything(), AllowList({})));
  Add(PolicyDocument("a", Everything(), AllowList({}), "shop"));
  Add(PolicyDocument("c", Everything(), AllowList({})));
  Add(PolicyDocument("a", Everything(), AllowList({})));
  EXPECT_THAT(On(1), ElementsAre("a", "shop/a", "b", "c"));
  EXPECT_THAT(On(kHostWorkload), ElementsAre("a", "b", "c"));
}

TEST_F(ResolverTest, AChangedPolicyIsANewInstanceEverywhereAtOnce) {
  for (WorkloadId id = 1; id <= 3; ++id) Put(Pod(id, "web", {{"app", "web"}}));
  const InstanceId old =
      Add(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({"/a"}))).added.at(0).first;
  const Delta delta = Replace(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({"/b"})));
  ASSERT_EQ(delta.added.size(), 1u);
  EXPECT_THAT(delta.removed, ElementsAre(old));
  EXPECT_EQ(delta.groups.size(), 3u);
  for (const auto& [workload, group] : delta.groups) {
    EXPECT_THAT(group, ElementsAre(delta.added[0].first));
  }
}

TEST_F(ResolverTest, AChangedSelectorMovesThePolicy) {
  Put(Pod(1, "web", {{"app", "web"}}));
  Put(Pod(2, "db", {{"app", "db"}}));
  Add(PolicyDocument("p", Pods({In("app", {"web"})}), AllowList({})));
  Replace(PolicyDocument("p", Pods({In("app", {"db"})}), AllowList({})));
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_THAT(On(2), ElementsAre("p"));
}

TEST_F(ResolverTest, ADeletedPolicyIsGone) {
  Put(Pod(1, "web", {}));
  const InstanceId id = Add(PolicyDocument("p", Pods({}), AllowList({}))).added.at(0).first;
  const Delta delta = Remove("p");
  EXPECT_THAT(delta.removed, ElementsAre(id));
  EXPECT_THAT(delta.groups, ElementsAre(testing::Pair(1u, IsEmpty())));
  EXPECT_FALSE(resolver_.Status({"p", ""}));
}

TEST_F(ResolverTest, LabelsThatChangeAreMatchedAgain) {
  Add(PolicyDocument("web", Pods({In("app", {"web"})}), AllowList({})));
  Add(PolicyDocument("unlabelled", Pods({Absent("app")}), AllowList({})));
  Put(Pod(1, "x", {}));
  EXPECT_THAT(On(1), ElementsAre("unlabelled"));
  Put(Pod(1, "x", {{"app", "web"}}));
  EXPECT_THAT(On(1), ElementsAre("web"));
  Put(Pod(1, "x", {{"app", "db"}}));
  EXPECT_THAT(On(1), IsEmpty());
}

TEST_F(ResolverTest, TheHostIsInPoliciesWithoutSelectorOrWithHostSelector) {
  Put(Pod(1, "web", {}));
  Put(Plain(2, {{"app", "cron"}}));
  Add(PolicyDocument("all", Everything(), AllowList({})));
  Add(PolicyDocument("host", Host(), AllowList({})));
  Add(PolicyDocument("pods", Pods({}), AllowList({})));
  EXPECT_THAT(On(kHostWorkload), ElementsAre("all", "host"));
  EXPECT_THAT(On(1), ElementsAre("all", "pods"));
  EXPECT_THAT(On(2), ElementsAre("all", "host", "pods"));
}

// ---- matchWorkloads, nodeSelector
// ------------------------------------------------------------------

/// Kills on pods of tier db, denies on all others, never on the host.
policy::Spec TwoTiers() {
  policy::Selector kills = Selector({}, {Kill()});
  kills.workloads = std::make_shared<const policy::WorkloadSelector>(Pods({In("tier", {"db"})}));
  policy::Selector denies = Selector({}, {Deny()});
  denies.workloads = std::make_shared<const policy::WorkloadSelector>(Pods({}));
  policy::Spec spec;
  spec.hooks.push_back(ExecHook({kills, denies}));
  return spec;
}

TEST_F(ResolverTest, ASelectorIsInForceOnTheWorkloadsThatItNames) {
  Put(Pod(1, "a", {{"tier", "db"}}));
  Put(Pod(2, "b", {{"tier", "web"}}));
  Put(Pod(3, "c", {}));
  const Delta delta = Add(PolicyDocument("p", Everything(), TwoTiers()));
  const auto rules = [&](bind::WorkloadId workload) {
    std::vector<uint16_t> indices;
    for (const auto& [id, program] : delta.added) {
      if (resolver_.Group(workload) != std::vector{id}) continue;
      for (const auto& hook : program->hooks) {
        for (const auto& rule : hook.rules) indices.push_back(rule.index);
      }
    }
    return indices;
  };
  EXPECT_THAT(rules(1), ElementsAre(0, 1));
  EXPECT_THAT(rules(2), ElementsAre(1));
  EXPECT_EQ(resolver_.Group(2), resolver_.Group(3)) << "shared by those that have the same";
  EXPECT_THAT(rules(kHostWorkload), IsEmpty());
  EXPECT_EQ(Status("p").instances.size(), 3u);

  const Delta changed = Put(Pod(3, "c", {{"tier", "db"}}));
  EXPECT_EQ(resolver_.Group(3), resolver_.Group(1));
  EXPECT_THAT(changed.added, IsEmpty());
  EXPECT_THAT(Remove("p").removed, SizeIs(3));
}

TEST_F(ResolverTest, WhatIsNotForTheHostDoesNotEnforceOnIt) {
  Resolver careful(sets_, {});
  Resolver::Transaction transaction(careful);
  EXPECT_TRUE(transaction.Add(PolicyDocument("p", Everything(), TwoTiers())));
  policy::Spec spec = TwoTiers();
  spec.hooks[0].selectors[1].workloads =
      std::make_shared<const policy::WorkloadSelector>(gatehouse::test::Host());
  EXPECT_FALSE(transaction.Add(PolicyDocument("q", Everything(), spec)));
}

TEST_F(ResolverTest, APolicyForOtherNodesIsSkipped) {
  Resolver here(sets_, {.node_labels = workload::Labels{{"zone", "a"}}});
  const auto add = [&](policy::Document document) {
    Resolver::Transaction transaction = here.Begin();
    ASSERT_TRUE(transaction.Add(document));
    ASSERT_TRUE(transaction.Stage());
    transaction.Commit();
  };
  policy::Spec spec = AllowList({});
  spec.node = policy::LabelSelector{{In("zone", {"a"})}};
  add(PolicyDocument("ours", Pods({}), spec));
  spec.node = policy::LabelSelector{{In("zone", {"b"})}};
  // Would enforce on the host, if it were for this node.
  add(PolicyDocument("theirs", Everything(), spec));
  policy::Document tmpl = AllowTemplate("t");
  std::get<policy::Template>(tmpl.object).spec.node = spec.node;
  add(tmpl);
  add(BindingDocument("b", "t", Pods({}), {}));
  {
    Resolver::Transaction transaction = here.Begin();
    transaction.PutWorkload(std::make_shared<workload::Workload>(Pod(1, "web", {})));
    ASSERT_TRUE(transaction.Stage());
    transaction.Commit();
  }
  EXPECT_EQ(here.Group(1).size(), 1u);
  EXPECT_THAT(here.Group(kHostWorkload), IsEmpty());
  EXPECT_EQ(here.Status({"ours", ""})->state, State::kEnabled);
  for (const char* name : {"theirs", "t", "b"}) {
    EXPECT_EQ(here.Status({name, ""})->state, State::kSkipped) << name;
  }
  // Without labels every node is meant: `gatehouse check` knows of none.
  Put(Pod(1, "web", {}));
  Add(PolicyDocument("theirs", Pods({}), spec));
  EXPECT_THAT(On(1), ElementsAre("theirs"));
}

TEST_F(ResolverTest, ANamespacedPolicyStaysInItsNamespace) {
  Put(Pod(1, "a", {}, "shop"));
  Put(Pod(2, "b", {}, "bank"));
  Add(PolicyDocument("p", Everything(), AllowList({}), "shop"));
  EXPECT_THAT(On(1), ElementsAre("shop/p"));
  EXPECT_THAT(On(2), IsEmpty());
  EXPECT_THAT(On(kHostWorkload), IsEmpty());
}

TEST_F(ResolverTest, RefusesASecondObjectOfTheSameName) {
  Add(AllowTemplate("x"));
  const Error error = Refused([](auto& transaction) {
    return transaction.Add(PolicyDocument("x", Everything(), AllowList({})));
  });
  EXPECT_EQ(error.code, ErrorCode::kExists);
  EXPECT_THAT(error.Message(), AllOf(HasSubstr("policy/x"), HasSubstr("TracingPolicyTemplate")));
}

TEST_F(ResolverTest, RefusesToChangeWhatIsNotThere) {
  const auto code = [&](const Change& change) { return Refused(change).code; };
  EXPECT_EQ(code([](auto& t) { return t.Remove({"x", ""}); }), ErrorCode::kNotFound);
  EXPECT_EQ(code([](auto& t) { return t.Configure({"x", ""}, true, {}); }), ErrorCode::kNotFound);
  EXPECT_EQ(code([](auto& t) { return t.Replace(AllowTemplate("x")); }), ErrorCode::kNotFound);
}

// ---- state set at run time
// -----------------------------------------------------------------------

TEST_F(ResolverTest, ADisabledPolicyIsInNoGroup) {
  Put(Pod(1, "web", {}));
  Add(PolicyDocument("p", Pods({}), AllowList({})));
  Configure("p", false, {});
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_EQ(Status("p").state, State::kDisabled);
  Put(Pod(2, "web", {}));
  EXPECT_THAT(On(2), IsEmpty());
  Configure("p", true, {});
  EXPECT_THAT(On(1), ElementsAre("p"));
  EXPECT_THAT(On(2), ElementsAre("p"));
}

TEST_F(ResolverTest, TheModeSetAtRunTimeWins) {
  Put(Pod(1, "web", {}));
  policy::Spec spec = AllowList({});
  spec.mode = Mode::kMonitor;
  EXPECT_TRUE(Add(PolicyDocument("p", Pods({}), spec)).added.at(0).second->monitor);
  EXPECT_EQ(Status("p").mode, Mode::kMonitor);
  const Delta delta = Configure("p", {}, Mode::kEnforce);
  EXPECT_FALSE(delta.added.at(0).second->monitor);
  EXPECT_EQ(delta.removed.size(), 1u);
  EXPECT_FALSE(Replace(PolicyDocument("p", Pods({}), spec)).added.at(0).second->monitor)
      << "what was set at run time outlives a new text";
  EXPECT_TRUE(Configure("p", true, Mode::kEnforce).empty()) << "nothing changed";
}

TEST_F(ResolverTest, TheModeOfABindingIsItsOwnOrItsTemplates) {
  Put(Pod(1, "web", {}));
  Add(AllowTemplate("t", Mode::kMonitor));
  EXPECT_TRUE(Add(BindingDocument("b", "t", Pods({}), {})).added.at(0).second->monitor);
  EXPECT_FALSE(Configure("t", {}, Mode::kEnforce).added.at(0).second->monitor);
  EXPECT_TRUE(Configure("b", {}, Mode::kMonitor).added.at(0).second->monitor);
  EXPECT_EQ(Status("b").mode, Mode::kMonitor);
  EXPECT_EQ(Status("t").mode, Mode::kEnforce);
}

TEST_F(ResolverTest, EnforcingOnTheHostNeedsPermission) {
  Resolver careful(sets_, {});
  Resolver::Transaction transaction(careful);
  const auto refused = transaction.Add(PolicyDocument("p", Everything(), AllowList({})));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().Message(), HasSubstr("--allow-host-enforcement"));
  EXPECT_FALSE(transaction.Add(PolicyDocument("p", Host(), AllowList({}))));

  policy::Spec monitored = AllowList({});
  monitored.mode = Mode::kMonitor;
  EXPECT_TRUE(transaction.Add(PolicyDocument("monitored", Everything(), monitored)));
  EXPECT_FALSE(transaction.Configure({"monitored", ""}, {}, Mode::kEnforce));
  policy::Spec posts;
  posts.hooks.push_back(ExecHook({}));
  EXPECT_TRUE(transaction.Add(PolicyDocument("posts", Everything(), posts)));
  EXPECT_TRUE(transaction.Add(PolicyDocument("pods", Pods({}), AllowList({}))));
  EXPECT_FALSE(transaction.Replace(PolicyDocument("pods", Everything(), AllowList({}))));
  EXPECT_TRUE(transaction.Add(PolicyDocument("namespaced", Everything(), AllowList({}), "shop")));
}

// ---- templates and bindings
// ----------------------------------------------------------------------

TEST_F(ResolverTest, ATemplateAloneDoesNothing) {
  Put(Pod(1, "web", {}));
  EXPECT_TRUE(Add(AllowTemplate("t")).empty());
  EXPECT_EQ(Status("t").state, State::kEnabled);
}

TEST_F(ResolverTest, ABindingGivesItsValuesToTheTemplate) {
  Put(Pod(1, "web", {{"app", "web"}}));
  Add(AllowTemplate("t"));
  const Delta delta =
      Add(BindingDocument("b", "t", Pods({In("app", {"web"})}), {"/bin/ls", "/bin/cat"}));
  EXPECT_THAT(ValuesOf(delta), UnorderedElementsAre("/bin/ls", "/bin/cat"));
  const InstanceInfoPtr info = resolver_.instances().Find(delta.added[0].first);
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->key.name, "b");
  EXPECT_EQ(info->template_name, "t");
  EXPECT_EQ(info->hooks->at(0).call, "security_bprm_creds_for_exec");
  EXPECT_THAT(Status("t").instances, ElementsAre(delta.added[0].first));
  EXPECT_EQ(Status("t").workloads, 1u);
}

TEST_F(ResolverTest, ABindingWaitsForItsTemplate) {
  Put(Pod(1, "web", {}));
  EXPECT_TRUE(Add(BindingDocument("b", "t", Pods({}), {"/bin/ls"})).empty());
  EXPECT_EQ(Status("b").state, State::kPending);
  EXPECT_THAT(Status("b").error, HasSubstr("\"t\" does not exist"));
  Add(AllowTemplate("t"));
  EXPECT_EQ(Status("b").state, State::kEnabled);
  EXPECT_THAT(On(1), ElementsAre("b"));
  Remove("t");
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_EQ(Status("b").state, State::kPending);
}

TEST_F(ResolverTest, ADisabledTemplateMakesItsBindingsInert) {
  Put(Pod(1, "web", {}));
  Add(AllowTemplate("t"));
  Add(BindingDocument("b", "t", Pods({}), {}));
  Configure("t", false, {});
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_EQ(Status("b").state, State::kPending);
  EXPECT_THAT(Status("b").error, HasSubstr("is disabled"));
  Configure("t", true, {});
  EXPECT_THAT(On(1), ElementsAre("b"));
}

TEST_F(ResolverTest, ABindingWithOtherVariablesIsRefusedAsAWhole) {
  Put(Pod(1, "web", {}));
  Add(AllowTemplate("t"));
  Add(BindingDocument("b", "t", Pods({}), {"/bin/ls"}, {.variable = "alowed"}));
  EXPECT_THAT(On(1), IsEmpty());
  const PolicyStatus status = Status("b");
  EXPECT_EQ(status.state, State::kRefused);
  EXPECT_THAT(status.error, AllOf(HasSubstr("no value for variable \"allowed\""),
                                  HasSubstr("\"alowed\", which is no variable")));
  Add(BindingDocument("good", "t", Pods({}), {"/bin/ls"}));
  EXPECT_THAT(On(1), ElementsAre("good")) << "a refused binding is in nobody's way";
}

TEST_F(ResolverTest, AChangedTemplateChangesAllItsInstancesAtOnce) {
  Put(Pod(1, "a", {{"app", "a"}}));
  Put(Pod(2, "b", {{"app", "b"}}));
  Add(AllowTemplate("t"));
  Add(BindingDocument("ba", "t", Pods({In("app", {"a"})}), {"/a"}));
  Add(BindingDocument("bb", "t", Pods({In("app", {"b"})}), {"/b"}));
  const Delta delta = Replace(AllowTemplate("t", Mode::kMonitor));
  EXPECT_EQ(delta.added.size(), 2u);
  EXPECT_EQ(delta.removed.size(), 2u);
  EXPECT_EQ(delta.groups.size(), 2u);
}

TEST_F(ResolverTest, ALabelOnThePodAppliesABinding) {
  Add(AllowTemplate("web"));
  Add(BindingDocument("web-strict", "web", Everything(), {"/bin/ls"}));
  Add(BindingDocument("other", "web", Everything(), {"/bin/ls"}));
  Put(Pod(1, "a", {{"tetragon-web", "strict"}}));
  Put(Pod(2, "b", {{"tetragon-web", "other"}}));
  Put(Pod(3, "c", {}));
  EXPECT_THAT(On(1), ElementsAre("web-strict"));
  EXPECT_THAT(On(2), IsEmpty());
  EXPECT_THAT(On(3), IsEmpty());
  EXPECT_THAT(On(kHostWorkload), IsEmpty()) << "a binding is never about the host";
}

TEST_F(ResolverTest, ALabelAppliesBesideTheSelector) {
  Add(AllowTemplate("web"));
  Add(BindingDocument("web-strict", "web", Pods({In("app", {"web"})}), {"/bin/ls"}));
  Put(Pod(1, "a", {{"tetragon-web", "strict"}}));
  Put(Pod(2, "b", {{"app", "web"}}));
  Put(Pod(3, "c", {{"app", "web"}, {"tetragon-web", "strict"}}));
  for (WorkloadId id = 1; id <= 3; ++id) EXPECT_THAT(On(id), ElementsAre("web-strict")) << id;
}

// ---- overlaps
// ------------------------------------------------------------------------------------

class OverlapTest : public ResolverTest {
 protected:
  void SetUp() override {
    Put(Pod(1, "web", {{"app", "web"}, {"tier", "front"}}, "shop", "main"));
    Put(Pod(2, "web2", {{"app", "web"}}));
    Add(AllowTemplate("t"));
  }
  void AddBoth(const BindingOptions& a, const BindingOptions& b) {
    Add(BindingDocument("a", "t", Pods({In("app", {"web"})}), {"/a"}, a));
    Add(BindingDocument("b", "t", Pods({In("tier", {"front"})}), {"/b"}, b));
  }
};

TEST_F(OverlapTest, BindingsOfOneTemplateConflict) {
  AddBoth({}, {});
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_THAT(On(2), ElementsAre("a")) << "where they do not meet, each is in force";
  const PolicyStatus a = Status("a");
  EXPECT_EQ(a.state, State::kConflict);
  EXPECT_EQ(a.conflicts, 1u);
  EXPECT_EQ(a.workloads, 1u);
  EXPECT_THAT(a.error, AllOf(HasSubstr("\"b\""), HasSubstr("\"shop/web/main\"")));
  EXPECT_THAT(Status("b").error, AllOf(HasSubstr("\"a\""), HasSubstr("\"shop/web/main\"")));
}

TEST_F(OverlapTest, AConflictEndsWithItsCause) {
  AddBoth({}, {});
  Put(Pod(1, "web", {{"app", "web"}}, "shop"));
  EXPECT_THAT(On(1), ElementsAre("a"));
  EXPECT_EQ(Status("a").state, State::kEnabled);
  EXPECT_EQ(Status("b").conflicts, 0u);
  Put(Pod(1, "web", {{"app", "web"}, {"tier", "front"}}, "shop"));
  EXPECT_THAT(On(1), IsEmpty());
  Remove("a");
  EXPECT_THAT(On(1), ElementsAre("b"));
  EXPECT_EQ(Status("b").error, "");
}

TEST_F(OverlapTest, ThePriorityDecidesIfAllAllowIt) {
  AddBoth({.override_allowed = true, .priority = 1}, {.override_allowed = true, .priority = 2});
  EXPECT_THAT(On(1), ElementsAre("b"));
  EXPECT_EQ(Status("a").overridden, 1u);
  EXPECT_EQ(Status("a").state, State::kEnabled);
  EXPECT_EQ(Status("b").overridden, 0u);
}

TEST_F(OverlapTest, ThePriorityDecidesNothingIfOneDoesNotAllowIt) {
  AddBoth({.override_allowed = false, .priority = 1}, {.override_allowed = true, .priority = 2});
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_THAT(Status("b").error, HasSubstr("overrideAllowed"));
}

TEST_F(OverlapTest, ATieOfTheHighestIsAConflictOfAll) {
  AddBoth({.override_allowed = true, .priority = 2}, {.override_allowed = true, .priority = 2});
  EXPECT_THAT(On(1), IsEmpty());
  Add(BindingDocument("low", "t", Pods({In("tier", {"front"})}), {"/c"},
                      {.override_allowed = true, .priority = 1}));
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_THAT(Status("low").error, AllOf(HasSubstr("\"a\", \"b\""), HasSubstr("overridePriority")));
  Add(BindingDocument("top", "t", Pods({In("tier", {"front"})}), {"/d"},
                      {.override_allowed = true, .priority = 3}));
  EXPECT_THAT(On(1), ElementsAre("top"));
}

TEST_F(OverlapTest, BindingsThatAllMergeGiveTheUnion) {
  Add(BindingDocument("a", "t", Pods({In("app", {"web"})}), {"/a", "/x"},
                      {.on_overlap = OnOverlap::kMerge}));
  const Delta delta = Add(BindingDocument("b", "t", Pods({In("tier", {"front"})}), {"/b", "/x"},
                                          {.on_overlap = OnOverlap::kMerge}));
  EXPECT_THAT(ValuesOf(delta), UnorderedElementsAre("/a", "/b", "/x"));
  EXPECT_THAT(On(1), ElementsAre("a+b"));
  EXPECT_THAT(On(2), ElementsAre("a"));
  EXPECT_EQ(Status("a").workloads, 2u);
  EXPECT_EQ(Status("a").instances.size(), 2u);
  EXPECT_EQ(Status("b").workloads, 1u);
  const Delta same = Put(Pod(3, "web3", {{"app", "web"}, {"tier", "front"}}));
  EXPECT_THAT(same.added, IsEmpty()) << "the same bindings merge into the same instance";
}

TEST_F(OverlapTest, AMixtureOfMergeAndConflictConflicts) {
  AddBoth({.on_overlap = OnOverlap::kMerge}, {});
  EXPECT_THAT(On(1), IsEmpty());
  EXPECT_EQ(Status("a").state, State::kConflict);
}

TEST_F(OverlapTest, AMergedInstanceMonitorsIfAllItsMembersDo) {
  AddBoth({.on_overlap = OnOverlap::kMerge}, {.on_overlap = OnOverlap::kMerge});
  const auto mode = [&] { return resolver_.instances().Find(resolver_.Group(1).at(0))->mode; };
  EXPECT_EQ(mode(), Mode::kEnforce);
  Configure("a", {}, Mode::kMonitor);
  EXPECT_EQ(mode(), Mode::kEnforce);
  Configure("b", {}, Mode::kMonitor);
  EXPECT_EQ(mode(), Mode::kMonitor);
}

TEST_F(OverlapTest, DisabledBindingsAreInNobodysWay) {
  AddBoth({}, {});
  Configure("a", false, {});
  EXPECT_THAT(On(1), ElementsAre("b"));
  EXPECT_EQ(Status("b").state, State::kEnabled);
}

TEST_F(OverlapTest, BindingsOfDifferentTemplatesDoNotMeet) {
  Add(AllowTemplate("u"));
  Add(BindingDocument("a", "t", Pods({}), {"/a"}));
  Add(BindingDocument("b", "u", Pods({}), {"/b"}));
  EXPECT_THAT(On(1), ElementsAre("a", "b"));
}

TEST_F(OverlapTest, AConflictOnManyWorkloadsNamesSomeAndCountsAll) {
  for (WorkloadId id = 10; id < 20; ++id) {
    Put(Pod(id, "pod" + std::to_string(id), {{"app", "web"}, {"tier", "front"}}));
  }
  AddBoth({}, {});
  EXPECT_EQ(Status("a").conflicts, 11u);
  EXPECT_THAT(Status("a").error, HasSubstr("and on 8 more workloads"));
}

// ---- transactions
// --------------------------------------------------------------------------------

TEST_F(ResolverTest, ADroppedTransactionLeavesEverythingAsItWas) {
  Put(Pod(1, "web", {{"app", "web"}}));
  Put(Pod(2, "db", {{"app", "db"}}));
  Add(AllowTemplate("t"));
  Add(BindingDocument("b", "t", Pods({In("app", {"web"})}), {"/a"}));
  Add(PolicyDocument("p", Pods({}), AllowList({"/p"})));
  const std::vector<InstanceId> group1 = resolver_.Group(1);
  const std::vector<InstanceId> group2 = resolver_.Group(2);
  InstanceId staged = 0;
  {
    Resolver::Transaction transaction(resolver_);
    ASSERT_TRUE(transaction.Remove({"p", ""}));
    ASSERT_TRUE(transaction.Replace(AllowTemplate("t", Mode::kMonitor)));
    ASSERT_TRUE(transaction.Add(BindingDocument("c", "t", Pods({}), {"/c"})));
    ASSERT_TRUE(transaction.Configure({"b", ""}, false, {}));
    transaction.PutWorkload(Share(Pod(1, "web", {{"app", "other"}})));
    transaction.RemoveWorkload(2);
    transaction.PutWorkload(Share(Pod(3, "new", {})));
    const auto delta = transaction.Stage();
    ASSERT_TRUE(delta);
    ASSERT_FALSE(delta->added.empty());
    staged = delta->added[0].first;
    EXPECT_NE(resolver_.instances().Find(staged), nullptr) << "events may come before Commit";
  }
  EXPECT_EQ(resolver_.instances().Find(staged), nullptr);
  EXPECT_EQ(resolver_.Group(1), group1);
  EXPECT_EQ(resolver_.Group(2), group2);
  EXPECT_EQ(Status("b").state, State::kEnabled);
  EXPECT_FALSE(resolver_.Status({"c", ""}));
  Put(Pod(4, "web", {{"app", "web"}}));
  EXPECT_EQ(resolver_.Group(4), group1) << "the same instances as before";
}

TEST_F(ResolverTest, WhatChangesAndChangesBackIsNoChange) {
  Put(Pod(1, "web", {{"app", "web"}}));
  Add(PolicyDocument("p", Pods({In("app", {"web"})}), AllowList({})));
  const Delta delta = Apply([](auto& transaction) -> Result<void> {
    transaction.PutWorkload(Share(Pod(1, "web", {})));
    transaction.PutWorkload(Share(Pod(1, "web", {{"app", "web"}})));
    GH_TRY(transaction.Add(PolicyDocument("q", Pods({}), AllowList({}))));
    return transaction.Remove({"q", ""});
  });
  EXPECT_TRUE(delta.empty());
}

TEST_F(ResolverTest, RefusesByNameThePolicyOverTheLimitOfAWorkload) {
  Put(Pod(1, "web", {}, "shop"));
  Apply([](auto& transaction) -> Result<void> {
    for (uint32_t i = 0; i < GH_POLICIES_PER_GATE_MAX; ++i) {
      GH_TRY(transaction.Add(PolicyDocument("p" + std::to_string(i), Pods({}), AllowList({}))));
    }
    return {};
  });
  const Error error = Refused([](auto& transaction) {
    return transaction.Add(PolicyDocument("a", Pods({}), AllowList({})));
  });
  EXPECT_EQ(error.code, ErrorCode::kRefused);
  EXPECT_THAT(error.Message(), AllOf(HasSubstr("policy/a"), HasSubstr("shop/web/main"),
                                     HasSubstr("4097"), HasSubstr("4096")));
  EXPECT_EQ(resolver_.Group(1).size(), GH_POLICIES_PER_GATE_MAX);
  policy::Spec other;
  other.hooks.push_back(ExecHook({}, "security_bprm_check"));
  Add(PolicyDocument("a", Pods({}), other));
  EXPECT_EQ(resolver_.Group(1).size(), GH_POLICIES_PER_GATE_MAX + 1u) << "the limit is per hook";
}

TEST_F(ResolverTest, ForgetsInstancesThatAreGoneForLong) {
  Put(Pod(1, "web", {}));
  const InstanceId first = Add(PolicyDocument("p", Pods({}), AllowList({}))).added.at(0).first;
  for (int i = 0; i < 4096; ++i) {
    Configure("p", {}, i % 2 == 0 ? Mode::kMonitor : Mode::kEnforce);
  }
  EXPECT_NE(resolver_.instances().Find(first), nullptr);
  Configure("p", {}, Mode::kMonitor);
  EXPECT_EQ(resolver_.instances().Find(first), nullptr);
}

}  // namespace
}  // namespace gatehouse::bind
