// SPDX-License-Identifier: Apache-2.0
#include "daemon/cgroups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace gatehouse::daemon {
namespace {

TEST(CgroupIdTest, IsTheInodeOfTheDirectory) {
  const std::string directory = std::filesystem::temp_directory_path();
  EXPECT_TRUE(CgroupIdOf(directory));
  EXPECT_FALSE(CgroupIdOf(directory + "/there-is-none-of-this-name"));
  EXPECT_FALSE(CgroupIdOf("/proc/self/mountinfo"));
}

}  // namespace
}  // namespace gatehouse::daemon
