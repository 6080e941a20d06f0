// SPDX-License-Identifier: Apache-2.0
#include "daemon/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "daemon/fake_kernel.h"
#include "daemon/test_policies.h"

namespace gatehouse::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PolicyText;
using ::testing::SizeIs;
using workload::ContainerFacts;
using workload::Inventory;
using workload::Teller;

class ContainersTest : public ::testing::Test {
 protected:
  ContainersTest() {
    EXPECT_TRUE(
        agent_
            .AddPolicies(
                PolicyText{.selector = "containerSelector: {matchLabels: {name: app}}"}.ToString(),
                "", {})
            .applied);
  }

  static ContainerFacts Container(const std::string& id) {
    return {.id = id, .cgroup = "/cg/" + id, .name = "app", .pod = "web-1", .ns = "shop"};
  }
  void Put(const ContainerFacts& facts) {
    containers_.Change([&](Inventory& inventory) { inventory.Put(Teller::kRuntime, facts); });
  }
  /// As the daemon does it.
  void Reconcile() {
    const auto [failures, ended] = agent_.ReconcileCgroups();
    EXPECT_THAT(failures, IsEmpty());
    containers_.Change([&, ended = ended](Inventory& inventory) {
      for (const std::string& cgroup : ended) inventory.Forget(cgroup);
    });
  }
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const WorkloadView& view : agent_.ListWorkloads()) names.push_back(view.workload->Name());
    return names;
  }

  compile::StringPool strings_;
  std::map<std::string, uint64_t> cgroups_{{"/cg/c1", 11}, {"/cg/c2", 12}};
  FakeKernel kernel_;
  Agent agent_{strings_,
               kernel_,
               {.cgroup_root = "/cg",
                .cgroup_id = [this](const std::string& path) -> std::optional<uint64_t> {
                  const auto found = cgroups_.find(path);
                  return found == cgroups_.end() ? std::nullopt : std::optional(found->second);
                }}};
  std::vector<std::string> reported_;
  Containers containers_{agent_,
                         [this](const Error& error) { reported_.push_back(error.Message()); }};
};

TEST_F(ContainersTest, ACreatedContainerHasItsPolicies) {
  const auto created = containers_.Create(Container("c1"), 0);
  ASSERT_TRUE(created) << created.error().Message();
  EXPECT_EQ(created->workload->Name(), "shop/web-1/app");
  EXPECT_EQ(created->workload->source, workload::Source::kRuntime);
  EXPECT_THAT(created->policies, SizeIs(1));
  EXPECT_THAT(kernel_.Tracked(), SizeIs(1));
}

TEST_F(ContainersTest, ItEndsWithItsCgroup) {
  ASSERT_TRUE(containers_.Create(Container("c1"), 0));
  cgroups_["/cg/c1"] = agent_.ListWorkloads().at(0).cgroup_id;
  Reconcile();
  EXPECT_THAT(Names(), SizeIs(1));
  cgroups_.clear();
  Reconcile();
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_THAT(kernel_.Tracked(), IsEmpty());
  // It is forgotten, too: the same may come again.
  cgroups_["/cg/c1"] = 99;
  EXPECT_TRUE(containers_.Create(Container("c1"), 0));
}

TEST_F(ContainersTest, ACgroupThatIsMadeAnewIsTiedAtOnce) {
  const auto first = containers_.Create(Container("c1"), 0);
  ASSERT_TRUE(first);
  cgroups_["/cg/c1"] = first->cgroup_id + 1000;
  kernel_.FailNextTrack(Error{ErrorCode::kSystem, "cgroup", "asked to tie it", ""});
  const auto again = containers_.Create(Container("c1"), 0);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().Message(), HasSubstr("asked to tie it"));
  EXPECT_TRUE(containers_.Create(Container("c1"), 0));
  EXPECT_THAT(kernel_.Tracked(), SizeIs(1));
  EXPECT_THAT(kernel_.violations(), IsEmpty());
}

TEST_F(ContainersTest, WhatIsWrongWithOneDoesNotConcernTheOthers) {
  ContainerFacts bad = Container("c2");
  bad.name = "no name";
  containers_.Change([&](Inventory& inventory) {
    inventory.Put(Teller::kRuntime, bad);
    inventory.Put(Teller::kRuntime, Container("c1"));
  });
  EXPECT_THAT(Names(), ElementsAre("shop/web-1/app"));
  EXPECT_THAT(reported_, ElementsAre(HasSubstr("no name")));
  const auto created = containers_.Create(bad, 0);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().Message(), HasSubstr("no name"));
}

TEST_F(ContainersTest, AnOperatorsIdentityStays) {
  workload::Workload identity;
  identity.cgroup = "/cg/c1";
  ASSERT_TRUE(agent_.AddWorkload(identity, false));
  const auto created = containers_.Create(Container("c1"), 0);
  ASSERT_TRUE(created);
  EXPECT_EQ(created->workload->source, workload::Source::kApi);
  EXPECT_EQ(created->workload->container, "");
}

TEST_F(ContainersTest, NoPolicyIsAboutASandbox) {
  ContainerFacts sandbox = Container("c1");
  sandbox.sandbox = true;
  ASSERT_TRUE(
      agent_
          .AddPolicies(PolicyText{.name = "all", .selector = "podSelector: {}"}.ToString(), "", {})
          .applied);
  const auto created = containers_.Create(sandbox, 0);
  ASSERT_TRUE(created);
  EXPECT_THAT(created->policies, IsEmpty());
}

TEST_F(ContainersTest, LabelsOfThePodFollow) {
  ASSERT_TRUE(agent_
                  .AddPolicies(PolicyText{.name = "web",
                                          .selector = "podSelector: {matchLabels: {app: web}}"}
                                   .ToString(),
                               "", {.replace = true})
                  .applied);
  ContainerFacts facts = Container("c1");
  facts.pod_uid = "u";
  Put(facts);
  EXPECT_THAT(agent_.ListWorkloads().at(0).policies, IsEmpty());
  containers_.Change([](Inventory& inventory) {
    inventory.Put(
        workload::PodFacts{.uid = "u", .ns = "shop", .name = "web-1", .labels = {{"app", "web"}}});
  });
  EXPECT_THAT(agent_.ListWorkloads().at(0).policies, SizeIs(1));
  containers_.Change([](Inventory& inventory) { inventory.RemovePod("u"); });
  EXPECT_THAT(agent_.ListWorkloads().at(0).policies, IsEmpty());
}

TEST_F(ContainersTest, AFirstProcessThatIsElsewhereIsNotLetIn) {
  EXPECT_TRUE(containers_.Create(Container("c1"), getpid()));
  EXPECT_THAT(kernel_.entering, IsEmpty());
}

}  // namespace
}  // namespace gatehouse::daemon
