// SPDX-License-Identifier: Apache-2.0
#include "cri/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "cri/fake_runtime.h"
#include "cri/test_recorder.h"
#include "daemon/test_directory.h"

namespace gatehouse::cri {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::FakeRuntime;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Recorder;

constexpr Pace kPace = {.call = milliseconds(3000),
                        .patience = milliseconds(200),
                        .second_list = std::chrono::hours(1),
                        .relist = std::chrono::hours(1),  // nothing but events tells of changes
                        .listing = milliseconds(20),
                        .retry = milliseconds(2),
                        .reconnect = milliseconds(5),
                        .reconnect_max = milliseconds(20)};

class SourceTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string socket() const { return directory_ / "cri.sock"; }
  [[nodiscard]] SourceOptions Options(const Pace& pace = kPace) const {
    return {.sockets = {directory_ / "no.sock", socket()}, .cgroup_root = "/cg", .pace = pace};
  }
  static Health AwaitHealth(const Source& source, const std::function<bool(const Health&)>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      const Health health = source.health();
      if (done(health) || std::chrono::steady_clock::now() > end) return health;
      std::this_thread::yield();
    }
  }

  daemon::testing::TestDirectory directory_;
  Recorder recorder_;
};

TEST_F(SourceTest, KnowsWhatRuns) {
  FakeRuntime fake(socket());
  fake.AddPod("pod1", "uid1", "web-1", {{"app", "web"}});
  fake.AddContainer("c1", "pod1", "nginx");
  fake.AddContainer("c2", "pod1", "init");
  fake.Exit("c2");
  fake.AddPod("pod2", "uid2", "old-1");
  fake.Exit("pod2");
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  auto known = recorder_.known();
  ASSERT_EQ(known.size(), 2u);
  EXPECT_EQ(known["c1"],
            (workload::ContainerFacts{
                .id = "c1",
                .cgroup = "/cg/kubepods.slice/kubepods-poduid1.slice/cri-containerd-c1.scope",
                .name = "nginx",
                .image = "docker.io/library/nginx:1",
                .pod_uid = "uid1",
                .pod = "web-1",
                .ns = "shop",
                .labels = {{"app", "web"}},
                .sandbox = false}));
  EXPECT_EQ(known["pod1"], (workload::ContainerFacts{.id = "pod1",
                                                     .cgroup = "/cg/kubepods/poduid1/pod1",
                                                     .name = "",
                                                     .image = "",
                                                     .pod_uid = "uid1",
                                                     .pod = "web-1",
                                                     .ns = "shop",
                                                     .labels = {{"app", "web"}},
                                                     .sandbox = true}));
  const Health health = AwaitHealth(source, [](const Health& h) { return h.containers == 2; });
  EXPECT_EQ(health.socket, socket());
  EXPECT_EQ(health.runtime, "containerd");
  EXPECT_EQ(health.version, "1.2.3");
  EXPECT_EQ(health.follows, "containerd events");
  EXPECT_TRUE(health.connected);
  EXPECT_TRUE(health.synced);
  EXPECT_EQ(health.last_error, "");
  EXPECT_EQ(health.refused, 0u);
}

struct Way {
  const char* runtime;
  bool containerd_events;
  bool cri_events;
  const char* follows;
};

class FollowTest : public SourceTest, public ::testing::WithParamInterface<Way> {};

TEST_P(FollowTest, SeesContainersComeAndGo) {
  FakeRuntime::Behaviour behaviour;
  behaviour.name = GetParam().runtime;
  behaviour.containerd_events = GetParam().containerd_events;
  behaviour.cri_events = GetParam().cri_events;
  FakeRuntime fake(socket(), behaviour);
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  if (GetParam().follows != std::string("listing")) fake.AwaitFollower();

  fake.AddPod("pod1", "uid1", "web-1");
  fake.AddContainer("c1", "pod1", "init");
  ASSERT_TRUE(recorder_.AwaitIds({"c1", "pod1"}));
  fake.Exit("c1");
  ASSERT_TRUE(recorder_.AwaitIds({"pod1"}));
  fake.AddContainer("c2", "pod1", "nginx");
  ASSERT_TRUE(recorder_.AwaitIds({"c2", "pod1"}));
  // A restart is another container of the same name; the old one is removed some time.
  fake.Exit("c2");
  fake.AddContainer("c3", "pod1", "nginx");
  fake.Remove("c2");
  ASSERT_TRUE(recorder_.AwaitIds({"c3", "pod1"}));
  // The sandbox is replaced, and with it all containers.
  fake.Exit("c3");
  fake.Exit("pod1");
  fake.AddPod("pod2", "uid1", "web-1");
  fake.AddContainer("c4", "pod2", "nginx");
  fake.Remove("c3");
  fake.Remove("pod1");
  ASSERT_TRUE(recorder_.AwaitIds({"c4", "pod2"}));
  EXPECT_EQ(source.health().follows, GetParam().follows);
  EXPECT_EQ(source.health().last_error, "");
}

INSTANTIATE_TEST_SUITE_P(Ways, FollowTest,
                         ::testing::Values(Way{"containerd", true, true, "containerd events"},
                                           Way{"cri-o", false, true, "CRI events"},
                                           Way{"cri-o", false, false, "listing"},
                                           Way{"containerd", false, true, "listing"}));

TEST_F(SourceTest, EventsThatComeEarlyAreAskedAboutAgain) {
  FakeRuntime fake(socket());
  Pace pace = kPace;
  pace.retry = milliseconds(10);
  const Source source(Options(pace), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.AwaitFollower();
  fake.set_quiet(true);
  const int before = fake.statuses_asked();
  fake.Tell("/containers/create", "pod1");
  while (fake.statuses_asked() < before + 4)
    std::this_thread::yield();  // a container's, a pod's, and so on
  fake.AddPod("pod1", "uid1", "web-1");
  ASSERT_TRUE(recorder_.AwaitIds({"pod1"}));
  fake.Tell("/tasks/exit", "pod1");
  const int told = fake.statuses_asked();
  while (fake.statuses_asked() < told + 2) std::this_thread::yield();
  EXPECT_THAT(recorder_.said(), ElementsAre("put pod1"));
  fake.Exit("pod1");
  ASSERT_TRUE(recorder_.AwaitIds({}));
}

TEST_F(SourceTest, TheEndOfAnExecIsNotTheEndOfItsContainer) {
  FakeRuntime fake(socket());
  fake.AddPod("pod1", "uid1", "web-1");
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.AwaitFollower();
  const int before = fake.statuses_asked();
  for (int i = 0; i < 100; ++i) fake.Tell("/tasks/exit", "pod1", "exec" + std::to_string(i));
  fake.AddPod("pod2", "uid2", "web-2");
  ASSERT_TRUE(recorder_.AwaitIds({"pod1", "pod2"}));
  EXPECT_LE(fake.statuses_asked(), before + 2);  // a container's, a pod's: of pod2
}

TEST_F(SourceTest, AsksAboutWhatSomebodyElseSaw) {
  FakeRuntime fake(socket());
  fake.AddPod("pod1", "uid1", "web-1");
  Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.set_quiet(true);
  fake.AddContainer("c1", "pod1", "nginx");
  source.Ask("c1");
  ASSERT_TRUE(recorder_.AwaitIds({"c1", "pod1"}));
  source.Ask("not-there");
  source.Ask("../x");
  const Health health = AwaitHealth(source, [](const Health& h) { return h.refused == 1; });
  EXPECT_EQ(health.refused, 1u);
}

TEST_F(SourceTest, AListFindsWhatNoEventTold) {
  FakeRuntime fake(socket());
  fake.AddPod("pod1", "uid1", "web-1");
  Pace pace = kPace;
  pace.relist = milliseconds(20);
  const Source source(Options(pace), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.set_quiet(true);
  fake.AddContainer("c1", "pod1", "nginx");
  ASSERT_TRUE(recorder_.AwaitIds({"c1", "pod1"}));
  fake.Remove("c1");
  ASSERT_TRUE(recorder_.AwaitIds({"pod1"}));
}

TEST_F(SourceTest, NothingIsRemovedWhileTheRuntimeIsAway) {
  FakeRuntime fake(socket());
  fake.AddPod("pod1", "uid1", "web-1");
  fake.AddContainer("c1", "pod1", "a");
  fake.AddContainer("c2", "pod1", "b");
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.AwaitFollower();
  fake.Stop();
  const Health away = AwaitHealth(source, [](const Health& h) {
    return !h.connected && h.last_error.find("no container runtime") != std::string::npos;
  });
  EXPECT_FALSE(away.connected);
  EXPECT_FALSE(away.synced);
  EXPECT_EQ(away.containers, 3u);
  EXPECT_EQ(recorder_.known().size(), 3u);

  fake.Remove("c1");
  fake.AddContainer("c3", "pod1", "c");
  const int asked = fake.statuses_asked();
  fake.Start();
  ASSERT_TRUE(recorder_.AwaitSynced(2));
  ASSERT_TRUE(recorder_.AwaitIds({"c2", "c3", "pod1"}));
  EXPECT_THAT(recorder_.said(), IsEmpty()) << "a reconnection is told at once, by Synced";
  EXPECT_LE(fake.statuses_asked(), asked + 3) << "what is known is not asked about again";
  EXPECT_TRUE(AwaitHealth(source, [](const Health& h) { return h.synced; }).connected);
}

TEST_F(SourceTest, ASlowAnswerHoldsNobodyUp) {
  std::atomic<bool> hold = true;
  FakeRuntime::Behaviour behaviour;
  behaviour.before_status = [&](const std::string& id) {
    if (id == "slow") hold.wait(true);
  };
  FakeRuntime fake(socket(), behaviour);
  fake.AddPod("pod1", "uid1", "web-1");
  fake.AddContainer("slow", "pod1", "a");
  fake.AddContainer("c2", "pod1", "b");
  const Source source(Options(), recorder_);
  EXPECT_TRUE(recorder_.AwaitIds({"c2", "pod1"}));
  hold = false;
  hold.notify_all();
  EXPECT_TRUE(recorder_.AwaitIds({"c2", "pod1", "slow"}));
}

TEST_F(SourceTest, ARuntimeWithoutCriIsNotTaken) {
  FakeRuntime::Behaviour deaf;
  deaf.speaks_cri = false;
  const FakeRuntime first(directory_ / "no.sock", deaf);
  {
    const Source source(Options(), recorder_);
    const Health health =
        AwaitHealth(source, [](const Health& h) { return !h.last_error.empty(); });
    EXPECT_THAT(health.last_error, HasSubstr("does not speak runtime.v1"));
  }
  FakeRuntime second(socket());
  second.AddPod("pod1", "uid1", "web-1");
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitIds({"pod1"}));
  EXPECT_EQ(source.health().socket, socket());
}

TEST_F(SourceTest, ComesUpBeforeTheRuntime) {
  const Source source(Options(), recorder_);
  AwaitHealth(source, [](const Health& h) { return !h.last_error.empty(); });
  EXPECT_THAT(source.health().last_error, HasSubstr("no container runtime"));
  FakeRuntime fake(socket());
  fake.AddPod("pod1", "uid1", "web-1");
  EXPECT_TRUE(recorder_.AwaitIds({"pod1"}));
}

struct Spoil {
  const char* name;
  std::function<void(runtime::v1::ContainerStatusResponse&)> container;
};

TEST_F(SourceTest, WhatIsGarbledIsRefusedAndTheRestIsKnown) {
  const std::vector<Spoil> spoils = {
      {"another id", [](auto& r) { r.mutable_status()->set_id("pod1"); }},
      {"no status", [](auto& r) { r.clear_status(); }},
      {"no info", [](auto& r) { r.clear_info(); }},
      {"no JSON", [](auto& r) { (*r.mutable_info())["info"] = "{"; }},
      {"no sandbox", [](auto& r) { (*r.mutable_info())["info"] = testing::InfoText("", "/a/b"); }},
      {"no cgroup", [](auto& r) { (*r.mutable_info())["info"] = testing::InfoText("pod1", ""); }},
      {"outside",
       [](auto& r) { (*r.mutable_info())["info"] = testing::InfoText("pod1", "/../a"); }},
      {"no name", [](auto& r) { r.mutable_status()->mutable_metadata()->clear_name(); }},
      {"bad name", [](auto& r) { r.mutable_status()->mutable_metadata()->set_name("a/b c"); }},
      {"long name",
       [](auto& r) { r.mutable_status()->mutable_metadata()->set_name(std::string(4000, 'n')); }},
      {"bad image", [](auto& r) { r.mutable_status()->mutable_image()->set_image("a\nb"); }},
  };
  FakeRuntime::Behaviour behaviour;
  std::map<std::string, size_t> by_id;
  for (size_t i = 0; i < spoils.size(); ++i) by_id["bad" + std::to_string(i)] = i;
  behaviour.spoil = [&](runtime::v1::ContainerStatusResponse& response) {
    const auto found = by_id.find(response.status().id());
    if (found != by_id.end()) spoils[found->second].container(response);
  };
  behaviour.spoil_list = [](runtime::v1::ListContainersResponse& response) {
    for (const char* id : {"", "../../x", "a b"}) response.add_containers()->set_id(id);
    response.add_containers()->set_id(std::string(100'000, 'a'));
  };
  FakeRuntime fake(socket(), behaviour);
  fake.AddPod("pod1", "uid1", "web-1");
  fake.AddContainer("good", "pod1", "nginx");
  for (const auto& [id, number] : by_id) fake.AddContainer(id, "pod1", "bad");
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  EXPECT_TRUE(recorder_.AwaitIds({"good", "pod1"}));
  EXPECT_GE(source.health().refused, spoils.size() + 4);
  EXPECT_LT(source.health().last_error.size(), 1000u);

  fake.AwaitFollower();
  for (const char* id : {"", "../x", "a\nb", "no such"}) fake.Tell("/tasks/start", id);
  fake.Tell("/nothing/known", "good");
  fake.AddContainer("later", "pod1", "nginx");
  EXPECT_TRUE(recorder_.AwaitIds({"good", "later", "pod1"}));
}

TEST_F(SourceTest, ASandboxThatIsNotKnownIsAskedFor) {
  FakeRuntime fake(socket());
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.AwaitFollower();
  fake.set_quiet(true);
  fake.AddPod("pod1", "uid1", "web-1");
  fake.AddContainer("c1", "pod1", "a");
  fake.AddContainer("orphan", "pod9", "a");
  fake.Tell("/tasks/start", "orphan");
  fake.Tell("/tasks/start", "c1");
  EXPECT_TRUE(recorder_.AwaitIds({"c1", "pod1"}));
}

TEST_F(SourceTest, TheOrderOfEventsDoesNotMatter) {
  std::vector<std::pair<std::string, std::string>> events;
  FakeRuntime fake(socket());
  const Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  fake.AwaitFollower();
  fake.set_quiet(true);
  std::vector<std::string> running;
  for (int pod = 0; pod < 8; ++pod) {
    const std::string id = "pod" + std::to_string(pod);
    fake.AddPod(id, "uid" + id, id);
    events.emplace_back("/tasks/start", id);
    running.push_back(id);
    for (int n = 0; n < 3; ++n) {
      const std::string container = "c" + std::to_string(pod) + std::to_string(n);
      fake.AddContainer(container, id, "a");
      events.emplace_back("/containers/create", container);
      events.emplace_back("/tasks/start", container);
      if (n == 0) {
        running.push_back(container);
        continue;
      }
      fake.Exit(container);
      events.emplace_back("/tasks/exit", container);
      if (n == 2) fake.Remove(container);
      if (n == 2) events.emplace_back("/containers/delete", container);
    }
  }
  std::ranges::sort(running);
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::ranges::shuffle(events, std::mt19937(seed));
  for (const auto& [topic, id] : events) fake.Tell(topic, id);
  EXPECT_TRUE(recorder_.AwaitIds(running));
  // And none of the late answers changes it again.
  fake.AddPod("last", "uidlast", "last");
  fake.Tell("/tasks/start", "last");
  running.emplace_back("last");
  std::ranges::sort(running);
  EXPECT_TRUE(recorder_.AwaitIds(running));
}

TEST_F(SourceTest, AFullNodeIsKnownByCallsSideBySide) {
  constexpr int kPods = 500;
  constexpr int kContainers = 3;
  FakeRuntime::Behaviour behaviour;
  behaviour.before_status = [](const std::string&) {
    std::this_thread::sleep_for(milliseconds(1));  // as long as a runtime takes
  };
  FakeRuntime fake(socket(), behaviour);
  for (int pod = 0; pod < kPods; ++pod) {
    const std::string id = "pod" + std::to_string(pod);
    fake.AddPod(id, "uid" + id, "web-" + std::to_string(pod), {{"app", "web"}});
    for (int n = 0; n < kContainers; ++n) {
      fake.AddContainer("c" + std::to_string(pod) + "-" + std::to_string(n), id,
                        "c" + std::to_string(n));
    }
  }
  Pace pace = kPace;
  pace.patience = std::chrono::hours(1);
  const auto begin = std::chrono::steady_clock::now();
  const Source source(Options(pace), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(took.count()));
  std::printf("%d pods with %d containers each: known after %.3f s\n", kPods, kContainers,
              took.count());
  EXPECT_EQ(recorder_.known().size(), size_t{kPods} * (kContainers + 1));
  EXPECT_EQ(fake.statuses_asked(), kPods * (kContainers + 1));
  EXPECT_GT(fake.asked_at_a_time(), 4);
}

}  // namespace
}  // namespace gatehouse::cri
