// SPDX-License-Identifier: Apache-2.0
#include "daemon/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "daemon/fake_kernel.h"
#include "daemon/test_directory.h"
#include "daemon/test_policies.h"

namespace gatehouse::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::PolicyText;
using testing::TestDirectory;

/// Long enough for any machine; only reached when the test fails.
constexpr std::chrono::seconds kPatience{20};

class SourcesTest : public ::testing::Test {
 protected:
  void Start(const std::string& workloads = "") {
    sources_.emplace(agent_, log_, directory_.path(), workloads);
    sources_->Start();
  }

  /// What the daemon's loop does, until `done`.
  bool RunUntil(const std::function<bool()>& done) {
    const auto end = Sources::Clock::now() + kPatience;
    while (!done()) {
      if (Sources::Clock::now() > end) return false;
      std::vector<pollfd> polled;
      for (const int fd : sources_->fds()) polled.push_back({fd, POLLIN, 0});
      poll(polled.data(), polled.size(), 10);
      const auto now = Sources::Clock::now();
      sources_->Drain(now);
      if (sources_->due() && *sources_->due() <= now) sources_->Apply();
    }
    return true;
  }

  bool RunUntilPolicies(const std::vector<std::string>& names) {
    return RunUntil([&] { return Names() == names; });
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& view : agent_.ListPolicies()) names.push_back(view.status.key.ToString());
    return names;
  }

  std::string Log() const { return log_text_.str(); }

  static std::string Policy(const std::string& name) { return PolicyText{.name = name}.ToString(); }

  TestDirectory directory_;
  std::ostringstream log_text_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_text_));
  compile::StringPool strings_;
  FakeKernel kernel_;
  Agent agent_{
      strings_, kernel_, {.cgroup_root = "/cg", .cgroup_id = [](const std::string&) { return 1; }}};
  std::optional<Sources> sources_;
};

TEST_F(SourcesTest, AppliesWhatIsThereAtTheStart) {
  directory_.Write("a.yaml", Policy("a"));
  directory_.Write("b.yml", Policy("b"));
  directory_.Write("broken.yaml", "kind: [");
  Start();
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_THAT(Log(), HasSubstr("policy a: added from " + directory_.path() + "/a.yaml"));
  EXPECT_THAT(Log(), HasSubstr(directory_.path() + "/broken.yaml:1:"));
}

TEST_F(SourcesTest, FollowsFilesThatComeChangeAndGo) {
  Start();
  directory_.Write("a.yaml", Policy("a"));
  ASSERT_TRUE(RunUntilPolicies({"a"}));
  directory_.Write("a.yaml", Policy("a") + "---\n" + Policy("a2"));
  ASSERT_TRUE(RunUntilPolicies({"a", "a2"}));
  directory_.Replace("a.yaml", Policy("a3"));
  ASSERT_TRUE(RunUntilPolicies({"a3"}));
  directory_.Delete("a.yaml");
  ASSERT_TRUE(RunUntilPolicies({}));
  EXPECT_THAT(kernel_.violations(), IsEmpty());
}

TEST_F(SourcesTest, ABrokenFileLeavesWhatItSaidBefore) {
  directory_.Write("a.yaml", Policy("a"));
  Start();
  directory_.Write("a.yaml", "apiVersion: cilium.io/v1alpha1\nkind: TracingPolice\n");
  ASSERT_TRUE(RunUntil([&] { return Log().find("policy file refused") != std::string::npos; }));
  EXPECT_THAT(Names(), ElementsAre("a"));
  EXPECT_THAT(Log(), HasSubstr("/a.yaml:2:"));
  directory_.Write("a.yaml", Policy("fixed"));
  ASSERT_TRUE(RunUntilPolicies({"fixed"}));
}

TEST_F(SourcesTest, WarningsAreLoggedAndTheFileIsTaken) {
  const std::string pod = "---\napiVersion: v1\nkind: Pod\n";
  directory_.Write("a.yaml", Policy("a") + pod);
  directory_.Write("b.yaml", "kind: [");
  Start();
  EXPECT_THAT(Names(), ElementsAre("a"));
  EXPECT_THAT(Log(), HasSubstr("policy file taken with warnings:\nwarning: " + directory_.path() +
                               "/a.yaml:16:7: kind: \"Pod\""));
  directory_.Write("a.yaml", pod);
  ASSERT_TRUE(RunUntilPolicies({}));
}

TEST_F(SourcesTest, WhatStoodInTheWayIsTriedAgain) {
  ASSERT_TRUE(agent_.AddPolicies(Policy("a"), "", {}).applied);
  directory_.Write("a.yaml", PolicyText{.name = "a", .action = "Post"}.ToString());
  Start();
  EXPECT_THAT(Log(), HasSubstr("policy/a: exists already"));
  ASSERT_TRUE(agent_.DeletePolicy({"a", ""}));
  directory_.Write("other.yaml", Policy("b"));
  ASSERT_TRUE(RunUntilPolicies({"a", "b"}));
}

TEST_F(SourcesTest, EditorsFilesAreNotPolicies) {
  Start();
  directory_.Write(".a.yaml.swp", Policy("swap"));
  directory_.Write("a.yaml~", Policy("backup"));
  directory_.Write("#a.yaml#", Policy("lock"));
  directory_.Write("README.md", "text");
  directory_.Write("a.yaml", Policy("a"));
  ASSERT_TRUE(RunUntilPolicies({"a"}));
  EXPECT_THAT(Log(), Not(HasSubstr("refused")));
}

TEST_F(SourcesTest, AFileThatIsBeingWrittenIsLeftAlone) {
  directory_.Write("a.yaml", Policy("a"));
  Start();
  std::ofstream slow(directory_ / "a.yaml", std::ios::trunc);
  slow << "apiVersion: cilium.io/v1alpha1\n" << std::flush;
  directory_.Write("b.yaml", Policy("b"));  // makes the daemon look
  ASSERT_TRUE(RunUntilPolicies({"a", "b"}));
  EXPECT_THAT(Log(), Not(HasSubstr("refused")));
  slow.close();
  ASSERT_TRUE(RunUntil([&] { return Log().find("policy file refused") != std::string::npos; }));
}

TEST_F(SourcesTest, LinksOfAConfigMapAreFollowed) {
  std::filesystem::create_directory(directory_ / "..1");
  directory_.Write("..1/a.yaml", Policy("a"));
  std::filesystem::create_symlink("..1", directory_ / "..data");
  std::filesystem::create_symlink("..data/a.yaml", directory_ / "a.yaml");
  Start();
  EXPECT_THAT(Names(), ElementsAre("a"));
  std::filesystem::create_directory(directory_ / "..2");
  directory_.Write("..2/a.yaml", Policy("b"));
  std::filesystem::create_symlink("..2", directory_ / "..data_tmp");
  std::filesystem::rename(directory_ / "..data_tmp", directory_ / "..data");
  ASSERT_TRUE(RunUntilPolicies({"b"}));
}

TEST_F(SourcesTest, ADirectoryThatIsReplacedIsWatchedAgain) {
  directory_.Write("a.yaml", Policy("a"));
  Start();
  std::filesystem::rename(directory_.path(), directory_.path() + ".old");
  ASSERT_TRUE(RunUntil([&] { return Log().find("cannot be read") != std::string::npos; }));
  EXPECT_THAT(Names(), ElementsAre("a"));
  sources_->Retry();  // not there yet
  std::filesystem::create_directory(directory_.path());
  directory_.Write("b.yaml", Policy("b"));
  sources_->Retry();
  EXPECT_THAT(Names(), ElementsAre("b"));
  directory_.Write("c.yaml", Policy("c"));
  EXPECT_TRUE(RunUntilPolicies({"b", "c"}));
  std::filesystem::remove_all(directory_.path() + ".old");
}

TEST_F(SourcesTest, RereadTakesInWhatNobodyTold) {
  directory_.Write("a.yaml", Policy("a"));
  Start();
  directory_.Write("b.yaml", Policy("b"));
  sources_->Reread();
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
}

TEST_F(SourcesTest, TheWorkloadsFileMayAppearChangeAndBreak) {
  Start(directory_ / "workloads");
  const auto count = [&] { return agent_.ListWorkloads().size(); };
  EXPECT_EQ(count(), 0u);
  directory_.Write("workloads", "- cgroup: /cg/a\n- cgroup: /cg/b\n  labels: {app: web}\n");
  ASSERT_TRUE(RunUntil([&] { return count() == 2; }));
  directory_.Write("workloads", "- cgroups: /cg/a\n");
  ASSERT_TRUE(RunUntil([&] { return Log().find("workloads file refused") != std::string::npos; }));
  EXPECT_EQ(count(), 2u);
  directory_.Replace("workloads", "- cgroup: /cg/b\n");
  ASSERT_TRUE(RunUntil([&] { return count() == 1; }));
  directory_.Delete("workloads");
  ASSERT_TRUE(RunUntil([&] { return count() == 0; }));
  EXPECT_THAT(kernel_.violations(), IsEmpty());
}

TEST(ReadFileTest, RefusesWhatIsNoFileOrTooLarge) {
  const TestDirectory directory;
  directory.Write("a", "12345");
  EXPECT_EQ(ReadFile(directory / "a", 5)->first, "12345");
  EXPECT_EQ(ReadFile(directory / "a", 4).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ReadFile(directory.path(), 5).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ReadFile(directory / "b", 5).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace gatehouse::daemon
