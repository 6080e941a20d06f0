// SPDX-License-Identifier: Apache-2.0
#include "kernel_objects.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace gatehouse::bench {
namespace {

/// The numbers after some keys of one fdinfo file; 0 where a key is absent.
struct FdInfo {
  uint64_t map_id = 0;
  uint64_t program_id = 0;
  uint64_t link_id = 0;
  uint64_t memlock_bytes = 0;
};

FdInfo ReadFdInfo(const std::filesystem::path& path) {
  FdInfo info;
  std::ifstream file(path);
  for (std::string key, value; file >> key >> value;) {
    if (key == "map_id:") info.map_id = std::stoull(value);
    if (key == "prog_id:") info.program_id = std::stoull(value);
    if (key == "link_id:") info.link_id = std::stoull(value);
    if (key == "memlock:") info.memlock_bytes = std::stoull(value);
    std::string rest;
    std::getline(file, rest);
  }
  return info;
}

}  // namespace

Objects FindObjectsOf(pid_t process) {
  Objects objects;
  std::error_code error;
  const std::string directory = "/proc/" + std::to_string(process) + "/fdinfo";
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const FdInfo info = ReadFdInfo(entry.path());
    if (info.link_id != 0) continue;  // it names its program too
    if (info.map_id != 0 && objects.maps.insert(static_cast<uint32_t>(info.map_id)).second) {
      objects.map_memlock_bytes += info.memlock_bytes;
    }
    if (info.program_id != 0 &&
        objects.programs.insert(static_cast<uint32_t>(info.program_id)).second) {
      objects.program_memlock_bytes += info.memlock_bytes;
    }
  }
  return objects;
}

Objects FindOwnObjects() { return FindObjectsOf(getpid()); }

Result<RunStatistics> RunStatistics::Enable() {
  Fd fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!fd.valid()) return FailErrno("bpf", "cannot enable run statistics", errno);
  return RunStatistics(std::move(fd));
}

Runs RunsOf(std::span<const uint32_t> programs) {
  Runs runs;
  for (const uint32_t id : programs) {
    const Fd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) continue;
    runs.count += info.run_cnt;
    runs.time_ns += info.run_time_ns;
  }
  return runs;
}

}  // namespace gatehouse::bench
