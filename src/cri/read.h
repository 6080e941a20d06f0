// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/map.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "cri/runtime.pb.h"
#include "workload/facts.h"

/// From what a runtime says to facts, checked: names, ids and paths are what they should be, and
/// short enough. Errors name what is wrong with the answer; object: `container ID`, `sandbox ID`.
namespace gatehouse::cri {

using Texts = google::protobuf::Map<std::string, std::string>;

/// Containers of a node, sandboxes among them; what a runtime says of more is not heard.
inline constexpr size_t kContainersMax = 16384;

/// Whether `id` can be the id of a container: 1 to 128 letters, digits, and `_`, `.` and `-`
/// inside.
[[nodiscard]] bool IsId(std::string_view id);

/// `text` cut to `max` bytes and without what is no printable ASCII: for errors and status.
[[nodiscard]] std::string Printable(std::string_view text, size_t max = 256);

/// The labels that a policy can select by: those that are well-formed as a workload's, at most 256
/// of them, in the order of their keys; without those that kubelets add to tell which pod it is.
[[nodiscard]] workload::Labels ReadLabels(const Texts& labels);

/// What the containers of a pod share. `cgroup` is empty, `sandbox` set.
[[nodiscard]] Result<workload::ContainerFacts> ReadSandbox(
    const std::string& id, const runtime::v1::PodSandboxMetadata& metadata, const Texts& labels);

/// What the verbose status says beyond the interface, as all runtimes write it.
struct Info {
  std::string cgroups_path;  ///< of the OCI runtime's spec; empty: not told
  std::string sandbox;       ///< id of the container's sandbox; empty: not told
  std::string image;         ///< of a sandbox; empty: not told
};
/// Info is the JSON at key `info`. Error: no JSON, larger than 4 MiB, or these members are no
/// texts.
[[nodiscard]] Result<Info> ReadInfo(const Texts& info);

/// Takes the container's own name and image from its status, and the rest from its sandbox.
[[nodiscard]] Result<workload::ContainerFacts> ReadContainer(
    const runtime::v1::ContainerStatus& status, const workload::ContainerFacts& sandbox);

/// Finds the cgroup from the spec's `cgroupsPath`, below `cgroup_root`, and checks all of the
/// facts.
[[nodiscard]] Result<workload::ContainerFacts> Finish(workload::ContainerFacts facts,
                                                      const std::string& cgroup_root,
                                                      const std::string& cgroups_path);

}  // namespace gatehouse::cri
