// SPDX-License-Identifier: Apache-2.0
#include "cri/read.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workload/container_cgroup.h"
#include "workload/registry.h"

namespace gatehouse::cri {
namespace {

using nlohmann::json;
using workload::ContainerFacts;

constexpr size_t kIdMax = 128;
constexpr size_t kLabelsMax = 256;
constexpr size_t kInfoMax = size_t{4} << 20;
constexpr int kInfoDepth = 3;  // runtimeSpec, linux, cgroupsPath

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Labels that a kubelet adds to those of the pod.
bool IsKubelets(std::string_view key) {
  return key == "io.kubernetes.pod.name" || key == "io.kubernetes.pod.namespace" ||
         key == "io.kubernetes.pod.uid";
}

/// Of all that a runtime tells, keeps only the members that lead to one that is read. The rest,
/// which is nearly all, is checked to be JSON and dropped.
bool Keep(int depth, json::parse_event_t event, const json& parsed) {
  if (event != json::parse_event_t::key) return depth <= kInfoDepth;
  const auto& key = parsed.get_ref<const std::string&>();
  switch (depth) {
    case 1:
      return key == "runtimeSpec" || key == "sandboxID" || key == "image";
    case 2:
      return key == "linux";
    default:
      return depth == kInfoDepth && key == "cgroupsPath";
  }
}

/// The text at `key` of `object`; empty if there is none.
Result<std::string> Text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return Fail(ErrorCode::kInvalid, key, "is no text");
  return found->get<std::string>();
}

}  // namespace

bool IsId(std::string_view id) {
  return !id.empty() && id.size() <= kIdMax && IsAlphanumeric(id.front()) &&
         std::ranges::all_of(
             id, [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

std::string Printable(std::string_view text, size_t max) {
  std::string printable(text.substr(0, max));
  std::ranges::replace_if(printable, [](char c) { return c < ' ' || c > '~'; }, '?');
  return printable;
}

workload::Labels ReadLabels(const Texts& labels) {
  workload::Labels read;
  for (const auto& [key, value] : labels) {
    if (IsKubelets(key)) continue;
    workload::Workload labelled;
    labelled.labels.emplace(key, value);
    if (!workload::CheckIdentity(labelled)) continue;
    read.merge(labelled.labels);
    // Which are left must not depend on the order of a hash table.
    if (read.size() > kLabelsMax) read.erase(std::prev(read.end()));
  }
  return read;
}

Result<ContainerFacts> ReadSandbox(const std::string& id,
                                   const runtime::v1::PodSandboxMetadata& metadata,
                                   const Texts& labels) {
  if (!IsId(id)) return Fail(ErrorCode::kInvalid, "sandbox " + Printable(id), "this is no id");
  const auto& name = metadata.name();
  if (name.empty() || metadata.namespace_().empty()) {
    return Fail(ErrorCode::kInvalid, "sandbox " + id, "it has no name or no namespace");
  }
  return ContainerFacts{.id = id,
                        .cgroup = {},
                        .name = {},
                        .image = {},
                        .pod_uid = metadata.uid(),
                        .pod = name,
                        .ns = metadata.namespace_(),
                        .labels = ReadLabels(labels),
                        .sandbox = true};
}

Result<Info> ReadInfo(const Texts& info) {
  const auto text = info.find("info");
  if (text == info.end()) return Info();
  if (text->second.size() > kInfoMax) {
    return Fail(ErrorCode::kInvalid, "verbose status", "is larger than 4 MiB");
  }
  const json root = json::parse(text->second, Keep, /*allow_exceptions=*/false);
  if (!root.is_object()) return Fail(ErrorCode::kInvalid, "verbose status", "is no JSON object");
  Info read;
  GH_ASSIGN(read.sandbox, Text(root, "sandboxID"));
  GH_ASSIGN(read.image, Text(root, "image"));
  const auto spec = root.find("runtimeSpec");
  if (spec == root.end() || !spec->is_object()) return read;
  const auto linux_part = spec->find("linux");
  if (linux_part == spec->end() || !linux_part->is_object()) return read;
  GH_ASSIGN(read.cgroups_path, Text(*linux_part, "cgroupsPath"));
  return read;
}

Result<ContainerFacts> ReadContainer(const runtime::v1::ContainerStatus& status,
                                     const ContainerFacts& sandbox) {
  ContainerFacts facts = sandbox;
  facts.id = status.id();
  facts.sandbox = false;
  facts.name = status.metadata().name();
  const auto& image = status.image();
  facts.image = image.user_specified_image().empty() ? image.image() : image.user_specified_image();
  if (!IsId(facts.id)) {
    return Fail(ErrorCode::kInvalid, "container " + Printable(facts.id), "this is no id");
  }
  if (facts.name.empty()) {
    return Fail(ErrorCode::kInvalid, "container " + facts.id, "it has no name");
  }
  return facts;
}

Result<ContainerFacts> Finish(ContainerFacts facts, const std::string& cgroup_root,
                              const std::string& cgroups_path) {
  const auto fail = [&facts](const std::string& cause) {
    return Fail(ErrorCode::kInvalid, "container " + facts.id, Printable(cause));
  };
  if (cgroups_path.empty()) return fail("the runtime does not tell its cgroup");
  auto cgroup = workload::CgroupOfContainer(cgroup_root, cgroups_path);
  if (cgroup) cgroup = workload::NormalizeCgroup(*cgroup, cgroup_root);
  if (!cgroup) return fail(cgroup.error().Message());
  facts.cgroup = std::move(*cgroup);
  workload::Workload identity;
  identity.cgroup = facts.cgroup;
  identity.ns = facts.ns;
  identity.pod = facts.pod;
  identity.pod_uid = facts.pod_uid;
  identity.container = facts.name;
  identity.image = facts.image;
  if (const auto checked = workload::CheckIdentity(identity); !checked) {
    return fail(checked.error().cause);
  }
  return facts;
}

}  // namespace gatehouse::cri
