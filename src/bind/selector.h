// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "policy/model.h"
#include "workload/registry.h"

/// Who a policy is about. Pure functions; any thread.
namespace gatehouse::bind {

/// Keys of a containerSelector.
inline constexpr std::string_view kContainerNameKey = "name";
inline constexpr std::string_view kContainerRepoKey = "repo";

/// A pod selector against a workload's labels; the key workload::kNamespaceLabel reads the
/// namespace of the workload (absent if that is empty), never a label of that name.
[[nodiscard]] bool MatchesPod(const policy::LabelSelector& selector,
                              const workload::Workload& workload);

/// A container selector against the container's name and image repository; what is empty is absent.
[[nodiscard]] bool MatchesContainer(const policy::LabelSelector& selector,
                                    const workload::Workload& workload);

/// True if a policy with this selector in namespace `ns` (empty: cluster-wide) is about `workload`:
///  - a namespaced policy is about workloads of its own namespace alone;
///  - an unconstrained selector is about all of them;
///  - pod and container selectors (both must hold) are about every workload they match, pod or not;
///  - a host selector is about workloads that are not pods, beside those that the other two match.
[[nodiscard]] bool Matches(const policy::WorkloadSelector& selector, std::string_view ns,
                           const workload::Workload& workload);

/// A workload that such a policy is about, if there can be one: of each key the first value that is
/// asked for, and nothing else. Its cgroup describes it, as in `namespace=shop,app=web`.
[[nodiscard]] workload::Workload Example(const policy::WorkloadSelector& selector,
                                         std::string_view ns);

/// True if a policy with this nodeSelector is for a node with these labels; without one it is for
/// every node.
[[nodiscard]] bool MatchesNode(const std::optional<policy::LabelSelector>& selector,
                               const workload::Labels& labels);

/// True if it is about the host: cluster-wide, and unconstrained or with a host selector.
[[nodiscard]] bool MatchesHost(const policy::WorkloadSelector& selector, std::string_view ns);

}  // namespace gatehouse::bind
