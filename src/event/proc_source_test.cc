// SPDX-License-Identifier: Apache-2.0
#include "event/proc_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace gatehouse::event {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;

class ProcSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("gatehouse-proc-" + std::to_string(::getpid()));
    fs::create_directories(root_ / "77");
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / "77" / name, std::ios::binary) << text;
  }
  fs::path root_;
};

TEST_F(ProcSourceTest, ReadsEveryField) {
  Write("stat",
        "77 (a) b ) c) S 42 77 77 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 123456 9000 100 1 2 3 "
        "140720\n");
  Write("status", "Name:\tx\nUid:\t1000\t1001\t1002\t1003\nNSpid:\t77\t8\t1\n");
  Write("loginuid", "1005");
  Write("cmdline", std::string("prog\0a b\0\0", 10));
  fs::create_symlink("/opt/prog (deleted)", root_ / "77" / "exe");
  fs::create_symlink("/srv", root_ / "77" / "cwd");
  const auto process = ProcFilesystem(root_).Read(77);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->pid, 77u);
  EXPECT_EQ(process->parent_pid, 42u);
  EXPECT_EQ(process->start_ticks, 123456u);
  EXPECT_EQ(process->start_stack, 140720u);
  EXPECT_EQ(process->uid, 1000u);
  EXPECT_EQ(process->auid, 1005u);
  EXPECT_EQ(process->ns_pid, 1u);
  EXPECT_EQ(process->binary, "/opt/prog");
  EXPECT_EQ(process->args, std::string("prog\0a b", 8));
  EXPECT_EQ(process->cwd, "/srv");
}

TEST_F(ProcSourceTest, NonsenseIsNoProcess) {
  EXPECT_FALSE(ProcFilesystem(root_).Read(78));
  for (const char* stat :
       {"", "77 (x", "77 (x) S", "77 (x) S a b c d e f g h i j k l m n o p q r"}) {
    Write("stat", stat);
    EXPECT_FALSE(ProcFilesystem(root_).Read(77)) << stat;
  }
}

TEST_F(ProcSourceTest, WhatOpensAndCannotBeReadIsNoProcess) {
  fs::create_directory(root_ / "77" / "stat");  // EISDIR, as ESRCH of a process that has ended
  EXPECT_FALSE(ProcFilesystem(root_).Read(77));
}

TEST_F(ProcSourceTest, ListsOnlyNumbers) {
  fs::create_directories(root_ / "self");
  fs::create_directories(root_ / "12x");
  EXPECT_THAT(ProcFilesystem(root_).Pids(), ElementsAre(77));
  EXPECT_TRUE(ProcFilesystem(root_ / "missing").Pids().empty());
}

TEST_F(ProcSourceTest, ReadsThisProcess) {
  const ProcFilesystem proc;
  const auto pid = static_cast<uint32_t>(::getpid());
  EXPECT_THAT(proc.Pids(), Contains(pid));
  const auto self = proc.Read(pid);
  ASSERT_TRUE(self);
  EXPECT_EQ(self->parent_pid, static_cast<uint32_t>(::getppid()));
  EXPECT_EQ(self->uid, ::getuid());
  EXPECT_EQ(self->binary, fs::read_symlink("/proc/self/exe"));
  EXPECT_EQ(self->cwd, fs::current_path());
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  EXPECT_GT(self->start_ticks, 0u);
  EXPECT_LE(self->start_ticks, (static_cast<uint64_t>(now.tv_sec) + 1) * 1'000'000'000 / kTickNs);
}

}  // namespace
}  // namespace gatehouse::event
