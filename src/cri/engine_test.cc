// SPDX-License-Identifier: Apache-2.0
#include "cri/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "cri/engine_read.h"
#include "cri/fake_engine.h"
#include "cri/test_recorder.h"
#include "daemon/test_directory.h"

namespace gatehouse::cri {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::FakeEngine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Recorder;

class EngineTest : public ::testing::Test {
 protected:
  /// A process as /proc shows it.
  void AddProcess(pid_t pid, const std::string& cgroup) {
    const std::string number = std::to_string(pid);
    std::filesystem::create_directories(directory_ / number);
    directory_.Write(number + "/cgroup", "3:pids:/elsewhere\n0::" + cgroup + "\n");
  }
  [[nodiscard]] std::string socket() const { return directory_ / "docker.sock"; }
  [[nodiscard]] EngineOptions Options() const {
    return {.socket = socket(),
            .cgroup_root = "/cg",
            .proc = directory_.path(),
            .reconnect = milliseconds(5),
            .reconnect_max = milliseconds(20)};
  }
  static Health AwaitHealth(const Engine& engine, const std::function<bool(const Health&)>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      const Health health = engine.health();
      if (done(health) || std::chrono::steady_clock::now() > end) return health;
      std::this_thread::yield();
    }
  }

  daemon::testing::TestDirectory directory_;
  Recorder recorder_;
};

TEST_F(EngineTest, KnowsWhatRunsAndWhatComesAndGoes) {
  FakeEngine fake(socket());
  AddProcess(11, "/docker/c1");
  AddProcess(12, "/system.slice/docker-c2.scope/init.scope");
  fake.Put("c1", "web", 11);
  const Engine engine(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  EXPECT_EQ(recorder_.known()["c1"], (workload::ContainerFacts{.id = "c1",
                                                               .cgroup = "/cg/docker/c1",
                                                               .name = "web",
                                                               .image = "nginx:1",
                                                               .pod_uid = "",
                                                               .pod = "",
                                                               .ns = "",
                                                               .labels = {{"app", "web"}},
                                                               .sandbox = false}));
  fake.Put("c2", "db", 12);
  ASSERT_TRUE(recorder_.AwaitIds({"c1", "c2"}));
  EXPECT_EQ(recorder_.known()["c2"].cgroup, "/cg/system.slice/docker-c2.scope")
      << "a cgroup that the container made for itself is not the container's";
  fake.Put("c1", "web", 0);
  ASSERT_TRUE(recorder_.AwaitIds({"c2"}));
  fake.Put("c1", "web", 11);  // a restart keeps the id
  ASSERT_TRUE(recorder_.AwaitIds({"c1", "c2"}));
  fake.Remove("c2");
  ASSERT_TRUE(recorder_.AwaitIds({"c1"}));
  const Health health = AwaitHealth(engine, [](const Health& h) { return h.containers == 1; });
  EXPECT_EQ(health.runtime, "Engine");
  EXPECT_EQ(health.version, "20.10.1");
  EXPECT_TRUE(health.connected);
  EXPECT_TRUE(health.synced);
  EXPECT_EQ(health.last_error, "");
}

TEST_F(EngineTest, AsksAboutWhatSomebodyElseSaw) {
  FakeEngine fake(socket());
  AddProcess(11, "/docker/c1");
  Engine engine(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  engine.Ask("c1");
  engine.Ask("../../version");
  fake.Put("c1", "web", 11, /*quiet=*/true);
  EXPECT_TRUE(recorder_.AwaitIds({"c1"}));
}

TEST_F(EngineTest, NothingIsRemovedWhileItIsAway) {
  FakeEngine fake(socket());
  AddProcess(11, "/docker/c1");
  AddProcess(12, "/docker/c2");
  fake.Put("c1", "web", 11);
  fake.Put("c2", "db", 12);
  const Engine engine(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.Stop();
  EXPECT_FALSE(AwaitHealth(engine, [](const Health& h) { return !h.connected; }).connected);
  EXPECT_EQ(recorder_.known().size(), 2u);
  fake.Put("c1", "web", 0);
  fake.Start();
  ASSERT_TRUE(recorder_.AwaitSynced(2));
  EXPECT_TRUE(recorder_.AwaitIds({"c2"}));
  EXPECT_THAT(recorder_.said(), IsEmpty());
}

TEST_F(EngineTest, WhatIsGarbledIsRefusedAndTheRestIsKnown) {
  FakeEngine fake(socket());
  AddProcess(11, "/docker/good");
  AddProcess(12, "/../../etc");
  fake.Put("good", "web", 11);
  fake.Put("outside", "web", 12);
  fake.Put("gone", "web", 99);
  fake.Put("slash", "a/b", 11);
  for (const char* id : {"deep", "another", "text", "huge"}) fake.Put(id, "web", 11);
  fake.Answer("/containers/deep/json", std::string(500'000, '['));
  fake.Answer("/containers/another/json", R"({"Id":"good"})");
  fake.Answer("/containers/text/json", "no JSON");
  fake.Answer("/containers/huge/json",
              R"({"Id":"huge","Name":"/)" + std::string(100'000, 'n') + R"("})");
  const Engine engine(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  EXPECT_TRUE(recorder_.AwaitIds({"good"}));
  EXPECT_GE(engine.health().refused, 7u);
  for (const char* line : {"", "{", "[]", R"({"Type":"container","Actor":{"ID":"../x"}})",
                           R"({"Type":"image","Actor":{"ID":"good"}})", R"({"Type":7})"}) {
    fake.Tell(line);
  }
  fake.Tell(std::string(200'000, '['));
  fake.Put("later", "web", 11);
  EXPECT_TRUE(recorder_.AwaitIds({"good", "later"}));
  // A line without an end ends the connection, and no more.
  fake.Tell(std::string(size_t{3} << 20, 'x'));
  EXPECT_TRUE(recorder_.AwaitSynced(2));
  EXPECT_TRUE(recorder_.AwaitIds({"good", "later"}));
}

TEST_F(EngineTest, AListThatIsNoListIsNoSync) {
  FakeEngine fake(socket());
  fake.Answer("/containers/json", R"({"message":"no"})");
  const Engine engine(Options(), recorder_);
  const Health health = AwaitHealth(engine, [](const Health& h) { return !h.last_error.empty(); });
  EXPECT_THAT(health.last_error, HasSubstr("no list of containers"));
  EXPECT_FALSE(health.synced);
}

TEST(EngineReadTest, ListsAreBoundedAndOfIdsAlone) {
  EXPECT_THAT(*ReadIds(R"([{"Id":"a"},{"Id":7},{"Id":"../b"},7,null,{"Id":"c"}])"),
              ElementsAre("a", "c"));
  EXPECT_FALSE(ReadIds("{}"));
  EXPECT_FALSE(ReadIds(""));
}

TEST(EngineReadTest, TheCgroupIsThatOfTheUnifiedHierarchy) {
  EXPECT_EQ(*ReadCgroup("c1", "0::/docker/c1\n", "/cg"), "/cg/docker/c1");
  EXPECT_EQ(*ReadCgroup("c1", "10::/x\n0::/a/c1/b/c\n", "/cg"), "/cg/a/c1");
  EXPECT_EQ(*ReadCgroup("c1", "0::/machine.slice/libpod-c1.scope/container\n", "/cg"),
            "/cg/machine.slice/libpod-c1.scope");
  EXPECT_EQ(*ReadCgroup("c1", "0::/custom\n", "/cg"), "/cg/custom");
  for (const char* text : {"", "0::/\n", "0::", "1:cpu:/docker/c1\n", "0::/../c1\n"}) {
    EXPECT_FALSE(ReadCgroup("c1", text, "/cg")) << text;
  }
}

}  // namespace
}  // namespace gatehouse::cri
