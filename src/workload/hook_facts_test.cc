// SPDX-License-Identifier: Apache-2.0
#include "workload/hook_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace gatehouse::workload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const std::string kId = "4f1c5a0b9d8e7f6a4f1c5a0b9d8e7f6a4f1c5a0b9d8e7f6a4f1c5a0b9d8e7f6a";
const std::string kUid = "0b9d8e7f-6a4f-1c5a-0b9d-8e7f6a4f1c5a";

Annotations Containerd() {
  return {{"io.kubernetes.cri.container-type", "container"},
          {"io.kubernetes.cri.container-name", "app"},
          {"io.kubernetes.cri.image-name", "docker.io/library/nginx:1.25"},
          {"io.kubernetes.cri.sandbox-id", "feed"},
          {"io.kubernetes.cri.sandbox-name", "web-1"},
          {"io.kubernetes.cri.sandbox-namespace", "shop"},
          {"io.kubernetes.cri.sandbox-uid", kUid}};
}

TEST(HookFacts, ContainerdTellsByAnnotations) {
  const auto facts = FactsOfHook({.container_id = kId, .annotations = Containerd()});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_EQ(facts->id, kId);
  EXPECT_EQ(facts->name, "app");
  EXPECT_EQ(facts->image, "docker.io/library/nginx:1.25");
  EXPECT_EQ(facts->pod, "web-1");
  EXPECT_EQ(facts->ns, "shop");
  EXPECT_EQ(facts->pod_uid, kUid);
  EXPECT_FALSE(facts->sandbox);
}

TEST(HookFacts, NamedFieldsWin) {
  const auto facts = FactsOfHook({.container = "c",
                                  .container_id = "i",
                                  .pod = "p",
                                  .pod_uid = "u",
                                  .ns = "n",
                                  .image = "m",
                                  .annotations = Containerd()});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_EQ(facts->name, "c");
  EXPECT_EQ(facts->id, "i");
  EXPECT_EQ(facts->pod, "p");
  EXPECT_EQ(facts->pod_uid, "u");
  EXPECT_EQ(facts->ns, "n");
  EXPECT_EQ(facts->image, "m");
}

TEST(HookFacts, ASandboxIsOfItsPodAndHasNoName) {
  Annotations annotations = Containerd();
  annotations["io.kubernetes.cri.container-type"] = "sandbox";
  const auto facts = FactsOfHook({.container = "POD", .annotations = annotations});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_TRUE(facts->sandbox);
  EXPECT_EQ(facts->pod, "web-1");
  EXPECT_EQ(facts->name, "");
}

TEST(HookFacts, CrioTellsByItsOwn) {
  Annotations annotations = {
      {"io.kubernetes.cri-o.ContainerType", "container"},
      {"io.kubernetes.cri-o.ImageName", "quay.io/x/y:1"},
      {"io.kubernetes.container.name", "app"},
      {"io.kubernetes.pod.name", "web-1"},
      {"io.kubernetes.pod.namespace", "shop"},
      {"io.kubernetes.pod.uid", kUid},
      {"io.kubernetes.cri-o.Labels", R"({"io.kubernetes.container.name":"app"})"}};
  auto facts = FactsOfHook({.annotations = annotations});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_EQ(facts->name, "app");
  EXPECT_EQ(facts->image, "quay.io/x/y:1");
  EXPECT_EQ(facts->pod, "web-1");
  EXPECT_EQ(facts->ns, "shop");
  EXPECT_EQ(facts->pod_uid, kUid);
  EXPECT_THAT(facts->labels, ElementsAre());

  annotations = {{"io.kubernetes.cri-o.ContainerType", "sandbox"},
                 {"io.kubernetes.cri-o.KubeName", "web-1"},
                 {"io.kubernetes.cri-o.Namespace", "shop"},
                 {"io.kubernetes.cri-o.Labels",
                  R"({"app":"web","io.kubernetes.pod.name":"web-1","io.kubernetes.pod.uid":"u"})"}};
  facts = FactsOfHook({.annotations = annotations});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_TRUE(facts->sandbox);
  EXPECT_EQ(facts->pod, "web-1");
  EXPECT_EQ(facts->ns, "shop");
  EXPECT_THAT(facts->labels, ElementsAre(Pair("app", "web")));
}

TEST(HookFacts, OfPodmanOnlyTheNamedFieldsCount) {
  const auto facts = FactsOfHook({.container = "web",
                                  .image = "localhost/tiny:1",
                                  .annotations = {{"io.container.manager", "libpod"},
                                                  {"io.kubernetes.cri-o.ContainerType", "sandbox"},
                                                  {"io.kubernetes.cri-o.TTY", "false"}}});
  ASSERT_TRUE(facts) << facts.error().Message();
  EXPECT_FALSE(facts->sandbox);
  EXPECT_EQ(facts->name, "web");
  EXPECT_EQ(facts->image, "localhost/tiny:1");
  EXPECT_EQ(facts->pod, "");
}

/// Tetragon's own hook sends a name, a cgroup and annotations.
TEST(HookFacts, TheCgroupTellsIdsIfNothingElseDoes) {
  std::string underscored = kUid;
  std::ranges::replace(underscored, '-', '_');
  const std::string hash(32, 'a');
  Annotations annotations = Containerd();
  annotations.erase("io.kubernetes.cri.sandbox-uid");
  const struct {
    std::string path, id, uid;
  } cases[] = {
      {"/kubepods/burstable/pod" + kUid + "/" + kId, kId, kUid},
      {"kubepods-burstable-pod" + underscored + ".slice:cri-containerd:" + kId, kId, kUid},
      {"/kubepods.slice/kubepods-pod" + hash + ".slice/crio-" + kId + ".scope", kId, hash},
      {"/libpod_parent/libpod-" + kId, kId, ""},
      {"/kubepods/podshort/abc", "", ""},
      {"/pods/0" + kId, "", ""},
      {"", "", ""},
  };
  for (const auto& [path, id, uid] : cases) {
    SCOPED_TRACE(path);
    const auto facts = FactsOfHook({.cgroups_path = path, .annotations = annotations});
    ASSERT_TRUE(facts) << facts.error().Message();
    EXPECT_EQ(facts->id, id);
    EXPECT_EQ(facts->pod_uid, uid);
  }
}

TEST(HookFacts, WhatCannotBeReadIsRefused) {
  for (const char* labels : {"[]", "{", R"({"a":1})", R"({"a":{"b":"c"}})", "\xff"}) {
    const auto facts = FactsOfHook({.annotations = {{"io.kubernetes.cri.container-type", "sandbox"},
                                                    {"io.kubernetes.cri-o.Labels", labels}}});
    ASSERT_FALSE(facts) << labels;
    EXPECT_THAT(facts.error().Message(), HasSubstr("cri-o.Labels"));
  }
  HookCall many;
  for (size_t i = 0; i <= kAnnotationsMax; ++i) many.annotations[std::to_string(i)];
  EXPECT_FALSE(FactsOfHook(many));
  HookCall large;
  large.annotations["a"] = std::string(kAnnotationsBytesMax, 'x');
  EXPECT_FALSE(FactsOfHook(large));
}

}  // namespace
}  // namespace gatehouse::workload
