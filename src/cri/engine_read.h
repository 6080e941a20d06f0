// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workload/facts.h"

/// From what an engine (Docker, podman) says to facts, checked as those of read.h are.
namespace gatehouse::cri {

struct EngineVersion {
  std::string name;  ///< as `Docker Engine - Community` and `Podman Engine`
  std::string version;
};
[[nodiscard]] EngineVersion ReadVersion(std::string_view body);

/// Ids of a list of containers. Error: it is no list of containers.
[[nodiscard]] Result<std::vector<std::string>> ReadIds(std::string_view body);

/// The id of the container that an event is about; none if it is not about one.
[[nodiscard]] std::optional<std::string> ReadEvent(std::string_view line);

/// What inspecting a container tells: its facts without the cgroup, and its first process.
struct Inspected {
  workload::ContainerFacts facts;
  pid_t pid = 0;  ///< 0: it does not run
};
/// Errors: it is about another container, or is garbled.
[[nodiscard]] Result<Inspected> ReadInspected(const std::string& id, std::string_view body);

/// The container's cgroup below `cgroup_root`, from the text of /proc/PID/cgroup of its first
/// process: up to the part that has the container's id, as that process may have made cgroups below
/// for itself.
[[nodiscard]] Result<std::string> ReadCgroup(const std::string& id, std::string_view text,
                                             const std::string& cgroup_root);

}  // namespace gatehouse::cri
