// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

/// Annotations by which container runtimes tell what a container is. A header alone, so that the
/// runtime hook, which is small and static, reads them by the same names as the daemon.
namespace gatehouse::workload {

using Annotations = std::map<std::string, std::string, std::less<>>;

// containerd: pkg/cri/annotations/annotations.go
inline constexpr std::string_view kCriContainerType = "io.kubernetes.cri.container-type";
inline constexpr std::string_view kCriContainerName = "io.kubernetes.cri.container-name";
inline constexpr std::string_view kCriImageName = "io.kubernetes.cri.image-name";
inline constexpr std::string_view kCriSandboxName = "io.kubernetes.cri.sandbox-name";
inline constexpr std::string_view kCriSandboxNamespace = "io.kubernetes.cri.sandbox-namespace";
inline constexpr std::string_view kCriSandboxUid = "io.kubernetes.cri.sandbox-uid";
// CRI-O: pkg/annotations, and what the kubelet hands through it as labels
inline constexpr std::string_view kCrioContainerType = "io.kubernetes.cri-o.ContainerType";
inline constexpr std::string_view kCrioImageName = "io.kubernetes.cri-o.ImageName";
inline constexpr std::string_view kCrioImage = "io.kubernetes.cri-o.Image";
inline constexpr std::string_view kCrioPodName = "io.kubernetes.cri-o.KubeName";
inline constexpr std::string_view kCrioNamespace = "io.kubernetes.cri-o.Namespace";
inline constexpr std::string_view kCrioLabels = "io.kubernetes.cri-o.Labels";
inline constexpr std::string_view kKubeContainerName = "io.kubernetes.container.name";
inline constexpr std::string_view kKubePodName = "io.kubernetes.pod.name";
inline constexpr std::string_view kKubePodNamespace = "io.kubernetes.pod.namespace";
inline constexpr std::string_view kKubePodUid = "io.kubernetes.pod.uid";
// podman: libpod/define/annotations.go
inline constexpr std::string_view kContainerManager = "io.container.manager";
inline constexpr std::string_view kLibpod = "libpod";
inline constexpr std::string_view kSandboxType = "sandbox";

/// Ours, put into the map that the runtime hook sends: the pid of the container's first process, in
/// decimal, in the pid namespace of the runtime. It is there before the container's program is, as
/// a process of the runtime.
inline constexpr std::string_view kInitPid = "gatehouse.io/init-pid";

/// The first of `keys` that is there and not empty; else "".
template <typename... Keys>
[[nodiscard]] std::string FirstOf(const Annotations& annotations, Keys... keys) {
  std::string found;
  for (const std::string_view key : {keys...}) {
    const auto at = annotations.find(key);
    if (found.empty() && at != annotations.end()) found = at->second;
  }
  return found;
}

/// The namespace of the container's pod; "": of no pod.
[[nodiscard]] inline std::string NamespaceOf(const Annotations& annotations) {
  return FirstOf(annotations, kCriSandboxNamespace, kKubePodNamespace, kCrioNamespace);
}

}  // namespace gatehouse::workload
