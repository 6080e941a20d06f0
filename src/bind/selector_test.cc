// SPDX-License-Identifier: Apache-2.0
#include "bind/selector.h"

#include <gtest/gtest.h>

#include "bind/test_documents.h"

namespace gatehouse::bind {
namespace {

using namespace gatehouse::test;

bool PodMatches(std::vector<policy::LabelRequirement> requirements, workload::Labels labels) {
  return MatchesPod({std::move(requirements)}, Pod(1, "web", std::move(labels), "shop"));
}

TEST(MatchesPod, EachOperatorOnPresentAndAbsentKeys) {
  EXPECT_TRUE(PodMatches({In("app", {"a", "b"})}, {{"app", "b"}}));
  EXPECT_FALSE(PodMatches({In("app", {"a", "b"})}, {{"app", "c"}}));
  EXPECT_FALSE(PodMatches({In("app", {"a"})}, {}));
  EXPECT_FALSE(PodMatches({NotIn("app", {"a"})}, {{"app", "a"}}));
  EXPECT_TRUE(PodMatches({NotIn("app", {"a"})}, {{"app", "b"}}));
  EXPECT_TRUE(PodMatches({NotIn("app", {"a"})}, {})) << "as in Kubernetes";
  EXPECT_TRUE(PodMatches({Exists("app")}, {{"app", ""}}));
  EXPECT_FALSE(PodMatches({Exists("app")}, {}));
  EXPECT_FALSE(PodMatches({Absent("app")}, {{"app", ""}}));
  EXPECT_TRUE(PodMatches({Absent("app")}, {}));
}

TEST(MatchesPod, AllRequirementsMustHold) {
  EXPECT_TRUE(PodMatches({}, {}));
  EXPECT_TRUE(PodMatches({In("a", {"1"}), In("b", {"2"})}, {{"a", "1"}, {"b", "2"}}));
  EXPECT_FALSE(PodMatches({In("a", {"1"}), In("b", {"2"})}, {{"a", "1"}}));
}

TEST(MatchesPod, TheNamespaceIsALabelThatNobodyCanFake) {
  const std::string key(workload::kNamespaceLabel);
  EXPECT_TRUE(PodMatches({In(key, {"shop"})}, {}));
  EXPECT_FALSE(PodMatches({In(key, {"bank"})}, {{key, "bank"}}));
  EXPECT_FALSE(MatchesPod({{Exists(key)}}, Plain(1, {})));
}

TEST(MatchesContainer, KnowsNameAndRepo) {
  workload::Workload workload = Pod(1, "web", {{"name", "label"}}, "shop", "nginx");
  workload.image = "registry:5000/library/nginx:1.25@sha256:abc";
  EXPECT_TRUE(MatchesContainer({{In("name", {"nginx"})}}, workload));
  EXPECT_FALSE(MatchesContainer({{In("name", {"label"})}}, workload));
  EXPECT_TRUE(MatchesContainer({{In("repo", {"registry:5000/library/nginx"})}}, workload));
  EXPECT_FALSE(MatchesContainer({{Exists("repo")}}, Plain(1, {})));
  EXPECT_TRUE(MatchesContainer({{NotIn("name", {"istio-proxy"})}}, Plain(1, {})));
}

TEST(Matches, PodAndContainerSelectorsMustBothHold) {
  policy::WorkloadSelector selector = Pods({In("app", {"web"})});
  selector.container = policy::LabelSelector{{In("name", {"main"})}};
  EXPECT_TRUE(Matches(selector, "", Pod(1, "p", {{"app", "web"}}, "shop", "main")));
  EXPECT_FALSE(Matches(selector, "", Pod(1, "p", {{"app", "web"}}, "shop", "sidecar")));
  EXPECT_FALSE(Matches(selector, "", Pod(1, "p", {{"app", "db"}}, "shop", "main")));
}

TEST(Matches, APodSelectorAlsoMatchesAPlainCgroupWithLabels) {
  EXPECT_TRUE(Matches(Pods({In("app", {"cron"})}), "", Plain(1, {{"app", "cron"}})));
}

TEST(Matches, AHostSelectorIsAboutTheHostAndWhatIsNoPod) {
  EXPECT_TRUE(MatchesHost(Host(), ""));
  EXPECT_TRUE(Matches(Host(), "", Plain(1, {})));
  EXPECT_FALSE(Matches(Host(), "", Pod(1, "web", {})));
  policy::WorkloadSelector both = Pods({In("app", {"web"})});
  both.host = true;
  EXPECT_TRUE(MatchesHost(both, ""));
  EXPECT_TRUE(Matches(both, "", Plain(1, {})));
  EXPECT_TRUE(Matches(both, "", Pod(1, "web", {{"app", "web"}})));
  EXPECT_FALSE(Matches(both, "", Pod(1, "web", {})));
}

TEST(Matches, ANamespacedPolicyIsAboutItsNamespaceAlone) {
  EXPECT_TRUE(Matches(Everything(), "shop", Pod(1, "web", {}, "shop")));
  EXPECT_FALSE(Matches(Everything(), "shop", Pod(1, "web", {}, "bank")));
  EXPECT_FALSE(Matches(Everything(), "shop", Plain(1, {})));
  EXPECT_FALSE(MatchesHost(Everything(), "shop"));
  EXPECT_TRUE(MatchesHost(Everything(), ""));
  EXPECT_FALSE(MatchesHost(Pods({}), ""));
}

TEST(Example, IsMatchedAndDescribed) {
  policy::WorkloadSelector selector =
      Pods({In("app", {"a", "b"}), NotIn("tier", {"x"}), Exists("zone"), Absent("old"),
            In(std::string(workload::kNamespaceLabel), {"shop"})});
  selector.container = policy::LabelSelector{{In(std::string(kContainerNameKey), {"main"}),
                                              In(std::string(kContainerRepoKey), {"nginx"})}};
  const workload::Workload example = Example(selector, "");
  EXPECT_TRUE(Matches(selector, "", example));
  EXPECT_EQ(example.Name(), "namespace=shop,app=a,zone=any,container=main,repo=nginx");
  EXPECT_TRUE(Matches(Everything(), "shop", Example(Everything(), "shop")));
  EXPECT_TRUE(Matches(Host(), "", Example(Host(), "")));
  EXPECT_EQ(Example(Everything(), "").Name(), "any");
}

}  // namespace
}  // namespace gatehouse::bind
