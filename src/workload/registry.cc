// SPDX-License-Identifier: Apache-2.0
#include "workload/registry.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <functional>
#include <mutex>
#include <utility>

namespace gatehouse::workload {
namespace {

constexpr size_t kRemovedKept = 4096;
constexpr size_t kNameMax = 253;  // of namespaces, pods and containers, as in Kubernetes
// Prefix, slash, name, as in Kubernetes; a namespace's have more in front, see inventory.h.
constexpr size_t kLabelKeyMax = 253 + 1 + 63 + 64;
constexpr size_t kTextMax = 1024;  // of label values, images and container ids

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > ' ' && byte != 0x7f;
  });
}

/// Names are parts of `namespace/pod/container` and of paths people type: no slash, no blank.
Result<void> CheckName(const std::string& object, std::string_view what, std::string_view name) {
  if (name.size() <= kNameMax && IsPrintable(name) && name.find('/') == name.npos) return {};
  return Fail(ErrorCode::kInvalid, object,
              std::string(what) + " \"" + std::string(name) + "\" is not a name",
              "use at most 253 characters without blanks and slashes");
}

Result<void> CheckText(const std::string& object, std::string_view what, std::string_view text,
                       size_t max_bytes) {
  if (text.size() <= max_bytes && IsPrintable(text)) return {};
  return Fail(ErrorCode::kInvalid, object,
              std::string(what) + " \"" + std::string(text.substr(0, max_bytes)) +
                  "\" has blanks or is too long",
              "use at most " + std::to_string(max_bytes) + " bytes without blanks");
}

Result<void> CheckLabels(const std::string& object, const Labels& labels) {
  for (const auto& [key, value] : labels) {
    if (key.empty()) return Fail(ErrorCode::kInvalid, object, "a label has no key");
    if (key == kNamespaceLabel) {
      return Fail(ErrorCode::kInvalid, object,
                  "label " + key + " cannot be given: it stands for the namespace",
                  "set the workload's namespace");
    }
    GH_TRY(CheckText(object, "label key", key, kLabelKeyMax));
    GH_TRY(CheckText(object, "value of label " + key, value, kTextMax));
  }
  return {};
}

size_t HashOf(std::string_view name) { return std::hash<std::string_view>()(name); }

tl::unexpected<Error> NoSuchWorkload(WorkloadId id) {
  return Fail(ErrorCode::kNotFound, "workload " + std::to_string(id),
              "there is none of that number");
}

}  // namespace

const char* SourceName(Source source) {
  switch (source) {
    case Source::kApi:
      return "api";
    case Source::kFile:
      return "file";
    case Source::kRuntime:
      return "runtime";
  }
  __builtin_unreachable();
}

std::string Workload::Name() const {
  if (!IsPod()) return cgroup;
  std::string name;
  for (const std::string* part : {&ns, &pod, &container}) {
    if (part->empty()) continue;
    if (!name.empty()) name += '/';
    name += *part;
  }
  return name;
}

std::string_view Workload::Repo() const {
  std::string_view repo = image;
  repo = repo.substr(0, repo.find('@'));
  const size_t slash = repo.rfind('/');
  const size_t name =
      slash == repo.npos ? 0 : slash + 1;  // a colon before is of the registry's port
  return repo.substr(0, repo.find(':', name));
}

Result<std::string> NormalizeCgroup(std::string_view path, std::string_view root) {
  const std::string object = "cgroup " + std::string(path.substr(0, PATH_MAX));
  if (!path.starts_with('/')) {
    return Fail(ErrorCode::kInvalid, object, "the path is not absolute",
                "give the path in the file system, below " + std::string(root));
  }
  if (path.size() >= PATH_MAX || path.find('\0') != path.npos) {
    return Fail(ErrorCode::kInvalid, object, "this is no path");
  }
  std::string normal;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return Fail(ErrorCode::kInvalid, object, "the path has a part \"..\"", "write it without");
    }
    normal += '/';
    normal += part;
  }
  if (normal == root) {
    return Fail(ErrorCode::kInvalid, object, "the root cgroup is the host, not a workload",
                "name a cgroup below it");
  }
  if (!normal.starts_with(root) || normal[root.size()] != '/') {
    return Fail(ErrorCode::kInvalid, object, "not below " + std::string(root),
                "name a cgroup of the unified hierarchy that is mounted there");
  }
  return normal;
}

Result<void> CheckIdentity(const Workload& workload) {
  const std::string object = "cgroup " + workload.cgroup;
  GH_TRY(CheckName(object, "namespace", workload.ns));
  GH_TRY(CheckName(object, "pod", workload.pod));
  GH_TRY(CheckText(object, "pod uid", workload.pod_uid, kTextMax));
  GH_TRY(CheckName(object, "container", workload.container));
  GH_TRY(CheckText(object, "container id", workload.container_id, kTextMax));
  GH_TRY(CheckText(object, "image", workload.image, kTextMax));
  GH_TRY(CheckName(object, "kind of the owner", workload.owner.kind));
  GH_TRY(CheckName(object, "owner", workload.owner.name));
  return CheckLabels(object, workload.labels);
}

Registry::Registry(std::string cgroup_root) : cgroup_root_(std::move(cgroup_root)) {}

Result<WorkloadPtr> Registry::Add(Workload workload) {
  GH_ASSIGN(workload.cgroup, NormalizeCgroup(workload.cgroup, cgroup_root_));
  GH_TRY(CheckIdentity(workload));
  const std::unique_lock lock(mutex_);
  if (by_cgroup_.contains(workload.cgroup)) {
    return Fail(ErrorCode::kExists, "cgroup " + workload.cgroup, "is a workload already",
                "delete that one first, or change its labels");
  }
  workload.id = next_id_++;
  auto added = std::make_shared<const Workload>(std::move(workload));
  Put(added);
  return added;
}

Result<WorkloadPtr> Registry::Update(Workload workload) {
  GH_TRY(CheckIdentity(workload));
  const std::unique_lock lock(mutex_);
  const auto found = by_id_.find(workload.id);
  if (found == by_id_.end()) return NoSuchWorkload(workload.id);
  const WorkloadPtr old = found->second;
  if (workload.cgroup != old->cgroup) {
    return Fail(ErrorCode::kInvalid, "cgroup " + old->cgroup,
                "a workload cannot move to another cgroup", "delete it and add the other");
  }
  Erase(*old);
  auto updated = std::make_shared<const Workload>(std::move(workload));
  Put(updated);
  return updated;
}

Result<WorkloadPtr> Registry::ReplaceLabels(WorkloadId id, Labels labels) {
  const WorkloadPtr old = Find(id);
  if (!old) return NoSuchWorkload(id);
  Workload changed = *old;
  changed.labels = std::move(labels);
  return Update(std::move(changed));
}

Result<WorkloadPtr> Registry::Remove(WorkloadId id) {
  const std::unique_lock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return NoSuchWorkload(id);
  WorkloadPtr removed = found->second;
  Erase(*removed);
  removed_.emplace(id, removed);
  removed_order_.push_back(id);
  if (removed_order_.size() > kRemovedKept) {
    removed_.erase(removed_order_.front());
    removed_order_.pop_front();
  }
  return removed;
}

void Registry::Restore(WorkloadPtr workload) {
  const std::unique_lock lock(mutex_);
  if (const auto found = by_id_.find(workload->id); found != by_id_.end()) {
    const WorkloadPtr replaced = found->second;
    Erase(*replaced);
  }
  if (removed_.erase(workload->id) > 0) std::erase(removed_order_, workload->id);
  Put(std::move(workload));
}

WorkloadPtr Registry::Find(WorkloadId id) const {
  const std::shared_lock lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

WorkloadPtr Registry::Find(std::string_view name) const {
  WorkloadId id = 0;
  if (name.starts_with('/')) {
    const auto cgroup = NormalizeCgroup(name, cgroup_root_);
    if (!cgroup) return nullptr;
    const std::shared_lock lock(mutex_);
    const auto found = by_cgroup_.find(*cgroup);
    if (found != by_cgroup_.end()) id = found->second;
  } else {
    const std::shared_lock lock(mutex_);
    const auto [first, last] = by_name_.equal_range(HashOf(name));
    for (auto candidate = first; candidate != last; ++candidate) {
      if (by_id_.at(candidate->second)->Name() == name) id = std::max(id, candidate->second);
    }
  }
  return Find(id);
}

WorkloadPtr Registry::FindRecent(WorkloadId id) const {
  const std::shared_lock lock(mutex_);
  if (const auto found = by_id_.find(id); found != by_id_.end()) return found->second;
  const auto found = removed_.find(id);
  return found == removed_.end() ? nullptr : found->second;
}

std::vector<WorkloadPtr> Registry::List() const {
  const std::shared_lock lock(mutex_);
  std::vector<WorkloadPtr> all;
  all.reserve(by_id_.size());
  for (const auto& [id, workload] : by_id_) all.push_back(workload);
  return all;
}

void Registry::Put(WorkloadPtr workload) {
  const WorkloadId id = workload->id;
  by_cgroup_.emplace(workload->cgroup, id);
  by_name_.emplace(HashOf(workload->Name()), id);
  by_id_.emplace(id, std::move(workload));
}

void Registry::Erase(const Workload& workload) {
  const auto [first, last] = by_name_.equal_range(HashOf(workload.Name()));
  by_name_.erase(
      std::find_if(first, last, [&](const auto& entry) { return entry.second == workload.id; }));
  by_cgroup_.erase(workload.cgroup);
  by_id_.erase(workload.id);
}

}  // namespace gatehouse::workload
