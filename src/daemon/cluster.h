// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/agent.h"
#include "daemon/containers.h"
#include "daemon/source_health.h"
#include "kube/cluster.h"
#include "kube/convert.h"
#include "kube/status.h"

namespace gatehouse::daemon {

/// What the cluster says: pods of this node and namespaces go into the inventory, policies to the
/// agent, each as a file of its own would; and what became of these is told to the cluster.
class ClusterSource {
 public:
  /// Begins at once. All that is referred to must outlive this. `log` is told of policies that are
  /// refused, by the cluster's thread.
  ClusterSource(kube::Config config, std::string node, Agent& agent, Containers& containers,
                std::function<void(const std::string& line)> log);
  ClusterSource(const ClusterSource&) = delete;
  ClusterSource& operator=(const ClusterSource&) = delete;

  /// Tells the cluster what has become different of policies. Call it every few seconds.
  void Report();
  /// Of each resource that is watched. Any thread.
  [[nodiscard]] std::vector<SourceHealth> health() const;

 private:
  /// A policy as it is in the cluster, and what this node last said of it.
  struct Known {
    kube::PolicyObject object;  ///< without its text
    std::string refusal;        ///< why it is not applied; empty: it is
    std::optional<kube::PolicyReport> reported;
  };
  using Key = std::pair<kube::PolicyKind, policy::Key>;

  void TakePods(kube::Changes<workload::PodFacts> changes);
  void TakeNamespaces(kube::Changes<workload::NamespaceFacts> changes);
  void TakePolicies(kube::PolicyKind kind, kube::Changes<kube::PolicyObject> changes);
  [[nodiscard]] kube::PolicyReport ReportOn(const Known& known, const PolicyView* view) const;

  const std::string node_;
  Agent& agent_;
  Containers& containers_;
  const std::function<void(const std::string& line)> log_;
  std::map<std::string, std::string> uids_;  // of pods, by namespace/name; the cluster's thread
  std::mutex mutex_;
  std::map<Key, Known> policies_;              // guarded by mutex_
  std::optional<kube::NodeFacts> node_facts_;  // guarded by mutex_
  std::vector<kube::PolicyInReport> told_;     // guarded by mutex_: of the node, last
  kube::Cluster cluster_;                      // last: its thread calls all of this
};

}  // namespace gatehouse::daemon
