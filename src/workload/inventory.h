// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "workload/facts.h"
#include "workload/registry.h"

namespace gatehouse::workload {

/// Labels of a pod's namespace stand among the pod's own with this in front, as in Cilium's network
/// policies; they are never taken from the pod's own.
inline constexpr std::string_view kNamespaceLabelsPrefix = "k8s:io.cilium.k8s.namespace.labels.";

/// Who tells of containers. Of what several say of one container, the earlier is taken if it says
/// something.
enum class Teller { kHook, kRuntime, kEngine };

/// Joins what sources say of containers, pods and namespaces to workloads, one for each container.
/// What it says depends on what it was told, not on the order: pods before their containers or
/// after, a namespace's labels last. Not thread-safe.
class Inventory {
 public:
  /// What to tell the registry. Cgroups are distinct.
  struct Changes {
    std::vector<Workload> put;         ///< new or different; without id and source
    std::vector<std::string> removed;  ///< cgroups
    [[nodiscard]] bool empty() const { return put.empty() && removed.empty(); }
  };

  /// A container that is there. One whose cgroup another has is taken for its successor.
  void Put(Teller teller, ContainerFacts facts);
  /// There is no such cgroup any more, and with it ends the container: not with its first process,
  /// as others may be left.
  void Forget(const std::string& cgroup);

  void Put(PodFacts pod);
  void RemovePod(const std::string& uid);
  void Put(NamespaceFacts facts);
  void RemoveNamespace(const std::string& name);

  /// Has Take say once more what there is in a cgroup, changed or not: it could not be used before.
  void Repeat(const std::string& cgroup);

  /// What has changed since the last call.
  [[nodiscard]] Changes Take();

  /// Containers that are known, sandboxes among them.
  [[nodiscard]] size_t size() const { return containers_.size(); }

 private:
  using Told = std::map<Teller, ContainerFacts>;

  /// What the tellers say together.
  [[nodiscard]] static ContainerFacts Merge(const Told& told);
  [[nodiscard]] Workload WorkloadOf(const ContainerFacts& facts) const;
  void TouchPod(const std::string& uid);
  void TouchNamespace(const std::string& name);
  void Erase(const std::string& id);
  /// What finds a container by what is said of it.
  void Link(const std::string& id, const ContainerFacts& facts);
  void Unlink(const std::string& id, const ContainerFacts& facts);

  std::unordered_map<std::string, Told> containers_;                          // by id
  std::unordered_map<std::string, std::string> cgroups_;                      // cgroup -> id
  std::unordered_map<std::string, std::set<std::string>> of_pod_;             // uid -> ids
  std::unordered_map<std::string, PodFacts> pods_;                            // by uid
  std::unordered_map<std::string, Labels> namespaces_;                        // by name
  std::unordered_map<std::string, std::set<std::string>> pods_of_namespace_;  // name -> uids
  std::unordered_map<std::string, Workload> taken_;                           // by cgroup
  std::set<std::string> touched_;                                             // cgroups
};

}  // namespace gatehouse::workload
