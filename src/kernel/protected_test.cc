// SPDX-License-Identifier: Apache-2.0
#include "kernel/protected.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace gatehouse::kernel {
namespace {

namespace fs = std::filesystem;

/// In the place of /proc.
class ProtectedTest : public ::testing::Test {
 protected:
  ~ProtectedTest() override { fs::remove_all(proc_); }

  void Add(uint32_t pid, uint32_t parent, const std::string& name = "name") const {
    const fs::path directory = fs::path(proc_) / std::to_string(pid);
    fs::create_directories(directory);
    std::ofstream(directory / "stat")
        << pid << " (" << name << ") S " << parent
        << " 5 6 7 -8 9 10 11 12 13 14 15 16 17 18 19 20 21 " << StartOf(pid) << " 23 24\n";
  }
  /// `depth` processes, one the parent of the next: 1 (init), 2, and so on.
  void AddChain(uint32_t depth) const {
    for (uint32_t pid = 1; pid <= depth; ++pid) Add(pid, pid - 1);
  }
  static uint64_t StartOf(uint32_t pid) { return 1000 + pid; }
  [[nodiscard]] Result<std::vector<gh_protected>> TasksOf(uint32_t pid) const {
    return TasksUpToInit(proc_, pid);
  }

  const std::string proc_ = ::testing::TempDir() + "gatehouse-proc-" + std::to_string(getpid());
};

TEST_F(ProtectedTest, HasTheProcessAndAllAncestorsWithTheirStart) {
  Add(1, 0);
  Add(40, 1, "a) S 7 (b");  // a name may hold what looks like fields
  Add(41, 40, "with space");
  Add(42, 1);  // no ancestor
  const auto tasks = TasksOf(41);
  ASSERT_TRUE(tasks.has_value()) << tasks.error().Message();
  std::vector<std::pair<uint32_t, uint64_t>> found;
  for (const gh_protected& task : *tasks) found.emplace_back(task.pid, task.start_ticks);
  EXPECT_THAT(found, ::testing::ElementsAre(std::pair(41, StartOf(41)), std::pair(40, StartOf(40)),
                                            std::pair(1, StartOf(1))));
}

TEST_F(ProtectedTest, AsManyAsTheKernelProgramsTake) {
  AddChain(GH_PROTECTED_MAX);
  const auto tasks = TasksOf(GH_PROTECTED_MAX);
  ASSERT_TRUE(tasks.has_value()) << tasks.error().Message();
  ASSERT_EQ(tasks->size(), size_t{GH_PROTECTED_MAX});
  EXPECT_EQ(tasks->back().pid, 1);
}

TEST_F(ProtectedTest, OneMoreIsRefusedWithTheLimitAndARemedy) {
  AddChain(GH_PROTECTED_MAX + 1);
  const auto tasks = TasksOf(GH_PROTECTED_MAX + 1);
  ASSERT_FALSE(tasks.has_value());
  EXPECT_EQ(tasks.error().code, ErrorCode::kRefused);
  EXPECT_THAT(tasks.error().Message(),
              ::testing::HasSubstr(std::to_string(GH_PROTECTED_MAX - 1) + " ancestors"));
  EXPECT_FALSE(tasks.error().remedy.empty());
}

TEST_F(ProtectedTest, AProcessThatCannotBeReadIsAnError) {
  Add(7, 6);
  const auto tasks = TasksOf(7);
  ASSERT_FALSE(tasks.has_value());
  EXPECT_THAT(tasks.error().Message(), ::testing::HasSubstr("6/stat"));
}

}  // namespace
}  // namespace gatehouse::kernel
