// SPDX-License-Identifier: Apache-2.0
#include "cri/read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cri/fake_runtime.h"

namespace gatehouse::cri {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::SizeIs;

Texts InfoOf(const std::string& text) {
  Texts info;
  info["info"] = text;
  return info;
}

TEST(IdTest, IsShortAndPlain) {
  for (const char* id : {"a", "0123abcdef", "A_b.c-d"}) EXPECT_TRUE(IsId(id)) << id;
  for (const std::string& id :
       {std::string(), std::string("../x"), std::string("-a"), std::string("a b"),
        std::string("a\0b", 3), std::string("a/b"), std::string(129, 'a'), std::string("\xff")}) {
    EXPECT_FALSE(IsId(id)) << id;
  }
}

TEST(InfoTest, IsFoundAmongAllElse) {
  const auto info = ReadInfo(InfoOf(testing::InfoText("pod1", "/kubepods/pod1/c1")));
  ASSERT_TRUE(info) << info.error().Message();
  EXPECT_EQ(info->cgroups_path, "/kubepods/pod1/c1");
  EXPECT_EQ(info->sandbox, "pod1");
}

TEST(InfoTest, MayLackEverything) {
  for (const char* text :
       {"{}", R"({"runtimeSpec":null})", R"({"runtimeSpec":[1]})", R"({"runtimeSpec":{"linux":7}})",
        R"({"sandboxID":null,"runtimeSpec":{"linux":{"cgroupsPath":null}}})",
        R"({"linux":{"cgroupsPath":"/a"},"cgroupsPath":"/a"})",
        R"({"x":{"runtimeSpec":{"linux":{"cgroupsPath":"/a"}}}})"}) {
    const auto info = ReadInfo(InfoOf(text));
    ASSERT_TRUE(info) << text << ": " << info.error().Message();
    EXPECT_EQ(info->cgroups_path, "") << text;
  }
  EXPECT_TRUE(ReadInfo(Texts()));
}

TEST(InfoTest, GarbageIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("7"), std::string("[]"), std::string("null"),
        std::string(R"({"sandboxID":7})"), std::string(R"({"sandboxID":{"a":1}})"),
        std::string(R"({"runtimeSpec":{"linux":{"cgroupsPath":["/a"]}}})"),
        std::string("{\"a\":\"\xff\"}"), std::string(1 << 20, '['),
        std::string(size_t{5} << 20, ' ') + "{}"}) {
    EXPECT_FALSE(ReadInfo(InfoOf(text))) << text.substr(0, 80);
  }
}

TEST(LabelsTest, KeepsThoseOfThePodThatAreWellFormed) {
  Texts labels;
  labels["app"] = "web";
  labels["empty"] = "";
  labels["io.kubernetes.pod.name"] = "web-1";
  labels["description"] = "has blanks";
  labels[std::string(400, 'k')] = "v";
  labels["long"] = std::string(5000, 'v');
  labels["k8s:io.kubernetes.pod.namespace"] = "kube-system";
  EXPECT_THAT(ReadLabels(labels), ElementsAre(Key("app"), Key("empty")));
}

TEST(LabelsTest, AreBounded) {
  Texts labels;
  for (int i = 1000; i < 3000; ++i) labels["l" + std::to_string(i)] = "v";
  const auto read = ReadLabels(labels);
  EXPECT_THAT(read, SizeIs(256));
  EXPECT_EQ(read.begin()->first, "l1000");
  EXPECT_EQ(read.rbegin()->first, "l1255");
}

TEST(FinishTest, CgroupsOfBothDriversAreBelowTheRoot) {
  workload::ContainerFacts facts{.id = "c1",
                                 .cgroup = {},
                                 .name = "web",
                                 .image = "i",
                                 .pod_uid = "u",
                                 .pod = "p",
                                 .ns = "n",
                                 .labels = {},
                                 .sandbox = false};
  EXPECT_EQ(Finish(facts, "/cg", "/kubepods/podu/c1")->cgroup, "/cg/kubepods/podu/c1");
  EXPECT_EQ(Finish(facts, "/cg", "kubepods-podu.slice:cri-containerd:c1")->cgroup,
            "/cg/kubepods.slice/kubepods-podu.slice/cri-containerd-c1.scope");
  for (const std::string& path :
       {std::string(), std::string("/"), std::string("/../../etc"), std::string("a:b:c"),
        std::string("/a/../b"), std::string("/a\0b", 4), "/" + std::string(5000, 'a')}) {
    const auto finished = Finish(facts, "/cg", path);
    ASSERT_FALSE(finished) << path;
    EXPECT_THAT(finished.error().object, HasSubstr("c1"));
    EXPECT_LT(finished.error().Message().size(), 600u);
  }
  facts.name = "a/b";
  EXPECT_FALSE(Finish(facts, "/cg", "/kubepods/podu/c1"));
}

TEST(ContainerTest, PrefersTheImageAsTheUserWroteIt) {
  workload::ContainerFacts sandbox;
  sandbox.pod = "web-1";
  sandbox.sandbox = true;
  runtime::v1::ContainerStatus status;
  status.set_id("c1");
  status.mutable_metadata()->set_name("web");
  status.mutable_image()->set_image("sha256:0123");
  EXPECT_EQ(ReadContainer(status, sandbox)->image, "sha256:0123");
  status.mutable_image()->set_user_specified_image("nginx:1");
  const auto facts = ReadContainer(status, sandbox);
  EXPECT_EQ(facts->image, "nginx:1");
  EXPECT_EQ(facts->pod, "web-1");
  EXPECT_FALSE(facts->sandbox);
  status.mutable_metadata()->clear_name();
  EXPECT_FALSE(ReadContainer(status, sandbox));
}

}  // namespace
}  // namespace gatehouse::cri
