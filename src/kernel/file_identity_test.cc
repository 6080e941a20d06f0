// SPDX-License-Identifier: Apache-2.0
#include "kernel/file_identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "policy/file_identity.h"

namespace gatehouse::kernel {
namespace {

namespace fs = std::filesystem;

bool Same(const std::optional<gh_address_range>& a, const std::optional<gh_address_range>& b) {
  return a && b && a->first == b->first && a->first_low == b->first_low && a->last == b->last &&
         a->last_low == b->last_low;
}

TEST(FileIdentity, IsOfTheFileWhateverItsName) {
  const fs::path directory = testing::TempDir() + "gatehouse-identity-" + std::to_string(getpid());
  fs::create_directories(directory);
  const fs::path file = directory / "file", link = directory / "link", name = directory / "name";
  std::ofstream(file) << "x";
  std::ofstream(directory / "other") << "x";
  fs::create_symlink(file, link);
  fs::create_hard_link(file, name);
  const auto identity = FindFile(file);
  ASSERT_TRUE(identity);
  struct stat status{};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(identity->first_low, status.st_ino);
  EXPECT_TRUE(Same(identity, FindFile(link)));
  EXPECT_TRUE(Same(identity, FindFile(name)));
  EXPECT_FALSE(Same(identity, FindFile(directory / "other")));
  EXPECT_FALSE(FindFile(directory / "none"));
  fs::remove_all(directory);
}

TEST(FileIdentity, TheDeviceIsThatOfTheMount) {
  const fs::path proc = testing::TempDir() + "gatehouse-mounts-" + std::to_string(getpid());
  fs::create_directories(proc / "self");
  struct statx root{};
  ASSERT_EQ(statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root), 0);
  std::ofstream(proc / "self" / "mountinfo")
      << "1 0 7:7 / /none rw - ext4 a rw\n"
      << root.stx_mnt_id << " 1 9:1048575 / / rw,relatime - btrfs b rw\n";
  EXPECT_TRUE(Same(FindFile("/", proc), policy::FileIdentity(9, 1048575, root.stx_ino)));
  fs::remove(proc / "self" / "mountinfo");
  EXPECT_TRUE(Same(FindFile("/", proc),
                   policy::FileIdentity(root.stx_dev_major, root.stx_dev_minor, root.stx_ino)));
  fs::remove_all(proc);
}

TEST(FileIdentity, IsWrittenInDecimal) {
  const auto read = policy::ReadFileIdentity("254:1:18446744073709551615");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->first, uint64_t{254} << 20 | 1);
  EXPECT_EQ(read->first_low, UINT64_MAX);
  for (const char* bad : {"", "1:2", "1:2:", "1:2:3:", "1:2:3 ", "a:2:3", "4096:0:1", "0:1048576:1",
                          "1:2:18446744073709551616", "-1:2:3"}) {
    EXPECT_FALSE(policy::ReadFileIdentity(bad)) << bad;
  }
}

}  // namespace
}  // namespace gatehouse::kernel
