// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "kube/convert.h"
#include "kube/json_fields.h"

namespace gatehouse::kube {
namespace {

using nlohmann::json;
using workload::Owner;
using workload::PodFacts;

constexpr size_t kContainersMax = 1024;
constexpr size_t kOwnersMax = 64;
constexpr size_t kImageBytesMax = 4096;
constexpr size_t kIdBytesMax = 256;
constexpr size_t kUidBytesMax = 128;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Of the configuration of a static pod: kubelet's MD5 in hexadecimal. A uid that an API server
/// gives has dashes.
bool IsConfigHash(std::string_view text) {
  return text.size() >= 32 && text.size() <= kUidBytesMax &&
         std::ranges::all_of(text, [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

Result<Owner> ReadController(const json& metadata) {
  GH_ASSIGN(const json* owners, ReadObjects(metadata, "ownerReferences", kOwnersMax));
  for (const json& each : *owners) {
    const auto controller = each.find("controller");
    if (controller == each.end() || !controller->is_boolean() || !controller->get<bool>()) continue;
    GH_ASSIGN(std::string kind, ReadText(each, "kind", kNameBytesMax));
    GH_ASSIGN(std::string name, ReadText(each, "name", kNameBytesMax));
    return Owner{std::move(kind), std::move(name)};
  }
  return Owner{};
}

/// `DEPLOYMENT-HASH`, where the pod's label says which hash.
void ResolveReplicaSet(Owner& owner, const workload::Labels& labels) {
  const auto hash = labels.find("pod-template-hash");
  if (hash == labels.end() || hash->second.empty()) return;
  const std::string suffix = "-" + hash->second;
  if (owner.name.size() <= suffix.size() || !owner.name.ends_with(suffix)) return;
  owner = {"Deployment", owner.name.substr(0, owner.name.size() - suffix.size())};
}

/// `CRONJOB-TIME`: minutes since 1970, 8 digits; before Kubernetes 1.21 seconds, 10 digits.
void ResolveJob(Owner& owner) {
  const size_t dash = owner.name.rfind('-');
  if (dash == std::string::npos || dash == 0) return;
  const std::string_view time = std::string_view(owner.name).substr(dash + 1);
  if (time.size() < 8 || time.size() > 10 || !std::ranges::all_of(time, IsDigit)) return;
  owner = {"CronJob", owner.name.substr(0, dash)};
}

/// The hash, if the pod is the mirror of a static one.
Result<std::string> ReadConfigHash(const json& metadata, const Owner& controller,
                                   const std::string& node) {
  GH_ASSIGN(const json* annotations, ReadObject(metadata, "annotations"));
  GH_ASSIGN(std::string hash, ReadText(*annotations, "kubernetes.io/config.hash", kUidBytesMax));
  GH_ASSIGN(const std::string mirror,
            ReadText(*annotations, "kubernetes.io/config.mirror", kUidBytesMax));
  const bool of_node = controller.kind == "Node" && controller.name == node && !node.empty();
  return of_node && hash == mirror && IsConfigHash(hash) ? hash : std::string();
}

/// `containerd://ID` without what it begins with.
Result<std::string> ReadContainerId(const json& status) {
  GH_ASSIGN(const json* state, ReadObject(status, "state"));
  GH_ASSIGN(std::string id, ReadText(status, "containerID", kIdBytesMax));
  if (state->contains("terminated")) return std::string();
  if (const size_t scheme = id.find("://"); scheme != std::string::npos) id.erase(0, scheme + 3);
  const bool good = std::ranges::all_of(id, [](char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
  if (!good) return Fail(ErrorCode::kInvalid, "containerID", "is no id of a container");
  return id;
}

Result<void> ReadContainers(const json& spec, const json& status, const char* spec_field,
                            const char* status_field, bool ended, PodFacts& pod) {
  GH_ASSIGN(const json* statuses, ReadObjects(status, status_field, kContainersMax));
  std::map<std::string, std::string> ids;
  for (const json& each : *statuses) {
    GH_ASSIGN(std::string name, ReadText(each, "name", kNameBytesMax));
    GH_ASSIGN(std::string id, ReadContainerId(each));
    if (!ended) ids[std::move(name)] = std::move(id);
  }
  GH_ASSIGN(const json* containers, ReadObjects(spec, spec_field, kContainersMax));
  for (const json& each : *containers) {
    PodFacts::Container container;
    GH_ASSIGN(container.name, ReadText(each, "name", kNameBytesMax));
    GH_ASSIGN(container.image, ReadText(each, "image", kImageBytesMax));
    if (container.name.empty()) return Fail(ErrorCode::kInvalid, spec_field, "one has no name");
    if (const auto id = ids.find(container.name); id != ids.end()) container.id = id->second;
    pod.containers.push_back(std::move(container));
  }
  return {};
}

/// All of it, in an order that does not change.
std::string StateOf(const PodFacts& pod) {
  json containers = json::array();
  for (const PodFacts::Container& each : pod.containers) {
    containers.push_back({each.name, each.image, each.id});
  }
  return json{pod.uid, pod.labels, pod.owner.kind, pod.owner.name, containers}.dump();
}

Result<PodFacts> ReadPod(const json& object) {
  PodFacts pod;
  GH_ASSIGN(const json* metadata, ReadObject(object, "metadata"));
  GH_ASSIGN(const json* spec, ReadObject(object, "spec"));
  GH_ASSIGN(const json* status, ReadObject(object, "status"));
  GH_ASSIGN(pod.name, ReadText(*metadata, "name", kNameBytesMax));
  GH_ASSIGN(pod.ns, ReadText(*metadata, "namespace", kNameBytesMax));
  GH_ASSIGN(pod.uid, ReadText(*metadata, "uid", kUidBytesMax));
  if (pod.ns.empty() || pod.uid.empty()) {
    return Fail(ErrorCode::kInvalid, "metadata", "has no namespace or no uid");
  }
  GH_ASSIGN(pod.labels, ReadLabels(*metadata, "labels"));
  GH_ASSIGN(pod.owner, ReadController(*metadata));
  GH_ASSIGN(const std::string node, ReadText(*spec, "nodeName", kNameBytesMax));
  GH_ASSIGN(std::string hash, ReadConfigHash(*metadata, pod.owner, node));
  if (!hash.empty()) pod.uid = std::move(hash);
  if (pod.owner.kind == "ReplicaSet") ResolveReplicaSet(pod.owner, pod.labels);
  if (pod.owner.kind == "Job") ResolveJob(pod.owner);
  GH_ASSIGN(const std::string phase, ReadText(*status, "phase", kNameBytesMax));
  const bool ended = phase == "Succeeded" || phase == "Failed";
  for (const auto& [spec_field, status_field] :
       {std::pair("initContainers", "initContainerStatuses"),
        std::pair("containers", "containerStatuses"),
        std::pair("ephemeralContainers", "ephemeralContainerStatuses")}) {
    GH_TRY(ReadContainers(*spec, *status, spec_field, status_field, ended, pod));
  }
  return pod;
}

/// An error of an object, with the object's name.
tl::unexpected<Error> OfObject(const char* kind, const json& object, Error error) {
  const Result<ObjectMeta> meta = ReadMeta(object);
  error.object = std::string(kind) + "/" + (meta ? meta->key : "?") + ": " + error.object;
  return tl::unexpected(std::move(error));
}

}  // namespace

Resource PodsOf(const std::string& node) {
  return {.path = "/api/v1/pods", .field_selector = "spec.nodeName=" + node, .from_cache = true};
}

Resource Namespaces() { return {.path = "/api/v1/namespaces", .from_cache = true}; }

Resource Node(const std::string& name) {
  return {.path = "/api/v1/nodes", .field_selector = "metadata.name=" + name, .from_cache = true};
}

Result<Converted<PodFacts>> ConvertPod(const json& object) {
  Result<PodFacts> pod = ReadPod(object);
  if (!pod) return OfObject("pod", object, std::move(pod).error());
  std::string state = StateOf(*pod);
  return Converted<PodFacts>{std::move(*pod), std::move(state)};
}

Result<Converted<workload::NamespaceFacts>> ConvertNamespace(const json& object) {
  workload::NamespaceFacts facts;
  GH_ASSIGN(const json* metadata, ReadObject(object, "metadata"));
  GH_ASSIGN(facts.name, ReadText(*metadata, "name", kNameBytesMax));
  Result<workload::Labels> labels = ReadLabels(*metadata, "labels");
  if (!labels) return OfObject("namespace", object, std::move(labels).error());
  facts.labels = std::move(*labels);
  std::string state = json(facts.labels).dump();
  return Converted<workload::NamespaceFacts>{std::move(facts), std::move(state)};
}

Result<Converted<NodeFacts>> ConvertNode(const json& object) {
  NodeFacts facts;
  GH_ASSIGN(const json* metadata, ReadObject(object, "metadata"));
  GH_ASSIGN(facts.name, ReadText(*metadata, "name", kNameBytesMax));
  GH_ASSIGN(facts.uid, ReadText(*metadata, "uid", kUidBytesMax));
  Result<workload::Labels> labels = ReadLabels(*metadata, "labels");
  if (!labels) return OfObject("node", object, std::move(labels).error());
  facts.labels = std::move(*labels);
  std::string state = json{facts.uid, facts.labels}.dump();
  return Converted<NodeFacts>{std::move(facts), std::move(state)};
}

}  // namespace gatehouse::kube
