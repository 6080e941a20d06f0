// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "policy/parse.h"
#include "workload/registry.h"

namespace gatehouse::workload {

/// More are refused.
inline constexpr size_t kWorkloadsPerFileMax = 100'000;

/// Parses a workloads file: a YAML list of mappings with `cgroup` (required), `namespace`, `pod`,
/// `container`, `containerID`, `image` and `labels`; nothing, or an empty list, is no workloads.
/// Strict as policies are; paths, names and labels are checked as Registry::Add would, and no
/// cgroup may come twice. `root`: where cgroup2 is mounted. The workloads are in the order of the
/// text, with Source::kFile and without ids. Pure; any thread.
[[nodiscard]] tl::expected<std::vector<Workload>, std::vector<policy::Diagnostic>> ParseFile(
    std::string_view text, std::string_view file, std::string_view root,
    const policy::ParseLimits& limits = {});

}  // namespace gatehouse::workload
