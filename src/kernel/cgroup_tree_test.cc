// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_tree.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <sstream>

namespace gatehouse::kernel {
namespace {

/// Stands in the place of the map cgroups.
struct FakeMap {
  static inline FakeMap* current = nullptr;        ///< of the test that runs
  std::map<uint64_t, bind::WorkloadId> workloads;  ///< by cgroup id; 0: none
  std::function<void(uint64_t)> before_change;     ///< gets the cgroup id

  int Set(const void* key, bind::WorkloadId workload) {
    const uint64_t id = *static_cast<const uint64_t*>(key);
    before_change(id);
    workloads[id] = workload;
    return 0;
  }
};

}  // namespace
}  // namespace gatehouse::kernel

// The linker takes these for libbpf's.
int bpf_map_update_elem(int /*fd*/, const void* key, const void* value, __u64 /*flags*/) {
  return gatehouse::kernel::FakeMap::current->Set(key,
                                                  static_cast<const gh_cgroup*>(value)->workload);
}

int bpf_map_delete_elem(int /*fd*/, const void* key) {
  return gatehouse::kernel::FakeMap::current->Set(key, 0);
}

namespace gatehouse::kernel {
namespace {

/// On a hierarchy of plain directories.
class CgroupTreeTest : public ::testing::Test {
 protected:
  static constexpr bind::WorkloadId kWorkload = 7;

  CgroupTreeTest() {
    FakeMap::current = &map_;
    std::filesystem::create_directory(top_);
  }
  ~CgroupTreeTest() override {
    FakeMap::current = nullptr;
    std::filesystem::remove_all(root_);
  }

  [[nodiscard]] bind::WorkloadId WorkloadOf(const std::string& path) {
    return map_.workloads[IdOf(path)];
  }
  /// A child of `top_` that took over `inherited`, and that only the second pass can see.
  void MakeChildDuringFirstPass(bind::WorkloadId inherited) {
    map_.before_change = [this, inherited, passes = 0](uint64_t id) mutable {
      if (id != IdOf(top_) || ++passes != 2) return;
      std::filesystem::create_directory(child_);
      map_.workloads[IdOf(child_)] = inherited;
    };
  }

  FakeMap map_{.workloads = {}, .before_change = [](uint64_t) {}};
  const std::string root_ = MakeRoot(), top_ = root_ + "/top", child_ = top_ + "/child";
  CgroupTree tree_{-1, root_};

 private:
  static std::string MakeRoot() {
    std::string pattern = std::filesystem::temp_directory_path() / "gatehouse-test.XXXXXX";
    return mkdtemp(pattern.data());
  }
  static uint64_t IdOf(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_ino;
  }
};

TEST_F(CgroupTreeTest, ChildMadeDuringTrackIsTied) {
  MakeChildDuringFirstPass(0);
  ASSERT_TRUE(tree_.Track(kWorkload, 0, top_));
  EXPECT_EQ(WorkloadOf(top_), kWorkload);
  EXPECT_EQ(WorkloadOf(child_), kWorkload);
}

TEST_F(CgroupTreeTest, ChildMadeDuringUntrackIsUntied) {
  ASSERT_TRUE(tree_.Track(kWorkload, 0, top_));
  MakeChildDuringFirstPass(kWorkload);
  tree_.Untrack(kWorkload);
  EXPECT_EQ(WorkloadOf(top_), 0U);
  EXPECT_EQ(WorkloadOf(child_), 0U);
}

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
