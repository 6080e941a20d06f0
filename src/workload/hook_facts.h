// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "workload/annotations.h"
#include "workload/facts.h"

namespace gatehouse::workload {

/// What a hook of a container runtime sends when a container is created: `createContainer` of
/// Tetragon's API. Each field may be empty.
struct HookCall {
  std::string cgroups_path = {};  ///< as in an OCI spec
  std::string container = {};
  std::string container_id = {};
  std::string pod = {};
  std::string pod_uid = {};
  std::string ns = {};
  std::string image = {};
  Annotations annotations = {};  ///< of the container's OCI spec
};

/// More, or longer, annotations are refused: what cannot be read whole is not guessed at.
inline constexpr size_t kAnnotationsMax = 1024;
inline constexpr size_t kAnnotationsBytesMax = 512u << 10;

/// Who the container is. A named field wins over what annotations of containerd, CRI-O and podman
/// say; the path of the cgroup tells the ids if nothing else does. `cgroup` of the result is empty:
/// the caller knows where cgroups are. Names are not checked (Registry does). Error: too many
/// annotations, labels that are none. Pure; any thread.
[[nodiscard]] Result<ContainerFacts> FactsOfHook(const HookCall& call);

}  // namespace gatehouse::workload
