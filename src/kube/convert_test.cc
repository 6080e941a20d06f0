// SPDX-License-Identifier: Apache-2.0
#include "kube/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/parse.h"

namespace gatehouse::kube {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using workload::PodFacts;

json Pod() {
  return json::parse(R"({
    "metadata": {"name": "web-7d4b9c8f6-abcde", "namespace": "shop", "uid": "0a1b-2c",
      "resourceVersion": "7", "labels": {"app": "web", "pod-template-hash": "7d4b9c8f6"},
      "ownerReferences": [{"kind": "Other", "name": "x"},
                          {"kind": "ReplicaSet", "name": "web-7d4b9c8f6", "controller": true}]},
    "spec": {"nodeName": "node-1",
      "initContainers": [{"name": "init", "image": "busybox"},
                         {"name": "sidecar", "image": "envoy:1", "restartPolicy": "Always"}],
      "containers": [{"name": "nginx", "image": "nginx:1.25"}, {"name": "late", "image": "x"}],
      "ephemeralContainers": [{"name": "debugger", "image": "busybox"}]},
    "status": {"phase": "Running",
      "initContainerStatuses": [
        {"name": "init", "containerID": "containerd://11", "state": {"terminated": {"exitCode": 0}}},
        {"name": "sidecar", "containerID": "containerd://22", "state": {"running": {}}}],
      "containerStatuses": [
        {"name": "nginx", "containerID": "cri-o://33", "state": {"running": {}}},
        {"name": "late", "state": {"waiting": {"reason": "ContainerCreating"}}}],
      "ephemeralContainerStatuses": [
        {"name": "debugger", "containerID": "docker://44", "state": {"running": {}}}]}})");
}

PodFacts Facts(const json& pod) {
  Result<Converted<PodFacts>> converted = ConvertPod(pod);
  EXPECT_TRUE(converted) << converted.error().Message();
  return converted ? std::move(converted->value) : PodFacts{};
}

workload::Owner OwnerOf(const std::string& kind, const std::string& name) {
  json pod = Pod();
  pod["metadata"]["ownerReferences"][1]["kind"] = kind;
  pod["metadata"]["ownerReferences"][1]["name"] = name;
  return Facts(pod).owner;
}

TEST(ConvertPod, Containers) {
  const PodFacts pod = Facts(Pod());
  EXPECT_EQ(pod.uid, "0a1b-2c");
  EXPECT_EQ(pod.ns + "/" + pod.name, "shop/web-7d4b9c8f6-abcde");
  EXPECT_EQ(pod.labels.at("app"), "web");
  std::string containers;
  for (const PodFacts::Container& each : pod.containers) {
    containers += each.name + "=" + each.image + "=" + each.id + " ";
  }
  EXPECT_EQ(containers,
            "init=busybox= sidecar=envoy:1=22 nginx=nginx:1.25=33 late=x= debugger=busybox=44 ");
}

TEST(ConvertPod, APodThatEndedHasNoContainersThatRun) {
  for (const char* const phase : {"Succeeded", "Failed"}) {
    json pod = Pod();
    pod["status"]["phase"] = phase;
    for (const PodFacts::Container& each : Facts(pod).containers) EXPECT_EQ(each.id, "");
  }
}

TEST(ConvertPod, Owners) {
  const auto owner = [](const char* kind, const char* name) { return workload::Owner{kind, name}; };
  EXPECT_EQ(Facts(Pod()).owner, owner("Deployment", "web"));
  // Not the pod's template: a ReplicaSet of its own, or a label that somebody wrote.
  EXPECT_EQ(OwnerOf("ReplicaSet", "web"), owner("ReplicaSet", "web"));
  EXPECT_EQ(OwnerOf("ReplicaSet", "-7d4b9c8f6"), owner("ReplicaSet", "-7d4b9c8f6"));
  EXPECT_EQ(OwnerOf("StatefulSet", "db"), owner("StatefulSet", "db"));
  EXPECT_EQ(OwnerOf("DaemonSet", "agent"), owner("DaemonSet", "agent"));
  EXPECT_EQ(OwnerOf("Job", "backup-27909280"), owner("CronJob", "backup"));
  EXPECT_EQ(OwnerOf("Job", "backup-1674556800"), owner("CronJob", "backup"));
  EXPECT_EQ(OwnerOf("Job", "import-2024"), owner("Job", "import-2024"));
  EXPECT_EQ(OwnerOf("Job", "-27909280"), owner("Job", "-27909280"));
  json alone = Pod();
  alone["metadata"].erase("ownerReferences");
  EXPECT_EQ(Facts(alone).owner, workload::Owner{});
}

json StaticPod(const std::string& hash) {
  json pod = Pod();
  pod["metadata"]["annotations"] = {{"kubernetes.io/config.hash", hash},
                                    {"kubernetes.io/config.mirror", hash},
                                    {"kubernetes.io/config.source", "file"}};
  pod["metadata"]["ownerReferences"] = {
      {{"kind", "Node"}, {"name", "node-1"}, {"controller", true}}};
  return pod;
}

TEST(ConvertPod, StaticPodsHaveTheHashOfTheirConfiguration) {
  const std::string hash = "0123456789abcdef0123456789abcdef";
  const PodFacts pod = Facts(StaticPod(hash));
  EXPECT_EQ(pod.uid, hash);
  EXPECT_EQ(pod.owner, (workload::Owner{"Node", "node-1"}));
}

TEST(ConvertPod, NobodyTakesTheUidOfAnotherPod) {
  const std::string hash = "0123456789abcdef0123456789abcdef";
  json pods[] = {StaticPod("8f14e45f-ceea-467f-a22c-1d3b5e2a7c90"),  // as an API server gives it
                 StaticPod("0123456789abcdef"), StaticPod(hash), StaticPod(hash), StaticPod(hash)};
  pods[2]["metadata"]["annotations"].erase("kubernetes.io/config.mirror");
  pods[3]["metadata"]["ownerReferences"][0]["kind"] = "ReplicaSet";
  pods[4]["metadata"]["ownerReferences"][0]["name"] = "node-2";
  for (const json& pod : pods) EXPECT_EQ(Facts(pod).uid, "0a1b-2c") << pod;
}

TEST(ConvertPod, StateDiffersIfAndOnlyIfTheFactsDo) {
  const std::string state = ConvertPod(Pod())->state;
  json same = Pod();
  same["metadata"]["resourceVersion"] = "8";
  same["status"]["conditions"] = {{{"type", "Ready"}}};
  EXPECT_EQ(ConvertPod(same)->state, state);
  const std::pair<const char*, json> changes[] = {
      {"/metadata/labels/app", "db"},
      {"/metadata/uid", "0a1b-2d"},
      {"/metadata/ownerReferences/1/kind", "StatefulSet"},
      {"/spec/containers/0/image", "nginx:1.26"},
      {"/status/containerStatuses/0/containerID", "cri-o://34"},
      {"/status/phase", "Failed"},
  };
  for (const auto& [path, value] : changes) {
    json other = Pod();
    other[json::json_pointer(path)] = value;
    EXPECT_NE(ConvertPod(other)->state, state) << path;
  }
}

TEST(ConvertPod, RefusesWhatIsNotAsItShouldBe) {
  const struct {
    const char* path;
    json value;
    const char* cause;
  } cases[] = {
      {"/metadata", 1, "metadata: is no object"},
      {"/metadata/name", {{"a", 1}}, "name: is no text"},
      {"/metadata/uid", "", "has no namespace or no uid"},
      {"/metadata/namespace", nullptr, "has no namespace or no uid"},
      {"/metadata/labels", {"a"}, "labels: is no object"},
      {"/metadata/labels/app", 1, "labels.app: is no text"},
      {"/metadata/labels/app", "a\nb", "labels.app: has control characters"},
      {"/metadata/labels/app", std::string(2000, 'x'), "has more than 1024 bytes"},
      {"/metadata/ownerReferences", {1}, "an entry that is no object"},
      {"/spec/containers", {{"a", 1}}, "containers: is no list"},
      {"/spec/containers", json(2000, json::object()), "has more than 1024 entries"},
      {"/spec/containers/0/name", nullptr, "containers: one has no name"},
      {"/spec/containers/0/image", std::string(5000, 'x'), "has more than 4096 bytes"},
      {"/status/containerStatuses/0/containerID", "containerd://../../x", "is no id"},
      {"/status/containerStatuses/0/state", "gone", "state: is no object"},
  };
  for (const auto& each : cases) {
    json pod = Pod();
    pod[json::json_pointer(each.path)] = each.value;
    const Result<Converted<PodFacts>> converted = ConvertPod(pod);
    ASSERT_FALSE(converted) << each.path;
    EXPECT_THAT(converted.error().Message(), HasSubstr(each.cause)) << each.path;
  }
  EXPECT_FALSE(ConvertPod(json::object()));
}

TEST(ConvertNamespace, Labels) {
  const json object = json::parse(R"({"metadata": {"name": "shop", "labels": {"team": "a"}}})");
  const auto facts = ConvertNamespace(object);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->value.name, "shop");
  EXPECT_EQ(facts->value.labels, (workload::Labels{{"team", "a"}}));
  EXPECT_FALSE(ConvertNamespace(json::parse(R"({"metadata": {"name": "shop", "labels": 1}})")));
}

TEST(ConvertNode, UidAndLabels) {
  const auto facts = ConvertNode(
      json::parse(R"({"metadata": {"name": "node-1", "uid": "u", "labels": {"zone": "a"}}})"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->value.uid, "u");
  EXPECT_EQ(facts->value.labels.at("zone"), "a");
}

json Binding() {
  return json::parse(R"({
    "apiVersion": "cilium.io/v1alpha1", "kind": "TracingPolicyBinding",
    "metadata": {"name": "web-list", "namespace": "shop", "uid": "u1", "generation": 3,
      "resourceVersion": "9", "labels": {"y": "no"}, "annotations": {"a": "b"},
      "managedFields": [{"manager": "kubectl"}]},
    "spec": {"templateRef": {"name": "web"}, "podSelector": {}, "overridePriority": -5,
      "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
      "bindings": [{"name": "allowed", "values": ["/bin/a: b", "- c", "#d", "true", "1",
        "tab\tquote\"back\\slash\nnew\u0001", "\ud83d\ude80 \u00e9", "*x", "${y}"]},
        {"name": "other", "values": ["/x"]}]},
    "status": {"nodes": [
      {"node": "node-2", "state": "Accepted", "observedGeneration": 3},
      {"node": "node-1", "state": "Conflict", "observedGeneration": 2, "message": "with x"}]}})");
}

TEST(ConvertPolicy, TextIsReadByTheParserAsItWasWritten) {
  const auto converted = PolicyConverter(PolicyKind::kBinding, "node-1")(Binding());
  ASSERT_TRUE(converted) << converted.error().Message();
  const PolicyObject& object = converted->value;
  EXPECT_EQ(object.key.ToString(), "shop/web-list");
  EXPECT_EQ(object.uid, "u1");
  EXPECT_EQ(object.generation, 3);
  const auto parsed = policy::Parse(object.text, "");
  ASSERT_TRUE(parsed) << parsed.error()[0].ToString() << "\n" << object.text;
  ASSERT_EQ(parsed->size(), 1u);
  const auto& binding = std::get<policy::Binding>(parsed->front().object);
  EXPECT_EQ(binding.key, object.key);
  EXPECT_EQ(binding.template_name, "web");
  EXPECT_EQ(binding.override_priority, -5);
  EXPECT_EQ(binding.values.at("allowed").literals,
            Binding()["spec"]["bindings"][0]["values"].get<std::vector<std::string>>());
  EXPECT_EQ(binding.values.at("other").literals, std::vector<std::string>{"/x"});
  EXPECT_THAT(object.text, Not(HasSubstr("managedFields")));
  EXPECT_THAT(object.text, HasSubstr("\n  name: \"web-list\"\n"));
}

TEST(ConvertPolicy, UnknownFieldsReachTheParser) {
  json object = Binding();
  object["spec"]["podSelecter"] = json::object();
  const auto converted = PolicyConverter(PolicyKind::kBinding, "node-1")(object);
  ASSERT_TRUE(converted);
  const auto parsed = policy::Parse(converted->value.text, "");
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error()[0].ToString(), HasSubstr("podSelecter"));
}

TEST(ConvertPolicy, WhatThisNodeReported) {
  const auto here = PolicyConverter(PolicyKind::kBinding, "node-1")(Binding());
  ASSERT_TRUE(here);
  EXPECT_EQ(here->value.reports, 2u);
  EXPECT_EQ(here->value.reported, (PolicyReport{PolicyState::kConflict, "with x", 2}));
  const auto elsewhere = PolicyConverter(PolicyKind::kBinding, "node-3")(Binding());
  EXPECT_EQ(elsewhere->value.reported, std::nullopt);
  json strange = Binding();
  strange["status"]["nodes"][1]["state"] = "Fine";
  EXPECT_EQ(PolicyConverter(PolicyKind::kBinding, "node-1")(strange)->value.reported, std::nullopt);
  strange["status"] = "?";
  EXPECT_EQ(PolicyConverter(PolicyKind::kBinding, "node-1")(strange)->value.reports, 0u);
}

TEST(ConvertPolicy, AStatusIsNoChange) {
  const Converter<PolicyObject> convert = PolicyConverter(PolicyKind::kBinding, "node-1");
  json other = Binding();
  other["status"]["nodes"].clear();
  other["metadata"]["resourceVersion"] = "10";
  EXPECT_EQ(convert(other)->state, convert(Binding())->state);
  other["metadata"]["generation"] = 4;
  EXPECT_NE(convert(other)->state, convert(Binding())->state);
  other = Binding();
  other["metadata"]["uid"] = "u2";  // deleted and made again
  EXPECT_NE(convert(other)->state, convert(Binding())->state);
}

TEST(ConvertPolicy, Refuses) {
  const auto refused = PolicyConverter(PolicyKind::kTemplate, "node-1")(Binding());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().Message(),
              HasSubstr("TracingPolicyTemplate/shop/web-list: kind: is another one"));
  json deep;
  for (int i = 0; i < 100'000; ++i) deep = json::array({std::move(deep)});
  json object = Binding();
  object["spec"]["deep"] = std::move(deep);
  const auto too_deep = PolicyConverter(PolicyKind::kBinding, "node-1")(object);
  ASSERT_FALSE(too_deep);
  EXPECT_THAT(too_deep.error().Message(), HasSubstr("more than 64 levels"));
}

TEST(ToYaml, ListsOfListsAndWhatIsEmpty) {
  const json object =
      json::parse(R"({"a1b": [[1, [true, null]], {}, [], {"k": {"no": [{"z": 1.5}]}}],
                                      "e f": "x"})");
  EXPECT_EQ(ToYaml(object).value(),
            "a1b:\n"
            "  -\n"
            "    - 1\n"
            "    -\n"
            "      - true\n"
            "      - null\n"
            "  - {}\n"
            "  - []\n"
            "  - \"k\":\n"
            "      \"no\":\n"
            "        - \"z\": 1.5\n"
            "\"e f\": \"x\"\n");
}

}  // namespace
}  // namespace gatehouse::kube
