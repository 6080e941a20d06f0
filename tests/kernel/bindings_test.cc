// SPDX-License-Identifier: Apache-2.0
// Templates and their bindings, decided by what programs may run.
#include <gmock/gmock.h>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;

class Bindings : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    web_ = Workload(web_cgroup_.path(), {{"app", "web"}, {"tier", "front"}});
    api_ = Workload(api_cgroup_.path(), {{"app", "api"}, {"tier", "back"}});
    Must(gatehouse().Apply(Template("allow")));
  }

  /// Allows the variable's programs alone.
  static PolicyText Template(const std::string& name) {
    PolicyText policy =
        OneRule(name, {FilterText{"NotIn", {}, false, "programs"}}, {Override(EPERM)});
    policy.variables = {"programs"};
    return policy;
  }
  static BindingText Binding(const std::string& name, LabelText pods,
                             std::vector<std::string> programs) {
    return {.name = name,
            .template_name = "allow",
            .pods = std::move(pods),
            .values = {{"programs", std::move(programs)}}};
  }
  void Apply(const BindingText& binding) { Must(gatehouse().Apply(Text(binding))); }
  bind::PolicyStatus Status(const std::string& name) {
    return Must(gatehouse().resolver().Status({name, ""}));
  }

  /// Which of the programs a, b, c run in the workload.
  std::string Runs(const Cgroup& cgroup) {
    std::string runs;
    for (const auto& [name, path] : {std::pair{'a', a_}, {'b', b_}, {'c', c_}}) {
      const Outcome outcome = cgroup.Run(path);
      if (outcome == Allowed()) {
        runs += name;
      } else {
        EXPECT_EQ(outcome, gatehouse().Denial(EPERM)) << name;
      }
    }
    return runs;
  }

  const Cgroup web_cgroup_{"web"}, api_cgroup_{"api"};
  workload::WorkloadPtr web_, api_;
  const std::string a_ = programs_.Add("a"), b_ = programs_.Add("b"), c_ = programs_.Add("c");
};

TEST_F(Bindings, TemplateAloneDoesNothing) {
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  EXPECT_EQ(gatehouse().kernel().status().image.instances, 0);
}

TEST_F(Bindings, EachWorkloadHasItsOwnValues) {
  Apply(Binding("web", {{"app", "web"}}, {a_, b_}));
  Apply(Binding("api", {{"app", "api"}}, {c_}));
  EXPECT_EQ(Runs(web_cgroup_), "ab");
  EXPECT_EQ(Runs(api_cgroup_), "c");
  Apply(Binding("api", {{"app", "api"}}, {a_}));
  EXPECT_EQ(Runs(web_cgroup_), "ab");
  EXPECT_EQ(Runs(api_cgroup_), "a");
}

TEST_F(Bindings, EventNamesTheBinding) {
  Apply(Binding("web", {{"app", "web"}}, {a_}));
  const Attempt attempt = web_cgroup_.Try(b_);
  EXPECT_THAT(gatehouse().TakePosted(),
              ::testing::ElementsAre(Posted{.pid = attempt.pid,
                                            .policy = "web",
                                            .object = b_,
                                            .actions = GH_ACTION_POST | GH_ACTION_OVERRIDE,
                                            .error = -EPERM,
                                            .flags = gatehouse().DenialFlags(),
                                            .workload = web_->id}));
}

TEST_F(Bindings, ConflictAppliesNone) {
  Apply(Binding("one", {{"app", "web"}}, {a_}));
  EXPECT_EQ(Runs(web_cgroup_), "a");
  Apply(Binding("two", {{"tier", "front"}}, {b_}));
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  EXPECT_EQ(Status("one").state, bind::State::kConflict);
  EXPECT_THAT(Status("one").error, HasSubstr("two"));
  EXPECT_THAT(Status("two").error, HasSubstr("one"));
  Must(gatehouse().Remove("one"));
  EXPECT_EQ(Runs(web_cgroup_), "b") << "the conflict is gone";
}

TEST_F(Bindings, ConflictOnOneWorkloadLeavesTheOther) {
  Apply(Binding("one", {}, {a_}));
  Apply(Binding("two", {{"app", "web"}}, {b_}));
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  EXPECT_EQ(Runs(api_cgroup_), "a");
}

TEST_F(Bindings, HighestPriorityWins) {
  BindingText low = Binding("low", {{"app", "web"}}, {a_}),
              high = Binding("high", {{"tier", "front"}}, {b_}),
              highest = Binding("highest", {}, {c_});
  low.override_allowed = high.override_allowed = highest.override_allowed = true;
  low.override_priority = -5;
  high.override_priority = 5;
  highest.override_priority = 6;
  Apply(high);
  Apply(low);
  EXPECT_EQ(Runs(web_cgroup_), "b");
  Apply(highest);
  EXPECT_EQ(Runs(web_cgroup_), "c");
  EXPECT_EQ(Runs(api_cgroup_), "c");
  EXPECT_EQ(Status("low").overridden, 1);
  Must(gatehouse().Remove("highest"));
  EXPECT_EQ(Runs(web_cgroup_), "b");
  EXPECT_EQ(Runs(api_cgroup_), "abc");

  BindingText strict = Binding("strict", {{"app", "web"}}, {c_});
  Apply(strict);
  EXPECT_EQ(Runs(web_cgroup_), "abc") << "one that allows no override: none is applied";
}

TEST_F(Bindings, TieIsAConflict) {
  BindingText one = Binding("one", {{"app", "web"}}, {a_}),
              two = Binding("two", {{"tier", "front"}}, {b_}),
              low = Binding("low", {{"app", "web"}}, {c_});
  one.override_allowed = two.override_allowed = low.override_allowed = true;
  one.override_priority = two.override_priority = 7;
  Apply(low);
  Apply(one);
  EXPECT_EQ(Runs(web_cgroup_), "a");
  Apply(two);
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  EXPECT_EQ(Status("one").state, bind::State::kConflict);
}

TEST_F(Bindings, MergeTakesTheUnion) {
  BindingText one = Binding("one", {{"app", "web"}}, {a_}),
              two = Binding("two", {{"tier", "front"}}, {b_});
  one.merge = two.merge = true;
  Apply(one);
  Apply(two);
  EXPECT_EQ(Runs(web_cgroup_), "ab");
  const Attempt attempt = web_cgroup_.Try(c_);
  EXPECT_EQ(attempt.outcome, gatehouse().Denial(EPERM));
  bool named = false;
  for (const Posted& posted : gatehouse().TakePosted())
    named |= posted.pid == attempt.pid && posted.policy == "one+two";
  EXPECT_TRUE(named) << "the event names both";
  Must(gatehouse().Remove("one"));
  EXPECT_EQ(Runs(web_cgroup_), "b");
}

TEST_F(Bindings, LabelFormAppliesByTheLabelAlone) {
  // Without a selector of its own a binding is applied to pods labelled
  // tetragon-<template>=<suffix>.
  const std::string text = R"(---
apiVersion: cilium.io/v1alpha1
kind: TracingPolicyBinding
metadata: {name: allow-small}
spec:
  templateRef: {name: allow}
  bindings:
  - {name: programs, values: [")" +
                           a_ + R"("]}
)";
  Must(gatehouse().Apply(text));
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  Must(gatehouse().Relabel(web_->id, {{"tetragon-allow", "small"}}));
  EXPECT_EQ(Runs(web_cgroup_), "a");
  EXPECT_EQ(Runs(api_cgroup_), "abc");
}

TEST_F(Bindings, LabelsThatChangeMoveTheWorkload) {
  Apply(Binding("web", {{"app", "web"}}, {a_}));
  Apply(Binding("api", {{"app", "api"}}, {b_}));
  EXPECT_EQ(Runs(web_cgroup_), "a");
  Must(gatehouse().Relabel(web_->id, {{"app", "api"}}));
  EXPECT_EQ(Runs(web_cgroup_), "b");
  Must(gatehouse().Relabel(web_->id, {{"app", "other"}}));
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  Must(gatehouse().Relabel(web_->id, {{"app", "web"}}));
  EXPECT_EQ(Runs(web_cgroup_), "a");
}

TEST_F(Bindings, DeletedTemplateTakesItsBindingsOutOfForce) {
  Apply(Binding("web", {{"app", "web"}}, {a_}));
  EXPECT_EQ(Runs(web_cgroup_), "a");
  Must(gatehouse().Remove("allow"));
  EXPECT_EQ(Runs(web_cgroup_), "abc");
  EXPECT_EQ(Status("web").state, bind::State::kPending);
  Must(gatehouse().Apply(Template("allow")));
  EXPECT_EQ(Runs(web_cgroup_), "a") << "the binding waited for it";
}

TEST_F(Bindings, TemplateThatChangesChangesAllBindings) {
  Apply(Binding("web", {{"app", "web"}}, {a_}));
  Apply(Binding("api", {{"app", "api"}}, {b_}));
  PolicyText denies = Template("allow");
  denies.hooks[0].selectors[0].filters[0].op = "In";
  Must(gatehouse().Apply(denies));
  EXPECT_EQ(Runs(web_cgroup_), "bc");
  EXPECT_EQ(Runs(api_cgroup_), "ac");
}

}  // namespace
}  // namespace gatehouse::test
