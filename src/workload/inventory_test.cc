// SPDX-License-Identifier: Apache-2.0
#include "workload/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

namespace gatehouse::workload {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

ContainerFacts Container(const std::string& id, const std::string& pod_uid = "u1") {
  return {.id = id,
          .cgroup = "/cg/" + id,
          .name = "app",
          .image = "img",
          .pod_uid = pod_uid,
          .pod = "web-1",
          .ns = "shop",
          .labels = {{"app", "as-made"}}};
}

PodFacts Pod(const std::string& uid = "u1", Labels labels = {{"app", "web"}}) {
  return {.uid = uid,
          .ns = "shop",
          .name = "web-1",
          .labels = std::move(labels),
          .owner = {"Deployment", "web"},
          .containers = {{.name = "app", .image = "img:2", .id = "c1"}}};
}

/// What the registry would have, had it taken all changes.
class Mirror {
 public:
  void Take(Inventory& inventory) {
    Inventory::Changes changes = inventory.Take();
    for (Workload& workload : changes.put) {
      std::string cgroup = workload.cgroup;
      all_.insert_or_assign(std::move(cgroup), std::move(workload));
    }
    for (const std::string& cgroup : changes.removed) EXPECT_EQ(all_.erase(cgroup), 1U) << cgroup;
  }
  [[nodiscard]] const std::map<std::string, Workload>& all() const { return all_; }

 private:
  std::map<std::string, Workload> all_;
};

Workload Only(Inventory& inventory) {
  Inventory::Changes changes = inventory.Take();
  EXPECT_THAT(changes.put, SizeIs(1));
  EXPECT_THAT(changes.removed, IsEmpty());
  return changes.put.empty() ? Workload() : changes.put.front();
}

TEST(InventoryTest, AContainerAloneIsWhatItsRuntimeSays) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  const Workload workload = Only(inventory);
  EXPECT_EQ(workload.cgroup, "/cg/c1");
  EXPECT_EQ(workload.Name(), "shop/web-1/app");
  EXPECT_EQ(workload.pod_uid, "u1");
  EXPECT_EQ(workload.container_id, "c1");
  EXPECT_THAT(workload.labels, ElementsAre(Pair("app", "as-made")));
  EXPECT_TRUE(inventory.Take().empty());
}

TEST(InventoryTest, TheClusterCountsForMoreThanTheRuntime) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  inventory.Put(Pod());
  inventory.Put(NamespaceFacts{"shop", {{"team", "a"}}});
  const Workload workload = Only(inventory);
  EXPECT_THAT(workload.labels, ElementsAre(Pair("app", "web"),
                                           Pair("k8s:io.cilium.k8s.namespace.labels.team", "a")));
  EXPECT_EQ(workload.owner, (Owner{"Deployment", "web"}));
  EXPECT_EQ(workload.image, "img") << "what runs, not what was asked for";
}

TEST(InventoryTest, WhatIsSaidAgainChangesNothing) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  inventory.Put(Pod());
  (void)inventory.Take();
  inventory.Put(Teller::kRuntime, Container("c1"));
  inventory.Put(Pod());
  inventory.Put(NamespaceFacts{"other", {{"a", "b"}}});
  EXPECT_TRUE(inventory.Take().empty());
}

TEST(InventoryTest, TheHooksNameOfAContainerIsFilledUp) {
  Inventory inventory;
  inventory.Put(Teller::kHook, {.id = "c1", .cgroup = "/cg/c1", .pod_uid = "u1"});
  inventory.Put(Pod());
  const Workload workload = Only(inventory);
  EXPECT_EQ(workload.Name(), "shop/web-1/app") << "by the id in the pod's status";
  EXPECT_EQ(workload.image, "img:2");
  inventory.Put(Teller::kRuntime, Container("c1"));
  EXPECT_EQ(Only(inventory).image, "img");
}

TEST(InventoryTest, NoPodCanClaimANamespacesLabels) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  inventory.Put(Pod("u1", {{std::string(kNamespaceLabel), "kube-system"},
                           {std::string(kNamespaceLabelsPrefix) + "team", "root"}}));
  EXPECT_THAT(Only(inventory).labels, IsEmpty());
}

// Else whoever names labels of a namespace could keep its pods out of the registry.
TEST(InventoryTest, TheLongestLabelOfANamespaceIsOne) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  inventory.Put(NamespaceFacts{
      "shop", {{std::string(253, 'a') + "/" + std::string(63, 'b'), std::string(63, 'c')}}});
  const Workload workload = Only(inventory);
  EXPECT_THAT(workload.labels, SizeIs(2));
  const auto checked = CheckIdentity(workload);
  EXPECT_TRUE(checked) << checked.error().Message();
}

TEST(InventoryTest, WithItsCgroupItIsGone) {
  Inventory inventory;
  inventory.Put(Teller::kHook, Container("c1"));
  inventory.Put(Teller::kRuntime, Container("c1"));
  (void)inventory.Take();
  inventory.Forget("/cg/other");
  EXPECT_TRUE(inventory.Take().empty());
  inventory.Forget("/cg/c1");
  EXPECT_THAT(inventory.Take().removed, ElementsAre("/cg/c1"));
  EXPECT_EQ(inventory.size(), 0U);
}

TEST(InventoryTest, ASuccessorInTheSameCgroup) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  (void)inventory.Take();
  ContainerFacts next = Container("c2");
  next.cgroup = "/cg/c1";
  inventory.Put(Teller::kRuntime, next);
  EXPECT_EQ(Only(inventory).container_id, "c2");
}

TEST(InventoryTest, APodThatEndsLeavesWhatTheRuntimeSays) {
  Inventory inventory;
  inventory.Put(Teller::kRuntime, Container("c1"));
  inventory.Put(Pod());
  (void)inventory.Take();
  inventory.RemovePod("u1");
  EXPECT_THAT(Only(inventory).labels, ElementsAre(Pair("app", "as-made")));
}

// All that is there in the end, said in any order, beside what came and went before it.
TEST(InventoryTest, AnyOrderGivesTheSame) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same each time
  constexpr int kPods = 4, kRounds = 300;
  const auto id = [](int pod, const char* what) { return what + std::to_string(pod); };
  std::map<std::string, Workload> expected;
  for (int round = 0; round < kRounds; ++round) {
    Inventory inventory;
    Mirror mirror;
    std::vector<std::function<void()>> steps;
    for (int i = 0; i < kPods; ++i) {
      PodFacts pod = Pod(id(i, "u"), {{"n", std::to_string(i)}});
      pod.ns = i % 2 == 0 ? "even" : "odd";
      pod.name = id(i, "p");
      ContainerFacts facts = Container(id(i, "c"), pod.uid);
      facts.ns = pod.ns;
      facts.pod = pod.name;
      ContainerFacts hooked{.id = facts.id, .cgroup = facts.cgroup, .pod_uid = facts.pod_uid};
      ContainerFacts gone = Container(id(i, "gone"), pod.uid);
      PodFacts before = pod;
      before.labels = {{"n", "before"}};
      // Of one source, the order is kept.
      steps.emplace_back([&inventory, before, pod, i, &random] {
        inventory.Put(before);
        if (random() % 2 == 0) inventory.RemovePod(pod.uid);
        inventory.Put(pod);
        (void)i;
      });
      steps.emplace_back([&inventory, facts, gone] {
        inventory.Put(Teller::kRuntime, gone);
        inventory.Put(Teller::kRuntime, facts);
        inventory.Forget(gone.cgroup);
      });
      steps.emplace_back([&inventory, hooked] { inventory.Put(Teller::kHook, hooked); });
    }
    for (const char* name : {"even", "odd"}) {
      steps.emplace_back([&inventory, name] {
        inventory.Put(NamespaceFacts{name, {{"is", "before"}}});
        inventory.RemoveNamespace(name);
        inventory.Put(NamespaceFacts{name, {{"is", name}}});
      });
    }
    std::ranges::shuffle(steps, random);
    for (const auto& step : steps) {
      step();
      if (random() % 2 == 0) mirror.Take(inventory);
    }
    mirror.Take(inventory);
    if (round == 0) expected = mirror.all();
    ASSERT_EQ(mirror.all().size(), static_cast<size_t>(kPods));
    ASSERT_TRUE(mirror.all() == expected) << "round " << round;
  }
}

}  // namespace
}  // namespace gatehouse::workload
