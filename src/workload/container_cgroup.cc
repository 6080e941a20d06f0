// SPDX-License-Identifier: Apache-2.0
#include "workload/container_cgroup.h"

#include <algorithm>
#include <vector>

namespace gatehouse::workload {
namespace {

constexpr std::string_view kSliceSuffix = ".slice";
constexpr std::string_view kScopeSuffix = ".scope";
constexpr std::string_view kDefaultSlice = "system.slice";
constexpr size_t kIdDigits = 64;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

/// `a-b-c.slice` -> `/a.slice/a-b.slice/a-b-c.slice`, as systemd.slice(5) lays slices out;
/// `-.slice` is the root.
Result<std::string> ExpandSlice(std::string_view slice) {
  const auto wrong = [&slice] {
    return Fail(ErrorCode::kInvalid, std::string(slice), "is no name of a systemd slice",
                "expected NAME.slice, as in kubepods-burstable.slice");
  };
  if (slice.size() <= kSliceSuffix.size() || !slice.ends_with(kSliceSuffix) ||
      slice.find('/') != std::string_view::npos) {
    return wrong();
  }
  const std::string_view name = slice.substr(0, slice.size() - kSliceSuffix.size());
  if (name == "-") return std::string();
  std::string path;
  for (size_t end = 0; end != std::string_view::npos;) {
    const size_t begin = end == 0 ? 0 : end + 1;
    end = name.find('-', begin);
    if (begin == name.size() || end == begin) return wrong();
    path += "/" + std::string(name.substr(0, end)) + std::string(kSliceSuffix);
  }
  return path;
}

}  // namespace

Result<std::string> CgroupOfContainer(const std::string& root, std::string_view cgroups_path) {
  const auto parts = Split(cgroups_path, ':');
  constexpr size_t kSystemdParts = 3;
  if (parts.size() == kSystemdParts) {
    GH_ASSIGN(std::string path,
              ExpandSlice(parts[0].empty() ? kDefaultSlice : std::string_view(parts[0])));
    const std::string& name = parts[2];
    if (name.empty() || name.find('/') != std::string::npos ||
        parts[1].find('/') != std::string::npos) {
      return Fail(ErrorCode::kInvalid, std::string(cgroups_path), "names no systemd unit",
                  "expected SLICE:PREFIX:NAME");
    }
    if (name.ends_with(kSliceSuffix)) return root + path + "/" + name;
    const std::string unit = parts[1].empty() ? name : parts[1] + "-" + name;
    return root + path + "/" + unit + ".scope";
  }
  if (cgroups_path.empty()) {
    return Fail(ErrorCode::kInvalid, "cgroupsPath", "is empty",
                "give the cgroup of the container, as in the runtime's spec");
  }
  return root + (cgroups_path.front() == '/' ? "" : "/") + std::string(cgroups_path);
}

std::string_view ContainerIdOf(std::string_view cgroup) {
  std::string_view name = cgroup.substr(cgroup.rfind('/') + 1);
  if (name.ends_with(kScopeSuffix)) name.remove_suffix(kScopeSuffix.size());
  const std::string_view id = name.substr(name.rfind('-') + 1);
  const bool is_id = id.size() == kIdDigits && std::ranges::all_of(id, [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  return is_id ? id : std::string_view();
}

}  // namespace gatehouse::workload
