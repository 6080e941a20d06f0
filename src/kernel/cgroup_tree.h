// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "bind/delta.h"

namespace gatehouse::kernel {

/// Where cgroup2 is mounted, from /proc/self/mountinfo: the first mount that shows the root of the
/// hierarchy. Error: none is mounted.
[[nodiscard]] Result<std::string> FindCgroupRoot();
/// The same from the lines of a mountinfo file, see proc(5).
[[nodiscard]] Result<std::string> CgroupRootOf(std::istream& mountinfo);

/// Keeps the map cgroup id -> workload in step with the workloads: their cgroups and all below. The
/// kernel programs do the rest: children inherit when they are made and leave when they go.
/// Not thread-safe.
class CgroupTree {
 public:
  /// `map_fd`: the map cgroups, not owned.
  CgroupTree(int map_fd, std::string root) : map_fd_(map_fd), root_(std::move(root)) {}
  CgroupTree(const CgroupTree&) = delete;
  CgroupTree& operator=(const CgroupTree&) = delete;

  /// See Kernel::Track.
  [[nodiscard]] Result<uint64_t> Track(bind::WorkloadId workload, uint32_t slot,
                                       const std::string& path);
  /// See Kernel::Untrack.
  void Untrack(bind::WorkloadId workload);

 private:
  struct Tracked {
    std::string path;  // not fs::path, which keeps each of its components once more
    gh_cgroup value;
  };

  /// Gives every cgroup from `top` down to `value`, or to nobody; not those of workloads nested in
  /// it.
  [[nodiscard]] Result<void> Assign(const std::filesystem::path& top,
                                    const std::optional<gh_cgroup>& value) const;
  /// Assign, and once more: a child that is being made takes over the value of its parent just
  /// before it can be seen in the file system (cgroup_mkdir() in kernel/cgroup/cgroup.c), so the
  /// first pass may miss one with what its parent had before. The second pass finds it.
  [[nodiscard]] Result<void> AssignTwice(const std::filesystem::path& top,
                                         const std::optional<gh_cgroup>& value) const;
  [[nodiscard]] Result<void> AssignOne(uint64_t id, const std::filesystem::path& path,
                                       const std::optional<gh_cgroup>& value) const;
  [[nodiscard]] bool IsNestedWorkload(const std::filesystem::path& path) const;
  [[nodiscard]] std::optional<gh_cgroup> Enclosing(const std::filesystem::path& path) const;

  int map_fd_;
  std::string root_;
  std::unordered_map<bind::WorkloadId, Tracked> tracked_;
  std::map<std::string_view, bind::WorkloadId> by_path_;  // texts of those in tracked_
};

}  // namespace gatehouse::kernel
