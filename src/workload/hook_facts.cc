// SPDX-License-Identifier: Apache-2.0
#include "workload/hook_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace gatehouse::workload {
namespace {

constexpr size_t kContainerIdDigits = 64;
constexpr size_t kUidBytes = 36;   // 8-4-4-4-12
constexpr size_t kHashBytes = 32;  // of the configuration of a static pod

bool IsHexDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

std::string Either(const std::string& first, std::string second) {
  return first.empty() ? std::move(second) : first;
}

/// `.../cri-containerd-ID.scope`, `slice:crio:ID`, `/pods/ID`: containers' ids are 64 digits.
std::string IdOfCgroup(std::string_view path) {
  constexpr std::string_view kScope = ".scope";
  if (path.ends_with(kScope)) path.remove_suffix(kScope.size());
  if (path.size() < kContainerIdDigits) return {};
  const std::string_view before = path.substr(0, path.size() - kContainerIdDigits);
  const std::string_view id = path.substr(before.size());
  const bool apart = before.empty() || !IsHexDigit(before.back());
  return apart && std::ranges::all_of(id, IsHexDigit) ? std::string(id) : std::string();
}

/// The uid in `/kubepods/burstable/podUID/...` or `kubepods-burstable-podU_I_D.slice:...`, which
/// older versions of containerd tell in no other way; "": there is none.
std::string UidOfCgroup(std::string_view path) {
  constexpr std::string_view kPod = "pod";
  for (size_t at = path.find(kPod); at != std::string_view::npos; at = path.find(kPod, at + 1)) {
    const std::string_view rest = path.substr(at + kPod.size());
    const size_t bytes = std::min(rest.find_first_not_of("0123456789abcdef-_"), rest.size());
    if (bytes != kUidBytes && bytes != kHashBytes) continue;
    std::string uid(rest.substr(0, bytes));
    std::ranges::replace(uid, '_', '-');
    return uid;
  }
  return {};
}

/// CRI-O writes the labels that the kubelet gave a sandbox as a JSON object: those of the pod, and
/// its names.
Result<Labels> LabelsOfCrio(const std::string& text) {
  const auto labels = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Labels result;
  if (!labels.is_object()) {
    return Fail(ErrorCode::kInvalid, "annotation " + std::string(kCrioLabels),
                "is no JSON object of labels");
  }
  for (const auto& [key, value] : labels.items()) {
    if (!value.is_string()) {
      return Fail(ErrorCode::kInvalid, "annotation " + std::string(kCrioLabels),
                  "a label's value is no string");
    }
    if (key == kKubePodName || key == kKubePodNamespace || key == kKubePodUid) continue;
    result[key] = value.get<std::string>();
  }
  return result;
}

Result<void> CheckSize(const Annotations& annotations) {
  size_t bytes = 0;
  for (const auto& [key, value] : annotations) bytes += key.size() + value.size();
  if (annotations.size() <= kAnnotationsMax && bytes <= kAnnotationsBytesMax) return {};
  return Fail(ErrorCode::kInvalid, "annotations",
              std::to_string(annotations.size()) + " of them with " + std::to_string(bytes) +
                  " bytes are more than are read",
              "leave some out; " + std::to_string(kAnnotationsMax) + " and " +
                  std::to_string(kAnnotationsBytesMax) + " bytes are possible");
}

}  // namespace

Result<ContainerFacts> FactsOfHook(const HookCall& call) {
  GH_TRY(CheckSize(call.annotations));
  // podman puts some of CRI-O's annotations on its containers, and they mean nothing there: the
  // type is `sandbox` on what is none.
  const Annotations none;
  const bool podman = FirstOf(call.annotations, kContainerManager) == kLibpod;
  const Annotations& annotations = podman ? none : call.annotations;

  ContainerFacts facts;
  facts.sandbox = FirstOf(annotations, kCriContainerType, kCrioContainerType) == kSandboxType;
  facts.id = Either(call.container_id, IdOfCgroup(call.cgroups_path));
  facts.ns = Either(call.ns, NamespaceOf(annotations));
  facts.pod = Either(call.pod, FirstOf(annotations, kCriSandboxName, kKubePodName, kCrioPodName));
  facts.pod_uid = Either(call.pod_uid, FirstOf(annotations, kCriSandboxUid, kKubePodUid));
  if (!facts.pod.empty() && facts.pod_uid.empty()) facts.pod_uid = UidOfCgroup(call.cgroups_path);
  facts.image = Either(call.image, FirstOf(annotations, kCriImageName, kCrioImageName, kCrioImage));
  if (!facts.sandbox) {
    facts.name =
        Either(call.container, FirstOf(annotations, kCriContainerName, kKubeContainerName));
  }
  if (const std::string labels = FirstOf(annotations, kCrioLabels);
      facts.sandbox && !labels.empty()) {
    GH_ASSIGN(facts.labels, LabelsOfCrio(labels));
  }
  return facts;
}

}  // namespace gatehouse::workload
