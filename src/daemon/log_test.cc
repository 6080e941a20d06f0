// SPDX-License-Identifier: Apache-2.0
#include "daemon/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace gatehouse::daemon {
namespace {

using ::testing::MatchesRegex;

constexpr const char* kTime = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z";

TEST(LogTest, TextHasTimeLevelAndOneLineForEachMessage) {
  ::testing::internal::CaptureStderr();
  const auto log = MakeLogger(LogLevel::kInfo, LogFormat::kText);
  log->debug("not shown");
  log->info("policy {}: added\nforged \x1b[31mline", "web");
  LogLines(*log, spdlog::level::err, "two\nlines");
  log->flush();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              MatchesRegex(std::string(kTime) +
                           " info    policy web: added\\\\x0aforged \\\\x1b\\[31mline\n" + kTime +
                           " error   two\n" + kTime + " error     lines\n"));
}

TEST(LogTest, JsonIsAnObjectForEachLine) {
  ::testing::internal::CaptureStderr();
  const auto log = MakeLogger(LogLevel::kDebug, LogFormat::kJson);
  log->debug("a \"quoted\"\nthing \xff");
  log->flush();
  const auto line = nlohmann::json::parse(::testing::internal::GetCapturedStderr());
  EXPECT_EQ(line["level"], "debug");
  EXPECT_EQ(line["message"], "a \"quoted\"\nthing \xef\xbf\xbd");
  EXPECT_THAT(line["time"].get<std::string>(), MatchesRegex(kTime));
}

}  // namespace
}  // namespace gatehouse::daemon
