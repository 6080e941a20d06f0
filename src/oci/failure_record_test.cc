// SPDX-License-Identifier: Apache-2.0
#include "oci/failure_record.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <filesystem>

#include "base/fd.h"
#include "daemon/test_directory.h"

namespace gatehouse::oci {
namespace {

TEST(FailureRecord, TheDirectoryIsBesideTheSocket) {
  EXPECT_EQ(FailureDirectory("/run/gatehouse/gatehouse.sock"), "/run/gatehouse/hook-failures");
}

TEST(FailureRecord, WhatIsWrittenIsRead) {
  const daemon::testing::TestDirectory directory;
  const std::string path = directory / "a/b";
  const Failure written{.time = "2026-01-02T03:04:05Z",
                        .container = "abc",
                        .ns = "shop",
                        .pod = "web-1",
                        .reason = "away\nreally \xff",
                        .allowed = true};
  ASSERT_TRUE(AppendFailure(path, written));
  const auto taken = TakeFailures(path);
  ASSERT_TRUE(taken) << taken.error().Message();
  ASSERT_EQ(taken->read.size(), 1u);
  EXPECT_EQ(taken->unreadable, 0u);
  const Failure& read = taken->read.front();
  EXPECT_EQ(read.time, written.time);
  EXPECT_EQ(read.container, written.container);
  EXPECT_EQ(read.ns, written.ns);
  EXPECT_EQ(read.pod, written.pod);
  EXPECT_EQ(read.reason, "away\nreally \xef\xbf\xbd");
  EXPECT_TRUE(read.allowed);
  EXPECT_TRUE(TakeFailures(path)->read.empty());
}

TEST(FailureRecord, TheFileIsBoundedAndStillCounts) {
  const daemon::testing::TestDirectory directory;
  const std::string path = directory.path();
  const Failure large{.container = std::string(10'000, 'x'), .reason = std::string(10'000, 'y')};
  size_t written = 0;
  while (AppendFailure(path, large)) ++written;
  EXPECT_LE(std::filesystem::file_size(path + "/records"), 2 * kFailureBytesMax + 2048);
  const auto taken = TakeFailures(path);
  ASSERT_TRUE(taken) << taken.error().Message();
  EXPECT_EQ(taken->read.size(), written);
  EXPECT_EQ(taken->unreadable, 0u);
  EXPECT_EQ(taken->read.front().reason.size(), kFailureTextMax);
  EXPECT_EQ(taken->read.back().reason, "");
  EXPECT_TRUE(AppendFailure(path, large)) << "there is room again";
}

TEST(FailureRecord, NobodyWaitsForALockForLong) {
  const daemon::testing::TestDirectory directory;
  ASSERT_TRUE(AppendFailure(directory.path(), {}));
  const Fd other(open((directory.path() + "/records").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  EXPECT_FALSE(TakeFailures(directory.path()));
  EXPECT_FALSE(AppendFailure(directory.path(), {}));
}

}  // namespace
}  // namespace gatehouse::oci
