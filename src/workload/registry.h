// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "bind/delta.h"

/// Who runs on this node: cgroups with an identity.
namespace gatehouse::workload {

using bind::WorkloadId;

using Labels = std::map<std::string, std::string, std::less<>>;

/// The pod's namespace as a label that every pod has; it is never taken from the pod's own labels.
inline constexpr std::string_view kNamespaceLabel = "k8s:io.kubernetes.pod.namespace";

/// Who told us of a workload, and so who may change it: an operator, by the API or the file, or
/// what runs containers.
enum class Source { kApi, kFile, kRuntime };
[[nodiscard]] const char* SourceName(Source source);  // "api", "file", "runtime"

/// Who made a pod, as people think of it: the Deployment, not its ReplicaSet.
struct Owner {
  std::string kind;  ///< empty: nobody
  std::string name;
  bool operator==(const Owner&) const = default;
};

/// A cgroup with an identity. A container has namespace, pod and container; a plain cgroup of the
/// host may have labels alone.
struct Workload {
  WorkloadId id = 0;   ///< given by the registry
  std::string cgroup;  ///< absolute path in the file system, below the cgroup2 mount, normalised
  std::string ns;
  std::string pod;  ///< empty: not a pod
  std::string pod_uid;
  std::string container;
  std::string container_id;
  std::string image;  ///< reference as given: `docker.io/library/nginx:1.25`
  Labels labels;
  Owner owner = {};      ///< of the pod
  bool sandbox = false;  ///< holds the namespaces of a pod and runs nothing of the user's: no
                         ///< policy is about it, not even one about everything
  Source source = Source::kApi;

  [[nodiscard]] bool IsPod() const { return !pod.empty(); }
  /// `namespace/pod/container` without the parts that are empty; the cgroup if it is not a pod.
  [[nodiscard]] std::string Name() const;
  /// The image without tag and digest: the selector key `repo`.
  [[nodiscard]] std::string_view Repo() const;
  bool operator==(const Workload&) const = default;
};

using WorkloadPtr = std::shared_ptr<const Workload>;

/// `path` without doubled and final slashes and `.` parts. Errors: not absolute, has `..`, is
/// `root` or not below it, longer than PATH_MAX.
[[nodiscard]] Result<std::string> NormalizeCgroup(std::string_view path, std::string_view root);

/// Whether namespace, pod, container, container id, image and labels are well-formed; the error
/// (object: the cgroup) is about the first that is not.
[[nodiscard]] Result<void> CheckIdentity(const Workload& workload);

/// All workloads of the node. Ids count from 1 and are never reused.
/// Thread: changes from the control thread; lookups from any thread. What a lookup returns is a
/// snapshot that later changes do not touch.
class Registry {
 public:
  /// `cgroup_root`: where cgroup2 is mounted; every workload's cgroup is below.
  explicit Registry(std::string cgroup_root);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Registers `workload` under a new id (the one given is ignored). Errors, and nothing changed:
  /// bad path, name or label; a cgroup that is registered already. Workloads may be nested.
  [[nodiscard]] Result<WorkloadPtr> Add(Workload workload);
  /// Replaces all but id and cgroup of the workload with `workload.id`. Errors, and nothing
  /// changed: no such id; bad name or label; another cgroup.
  [[nodiscard]] Result<WorkloadPtr> Update(Workload workload);
  [[nodiscard]] Result<WorkloadPtr> ReplaceLabels(WorkloadId id, Labels labels);
  /// Returns what was removed. Error: no such id.
  Result<WorkloadPtr> Remove(WorkloadId id);
  /// Puts back what Remove or Update of this registry returned or replaced, when a later step
  /// failed.
  void Restore(WorkloadPtr workload);

  /// Null if there is none.
  [[nodiscard]] WorkloadPtr Find(WorkloadId id) const;
  /// By cgroup path if `name` begins with a slash, else by Workload::Name(); of several containers
  /// of that name (one that ends, and its successor) the latest registered.
  [[nodiscard]] WorkloadPtr Find(std::string_view name) const;
  /// Also finds one of the last 4,096 that were removed: for events that are still on their way.
  [[nodiscard]] WorkloadPtr FindRecent(WorkloadId id) const;
  /// By id, ascending.
  [[nodiscard]] std::vector<WorkloadPtr> List() const;
  [[nodiscard]] const std::string& cgroup_root() const { return cgroup_root_; }

 private:
  void Put(WorkloadPtr workload);        // mutex_ held
  void Erase(const Workload& workload);  // mutex_ held

  const std::string cgroup_root_;
  mutable std::shared_mutex mutex_;
  WorkloadId next_id_ = 1;
  std::map<WorkloadId, WorkloadPtr> by_id_;
  std::unordered_map<std::string_view, WorkloadId> by_cgroup_;  // texts of those in by_id_
  std::unordered_multimap<size_t, WorkloadId> by_name_;         // by hash of the name
  std::unordered_map<WorkloadId, WorkloadPtr> removed_;
  std::deque<WorkloadId> removed_order_;
};

}  // namespace gatehouse::workload
