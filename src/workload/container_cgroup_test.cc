// SPDX-License-Identifier: Apache-2.0
#include "workload/container_cgroup.h"

#include <gtest/gtest.h>

namespace gatehouse::workload {
namespace {

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

constexpr std::string_view kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(ContainerIdTest, IsTheLastPartOfTheName) {
  const std::string id(kId);
  for (const std::string& cgroup : {id, "/cg/kubepods/burstable/pod1/" + id,
                                    "/cg/kubepods.slice/cri-containerd-" + id + ".scope",
                                    "/cg/crio-" + id, "libpod-" + id + ".scope"}) {
    EXPECT_EQ(ContainerIdOf(cgroup), kId) << cgroup;
  }
  for (const std::string& cgroup :
       {std::string(), std::string("/"), std::string("nginx.service"), id + "0", id.substr(1),
        "/cg/" + id + "/init.scope", "crio-conmon-" + id.substr(1) + "G.scope"}) {
    EXPECT_EQ(ContainerIdOf(cgroup), "") << cgroup;
  }
}

}  // namespace
}  // namespace gatehouse::workload
