// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_tree.h"

#include <gtest/gtest.h>

#include <sstream>

namespace gatehouse::kernel {
namespace {

Result<std::string> RootIn(const std::string& mountinfo) {
  std::istringstream lines(mountinfo);
  return CgroupRootOf(lines);
}

TEST(CgroupRootTest, FindsTheUnifiedHierarchy) {
  EXPECT_EQ(*RootIn("24 28 0:22 / /proc rw shared:13 - proc proc rw\n"
                    "35 32 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup");
}

TEST(CgroupRootTest, HybridMountsBesideVersionOne) {
  EXPECT_EQ(*RootIn("35 32 0:30 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
                    "36 35 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                    "37 35 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"),
            "/sys/fs/cgroup/unified");
}

TEST(CgroupRootTest, AMountOfAPartIsNotTheRoot) {
  EXPECT_EQ(*RootIn("35 32 0:30 /docker/abc /mnt/part rw - cgroup2 cgroup2 rw\n"
                    "36 32 0:30 / /sys/fs/with\\040space rw - cgroup2 cgroup2 rw\n"),
            "/sys/fs/with space");
}

TEST(CgroupRootTest, NoneIsAnErrorWithARemedy) {
  const auto none =
      RootIn("36 32 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\ngarbage\n\n");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(none.error().remedy.empty());
}

}  // namespace
}  // namespace gatehouse::kernel
