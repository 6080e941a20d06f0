// SPDX-License-Identifier: Apache-2.0
#include "daemon/cgroups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace gatehouse::daemon {
namespace {

TEST(CgroupRootTest, FindsTheUnifiedHierarchy) {
  EXPECT_EQ(*CgroupRootOf("24 28 0:22 / /proc rw shared:13 - proc proc rw\n"
                          "35 32 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup");
}

TEST(CgroupRootTest, HybridMountsBesideVersionOne) {
  EXPECT_EQ(*CgroupRootOf("35 32 0:30 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
                          "36 35 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                          "37 35 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"),
            "/sys/fs/cgroup/unified");
}

TEST(CgroupRootTest, AMountOfAPartIsNotTheRoot) {
  EXPECT_EQ(*CgroupRootOf("35 32 0:30 /docker/abc /mnt/part rw - cgroup2 cgroup2 rw\n"
                          "36 32 0:30 / /sys/fs/with\\040space rw - cgroup2 cgroup2 rw\n"),
            "/sys/fs/with space");
}

TEST(CgroupRootTest, NoneIsAnErrorWithARemedy) {
  const auto none =
      CgroupRootOf("36 32 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\ngarbage\n\n");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(none.error().remedy.empty());
}

TEST(CgroupIdTest, IsTheInodeOfTheDirectory) {
  const std::string directory = std::filesystem::temp_directory_path();
  EXPECT_TRUE(CgroupIdOf(directory));
  EXPECT_FALSE(CgroupIdOf(directory + "/there-is-none-of-this-name"));
  EXPECT_FALSE(CgroupIdOf("/proc/self/mountinfo"));
}

struct ContainerCase {
  const char* cgroups_path;
  const char* cgroup;  // null: an error
};

class CgroupOfContainerTest : public ::testing::TestWithParam<ContainerCase> {};

TEST_P(CgroupOfContainerTest, IsBelowTheRoot) {
  const auto cgroup = CgroupOfContainer("/cg", GetParam().cgroups_path);
  if (GetParam().cgroup == nullptr) {
    ASSERT_FALSE(cgroup) << *cgroup;
    EXPECT_EQ(cgroup.error().code, ErrorCode::kInvalid);
  } else {
    ASSERT_TRUE(cgroup) << cgroup.error().Message();
    EXPECT_EQ(*cgroup, GetParam().cgroup);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Forms, CgroupOfContainerTest,
    ::testing::Values(
        ContainerCase{"/kubepods/burstable/pod1/abc", "/cg/kubepods/burstable/pod1/abc"},
        ContainerCase{"docker/abc", "/cg/docker/abc"},
        ContainerCase{"system.slice:docker:abc", "/cg/system.slice/docker-abc.scope"},
        ContainerCase{":docker:abc", "/cg/system.slice/docker-abc.scope"},
        ContainerCase{"user.slice::abc", "/cg/user.slice/abc.scope"},
        ContainerCase{"kubepods-burstable-pod1_2.slice:cri-containerd:abc",
                      "/cg/kubepods.slice/kubepods-burstable.slice/"
                      "kubepods-burstable-pod1_2.slice/cri-containerd-abc.scope"},
        ContainerCase{"-.slice:crio:abc", "/cg/crio-abc.scope"},
        ContainerCase{"a.slice:p:inner.slice", "/cg/a.slice/inner.slice"},
        ContainerCase{"", nullptr}, ContainerCase{"a.slice:p:", nullptr},
        ContainerCase{"a:p:n", nullptr}, ContainerCase{".slice:p:n", nullptr},
        ContainerCase{"a--b.slice:p:n", nullptr}, ContainerCase{"a-.slice:p:n", nullptr},
        ContainerCase{"a/b.slice:p:n", nullptr}, ContainerCase{"a.slice:p:../n", nullptr}));

}  // namespace
}  // namespace gatehouse::daemon
