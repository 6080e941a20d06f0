// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_tree.h"

#include <bpf/bpf.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

namespace gatehouse::kernel {
namespace {

namespace fs = std::filesystem;

struct Cgroup {
  uint64_t id = 0;
  bool has_children = false;
};

/// A cgroup's id is its inode number (kernfs, 64-bit kernels since 5.5, commit 40430452fd5d). A
/// directory of kernfs has a link for each directory in it, and two more: what has no children
/// need not be listed (fs/kernfs/inode.c, kernfs_refresh_inode).
Result<Cgroup> Look(const fs::path& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return Fail(ErrorCode::kNotFound, path, "no such cgroup", "create it before the workload");
    }
    return FailErrno(path, "cannot look at the cgroup", errno);
  }
  if (!S_ISDIR(info.st_mode)) return Fail(ErrorCode::kInvalid, path, "not a cgroup directory");
  constexpr nlink_t kLinksOfLeaf = 2;
  return Cgroup{info.st_ino, info.st_nlink != kLinksOfLeaf};
}

/// Octal escapes of mountinfo: \040 is a space.
std::string Unescape(std::string_view text) {
  constexpr size_t kDigits = 3;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '\\' && i + kDigits < text.size() &&
        text.substr(i + 1, kDigits).find_first_not_of("01234567") == std::string_view::npos;
    if (!escape) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, kDigits)), nullptr, 8));
    i += kDigits;
  }
  return out;
}

}  // namespace

Result<std::string> CgroupRootOf(std::istream& mountinfo) {
  for (std::string line; std::getline(mountinfo, line);) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos || line.compare(separator + 3, 8, "cgroup2 ") != 0) continue;
    std::istringstream fields(line);
    std::string mount_id, parent_id, device, root, mount_point;
    fields >> mount_id >> parent_id >> device >> root >> mount_point;
    if (root == "/") return Unescape(mount_point);
  }
  return Fail(ErrorCode::kUnsupported, "cgroup2", "the unified hierarchy is not mounted",
              "mount it: mount -t cgroup2 none DIRECTORY, usually /sys/fs/cgroup");
}

Result<std::string> FindCgroupRoot() {
  std::ifstream mountinfo("/proc/self/mountinfo");
  return CgroupRootOf(mountinfo);
}

bool CgroupTree::IsNestedWorkload(const fs::path& path) const {
  return by_path_.contains(path.native());
}

std::optional<gh_cgroup> CgroupTree::Enclosing(const fs::path& path) const {
  for (fs::path above = path.parent_path(); above.string().size() > root_.size();
       above = above.parent_path()) {
    if (const auto found = by_path_.find(above.native()); found != by_path_.end()) {
      return tracked_.at(found->second).value;
    }
  }
  return std::nullopt;
}

Result<void> CgroupTree::AssignOne(uint64_t id, const fs::path& path,
                                   const std::optional<gh_cgroup>& value) const {
  if (!value) {
    bpf_map_delete_elem(map_fd_, &id);
    return {};
  }
  if (bpf_map_update_elem(map_fd_, &id, &*value, BPF_ANY) == 0) return {};
  if (errno == E2BIG) {
    return Fail(ErrorCode::kSystem, "map/cgroups", "full: too many cgroups in workloads",
                "restart with a larger --max-cgroups");
  }
  return FailErrno("map/cgroups", "cannot add " + path.string(), errno);
}

Result<void> CgroupTree::Assign(const fs::path& top, const std::optional<gh_cgroup>& value) const {
  GH_ASSIGN(const Cgroup cgroup, Look(top));
  GH_TRY(AssignOne(cgroup.id, top, value));
  // Only now: a child that is made from here on takes over the new value.
  if (const auto now = Look(top); now && !now->has_children) return {};
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(top, error);
       entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (error) break;  // it went while it was being read
    std::error_code gone;
    if (!entry->is_directory(gone) || gone) continue;
    if (IsNestedWorkload(entry->path())) {
      entry.disable_recursion_pending();
      continue;
    }
    const auto child = Look(entry->path());
    if (!child && child.error().code == ErrorCode::kNotFound) continue;
    if (!child) return tl::unexpected(child.error());
    GH_TRY(AssignOne(child->id, entry->path(), value));
  }
  return {};
}

Result<void> CgroupTree::AssignTwice(const fs::path& top,
                                     const std::optional<gh_cgroup>& value) const {
  auto first = Assign(top, value);
  auto second = Assign(top, value);
  if (!first) return first;
  return second;
}

Result<uint64_t> CgroupTree::Track(bind::WorkloadId workload, uint32_t slot,
                                   const std::string& path) {
  const fs::path cgroup = fs::path(path).lexically_normal();
  const std::string text = cgroup.string();
  if (text == root_ || text == root_ + "/") {
    return Fail(ErrorCode::kRefused, "workload/" + path, "the root cgroup is the host itself",
                "name a cgroup below it");
  }
  if (!text.starts_with(root_ + "/")) {
    return Fail(ErrorCode::kInvalid, "workload/" + path, "not below the cgroup2 mount " + root_,
                "give the whole path, e.g. " + root_ + "/app");
  }
  if (by_path_.contains(text)) {
    return Fail(ErrorCode::kExists, "workload/" + path, "the cgroup has a workload already");
  }
  GH_ASSIGN(const Cgroup top, Look(cgroup));
  const Tracked tracked{text, gh_cgroup{.slot = slot, .workload = workload}};
  if (auto assigned = AssignTwice(cgroup, tracked.value); !assigned) {
    (void)AssignTwice(cgroup, Enclosing(cgroup));
    return tl::unexpected(std::move(assigned).error());
  }
  const auto entry = tracked_.emplace(workload, tracked).first;
  by_path_.emplace(entry->second.path, workload);
  return top.id;
}

void CgroupTree::Untrack(bind::WorkloadId workload) {
  const auto found = tracked_.find(workload);
  if (found == tracked_.end()) return;
  const fs::path path = found->second.path;
  by_path_.erase(found->second.path);
  tracked_.erase(found);
  (void)AssignTwice(path, Enclosing(path));  // a cgroup that has gone left the map by itself
}

}  // namespace gatehouse::kernel
