// SPDX-License-Identifier: Apache-2.0
#include "daemon/hook_failures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "daemon/test_directory.h"
#include "oci/failure_record.h"

namespace gatehouse::daemon {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class HookFailuresTest : public ::testing::Test {
 protected:
  void Leave(const oci::Failure& failure) const {
    const auto left = oci::AppendFailure(path_, failure);
    ASSERT_TRUE(left) << left.error().Message();
  }

  testing::TestDirectory directory_;
  const std::string path_ = directory_ / "failures";
  HookFailures failures_{path_};
};

TEST_F(HookFailuresTest, NothingWasLeft) {
  EXPECT_THAT(failures_.Collect(), IsEmpty());
  EXPECT_EQ(failures_.counts().allowed + failures_.counts().denied, 0u);
}

TEST_F(HookFailuresTest, EachIsCountedOnceAndTold) {
  Leave({.time = "T", .container = "abc", .ns = "shop", .pod = "web", .reason = "away"});
  Leave({.container = "def", .allowed = true});
  EXPECT_THAT(failures_.Collect(),
              ElementsAre(AllOf(HasSubstr("abc"), HasSubstr("shop/web"), HasSubstr("not started"),
                                HasSubstr("away")),
                          AllOf(HasSubstr("def"), HasSubstr("without its policies"))));
  EXPECT_THAT(failures_.Collect(), IsEmpty());
  Leave({.allowed = true});
  EXPECT_EQ(failures_.Collect().size(), 1u);
  EXPECT_EQ(failures_.counts().denied, 1u);
  EXPECT_EQ(failures_.counts().allowed, 2u);
}

TEST_F(HookFailuresTest, AStormIsCountedWholeAndToldInFewLines) {
  for (int i = 0; i < 500; ++i) Leave({.container = std::to_string(i)});
  EXPECT_LT(failures_.Collect().size(), 30u);
  EXPECT_EQ(failures_.counts().denied, 500u);
}

TEST_F(HookFailuresTest, WhatIsNoRecordIsCountedApart) {
  std::filesystem::create_directory(path_);
  std::ofstream(path_ + "/records") << "{}\n\xff\xfe\n[[[[\n{\"allowed\":1}\n"
                                    << R"({"allowed":true,"reason":{}})" << "\n"
                                    << R"({"allowed":false})" << "\n"
                                    << R"({"allowed":tr)";
  EXPECT_THAT(failures_.Collect(), ElementsAre(HasSubstr("not started"), HasSubstr("6 records")));
  EXPECT_EQ(failures_.counts().unreadable, 6u);
  EXPECT_EQ(failures_.counts().denied, 1u);
}

TEST_F(HookFailuresTest, AFileOfSomebodyElsesMakingIsNotFollowed) {
  std::filesystem::create_directory(path_);
  const std::string other = directory_ / "other";
  std::ofstream(other) << R"({"allowed":true})" << "\n";
  std::filesystem::create_symlink(other, path_ + "/records");
  EXPECT_THAT(failures_.Collect(), ElementsAre(HasSubstr("records")));
  EXPECT_THAT(failures_.Collect(), IsEmpty()) << "told once";
  EXPECT_EQ(failures_.counts().allowed, 0u);
  EXPECT_EQ(std::filesystem::file_size(other), 17u) << "untouched";
}

}  // namespace
}  // namespace gatehouse::daemon
