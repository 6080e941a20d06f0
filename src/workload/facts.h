// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workload/registry.h"

/// What sources say, each of what it knows: a container runtime and its hook of containers, a
/// cluster of pods and namespaces. None of it is a workload yet; the inventory puts it together.
namespace gatehouse::workload {

/// A container, as a runtime or its hook tells of it.
struct ContainerFacts {
  std::string id = {};       ///< the runtime's; what tells one container from the next
  std::string cgroup = {};   ///< absolute, below where cgroup2 is mounted
  std::string name = {};     ///< in its pod; of a container without a pod the runtime's name for it
  std::string image = {};    ///< reference as given
  std::string pod_uid = {};  ///< empty: of no pod
  std::string pod = {};      ///< name of the pod
  std::string ns = {};       ///< namespace of the pod
  Labels labels = {};        ///< of its pod as the runtime knows them, or its own without a pod
  bool sandbox = false;      ///< holds the namespaces of a pod and runs nothing of the user's
  bool operator==(const ContainerFacts&) const = default;
};

/// A pod of this node, as the cluster tells of it.
struct PodFacts {
  struct Container {
    std::string name = {};
    std::string image = {};
    std::string id = {};  ///< without the `containerd://`; empty: not running yet
  };
  /// What runtimes call it: for a static pod the hash of its configuration (annotation
  /// kubernetes.io/config.hash), else metadata.uid.
  std::string uid = {};
  std::string ns = {};
  std::string name = {};
  Labels labels = {};
  Owner owner = {};
  std::vector<Container> containers = {};  ///< init, sidecars and ephemeral ones among them
};

/// A namespace of the cluster.
struct NamespaceFacts {
  std::string name = {};
  Labels labels = {};
};

}  // namespace gatehouse::workload
