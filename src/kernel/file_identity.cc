// SPDX-License-Identifier: Apache-2.0
#include "kernel/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <limits>

#include "policy/file_identity.h"

namespace gatehouse::kernel {
namespace {

struct Device {
  uint32_t major = 0, minor = 0;
};

/// The device of a mount, as proc_pid_mountinfo(5) has it: that of the file system, where stat(2)
/// may tell one for each subvolume (btrfs).
std::optional<Device> DeviceOf(uint64_t mount, const std::string& proc) {
  std::ifstream mounts(proc + "/self/mountinfo");
  uint64_t id = 0, parent = 0;
  Device device;
  char colon = 0;
  while (mounts >> id >> parent >> device.major >> colon >> device.minor) {
    if (id == mount) return device;
    mounts.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

}  // namespace

std::optional<gh_address_range> FindFile(const std::string& path, const std::string& proc) {
  struct statx file{};
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_MNT_ID, &file) != 0) return std::nullopt;
  const Device of_file{file.stx_dev_major, file.stx_dev_minor};
  const Device device = DeviceOf(file.stx_mnt_id, proc).value_or(of_file);
  return policy::FileIdentity(device.major, device.minor, file.stx_ino);
}

}  // namespace gatehouse::kernel
