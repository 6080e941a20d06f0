// SPDX-License-Identifier: Apache-2.0
// The cluster against a server over HTTPS: what needs sockets, TLS or threads. What a reflector
// makes of answers is in reflector_test.cc.
#include "kube/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "kube/convert.h"
#include "kube/status.h"
#include "kube/test_server.h"

namespace gatehouse::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::MakeAuthority;
using testing::MakeCertificate;
using testing::TestCall;
using testing::TestCertificate;
using testing::TestServer;
using workload::PodFacts;

constexpr seconds kPatience{10};

std::string Pod(const std::string& name, int version, const std::string& app = "web") {
  return R"({"metadata":{"namespace":"shop","name":")" + name + R"(","uid":"u-)" + name +
         R"(","resourceVersion":")" + std::to_string(version) + R"(","labels":{"app":")" + app +
         R"("}},"spec":{},"status":{}})";
}

std::string Event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

std::string List(const std::string& items, const std::string& version,
                 const std::string& next = "") {
  return R"({"metadata":{"resourceVersion":")" + version + R"(","continue":")" + next +
         R"("},"items":[)" + items + "]}";
}

/// Pods as a consumer keeps them.
class Pods {
 public:
  void Take(Changes<PodFacts> changes) {
    const std::lock_guard lock(mutex_);
    for (const std::string& key : changes.removed) apps_.erase(key);
    for (const PodFacts& pod : changes.put) apps_[pod.ns + "/" + pod.name] = pod.labels.at("app");
    synced_ = synced_ || changes.synced;
    changed_.notify_all();
  }
  using Apps = std::map<std::string, std::string>;
  /// Whether they become what `condition` wants.
  template <typename Condition>
  [[nodiscard]] bool Become(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return synced_ && condition(apps_); });
  }
  [[nodiscard]] bool Become(const Apps& apps) {
    return Become([&](const Apps& now) { return now == apps; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Apps apps_;
  bool synced_ = false;
};

Timing Fast() {
  return {.backoff_first = milliseconds(1),
          .backoff_max = milliseconds(5),
          .absent = milliseconds(1),
          .idle_max = kPatience,
          .total_max = kPatience};
}

const TestCertificate& Authority() {
  static const TestCertificate kAuthority = MakeAuthority("authority");
  return kAuthority;
}

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() : server_(MakeCertificate(Authority(), "127.0.0.1")) {
    config_.server = server_.url();
    config_.authority.text = Authority().certificate;
  }

  void Start(Timing timing = Fast()) {
    cluster_ = std::make_unique<Cluster>(config_, timing);
    cluster_->Watch<PodFacts>(PodsOf("node-1"), &ConvertPod, [this](Changes<PodFacts> changes) {
      pods_.Take(std::move(changes));
    });
    cluster_->Start();
  }
  /// The list that comes first is answered; what follows is the watch, which has begun.
  std::shared_ptr<TestCall> Sync(const std::string& items, const std::string& version) {
    server_.Next()->Answer(200, List(items, version));
    std::shared_ptr<TestCall> watch = server_.Next();
    EXPECT_THAT(watch->target, HasSubstr("watch=true"));
    watch->Stream();
    return watch;
  }
  Health WaitFor(const std::function<bool(const Health&)>& condition) {
    const Clock::time_point until = Clock::now() + kPatience;
    for (;;) {
      Health health = cluster_->health().front();
      if (condition(health) || Clock::now() > until) return health;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  Health WaitFor(ReflectorState state) {
    return WaitFor([&](const Health& health) { return health.state == state; });
  }

  TestServer server_;
  Config config_;
  Pods pods_;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ClusterTest, ListsAndWatches) {
  config_.token.text = " secret\n";
  config_.server += "/base";
  Start();
  const auto list = server_.Next();
  ASSERT_TRUE(list);
  EXPECT_EQ(list->method, "GET");
  EXPECT_EQ(list->target,
            "/base/api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName%3Dnode-1");
  EXPECT_EQ(list->Header("Authorization"), "Bearer secret");
  EXPECT_THAT(list->Header("User-Agent"), HasSubstr("gatehouse/"));
  list->Answer(200, List(Pod("a", 1) + "," + Pod("b", 2), "10"));
  const auto watch = server_.Next();
  ASSERT_TRUE(watch);
  watch->Stream();
  EXPECT_EQ(WaitFor(ReflectorState::kWatching).state, ReflectorState::kWatching);
  EXPECT_TRUE(pods_.Become({{"shop/a", "web"}, {"shop/b", "web"}}));
  watch->Send(Event("MODIFIED", Pod("a", 11, "db")) + Event("DELETED", Pod("b", 12)));
  EXPECT_TRUE(pods_.Become(Pods::Apps{{"shop/a", "db"}}));
}

TEST_F(ClusterTest, ABrokenStreamGoesOnWhereItEnded) {
  Start();
  const auto watch = Sync("", "10");
  const std::string event = Event("ADDED", Pod("a", 11));
  watch->Send(event + event.substr(0, event.size() / 2));
  EXPECT_TRUE(pods_.Become(Pods::Apps{{"shop/a", "web"}}));
  watch->Break();
  const auto next = server_.Next();
  ASSERT_TRUE(next);
  EXPECT_THAT(next->target, HasSubstr("watch=true&allowWatchBookmarks=true&resourceVersion=11&"));
  EXPECT_THAT(cluster_->health().front().last_error, HasSubstr("HTTP status 200: "));
  next->Stream();
  next->Send(Event("ADDED", Pod("b", 12)));
  EXPECT_TRUE(pods_.Become({{"shop/a", "web"}, {"shop/b", "web"}}));
}

TEST_F(ClusterTest, BytesMayComeOneByOne) {
  Start();
  const auto watch = Sync("", "10");
  for (const char c : Event("ADDED", Pod("a", 11))) watch->Send(std::string(1, c));
  EXPECT_TRUE(pods_.Become(Pods::Apps{{"shop/a", "web"}}));
}

TEST_F(ClusterTest, ASilentConnectionIsGivenUp) {
  Timing timing = Fast();
  timing.idle_max = milliseconds(50);
  Start(timing);
  // Neither a list that is not answered nor a watch that says nothing is waited for.
  const auto silent = server_.Next("resourceVersion=0");
  ASSERT_TRUE(silent);
  for (int watches = 0; watches < 2;) {
    const auto call = server_.Next();
    ASSERT_TRUE(call);
    if (call->target.find("watch=true") == std::string::npos) {
      call->Answer(200, List(Pod("a", 1), "10"));
    } else {
      call->Stream();
      ++watches;
    }
  }
  EXPECT_THAT(cluster_->health().front().last_error, HasSubstr("no byte for 50 ms"));
  EXPECT_TRUE(pods_.Become(Pods::Apps{{"shop/a", "web"}}));
}

TEST_F(ClusterTest, ARotatedTokenIsUsed) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("gatehouse-token." + std::to_string(getpid())))
          .string();
  std::ofstream(path) << "first";
  config_.token.file = path;
  Start();
  const auto refused = server_.Next();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->Header("Authorization"), "Bearer first");
  std::ofstream(path, std::ios::trunc) << "second\n";
  refused->Answer(401, R"({"kind":"Status","message":"Unauthorized"})");
  const auto list = server_.Next();
  ASSERT_TRUE(list);
  EXPECT_EQ(list->Header("Authorization"), "Bearer second");
  EXPECT_EQ(cluster_->health().front().state, ReflectorState::kForbidden);
  EXPECT_EQ(cluster_->health().front().last_error, "HTTP status 401: Unauthorized");
  list->Answer(200, List("", "10"));
  server_.Next()->Stream();
  EXPECT_EQ(WaitFor(ReflectorState::kWatching).state, ReflectorState::kWatching);
  std::filesystem::remove(path);
  // Without the file it is a failure like others.
  cluster_.reset();
  Start();
  EXPECT_THAT(WaitFor(ReflectorState::kAway).last_error, HasSubstr(path + ": cannot be opened"));
}

TEST_F(ClusterTest, ForbiddenOrAbsentAndThenThere) {
  Start();
  server_.Next()->Answer(403, R"({"message":"pods is forbidden"})");
  EXPECT_EQ(WaitFor(ReflectorState::kForbidden).last_error, "HTTP status 403: pods is forbidden");
  server_.Next()->Answer(404, "404 page not found\n");
  EXPECT_EQ(WaitFor(ReflectorState::kAbsent).last_error, "HTTP status 404");
  const auto watch = Sync(Pod("a", 1), "10");
  EXPECT_TRUE(pods_.Become(Pods::Apps{{"shop/a", "web"}}));
}

TEST_F(ClusterTest, TenThousandObjects) {
  cluster_ = std::make_unique<Cluster>(config_, Fast());
  Resource resource = PodsOf("node-1");
  resource.from_cache = false;
  cluster_->Watch<PodFacts>(resource, &ConvertPod,
                            [this](Changes<PodFacts> changes) { pods_.Take(std::move(changes)); });
  cluster_->Start();
  constexpr int kObjects = 10'000;
  constexpr int kPage = 500;
  for (int first = 0; first < kObjects; first += kPage) {
    std::string items;
    for (int i = first; i < first + kPage; ++i) {
      items += (i == first ? "" : ",") + Pod("p" + std::to_string(i), 1);
    }
    const bool last = first + kPage == kObjects;
    server_.Next()->Answer(200, List(items, "10", last ? "" : "page"));
  }
  EXPECT_TRUE(pods_.Become([](const Pods::Apps& apps) { return apps.size() == kObjects; }));
  EXPECT_EQ(WaitFor(ReflectorState::kWatching).objects, static_cast<size_t>(kObjects));
}

TEST_F(ClusterTest, ARedirectionIsNotFollowed) {
  TestServer other(MakeCertificate(Authority(), "127.0.0.1"));
  Start();
  server_.Next()->Answer(302, "", "Location: " + other.url() + "/api/v1/pods\r\n");
  EXPECT_EQ(WaitFor(ReflectorState::kAway).last_error, "HTTP status 302");
  EXPECT_TRUE(server_.Next());
}

TEST_F(ClusterTest, StatusIsWrittenUntilItIsTaken) {
  Start();
  server_.Next()->Answer(200, List("", "10"));
  const Patch patch = ReportOnPolicy("node-1", PolicyKind::kTemplate, {"exec", ""},
                                     {PolicyState::kRefused, "line 3: no", 2});
  cluster_->Write(patch);
  for (const int status : {500, 200}) {
    const auto call = server_.Next("/status");
    ASSERT_TRUE(call);
    EXPECT_EQ(call->method, "PATCH");
    EXPECT_EQ(call->target, patch.target);
    EXPECT_EQ(call->Header("Content-Type"), "application/apply-patch+yaml");
    EXPECT_EQ(call->body, patch.body);
    call->Answer(status, "{}");
  }
  const Clock::time_point until = Clock::now() + kPatience;
  while (cluster_->status_health().written == 0 && Clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(cluster_->status_health().written, 1u);
  EXPECT_EQ(cluster_->status_health().waiting, 0u);
}

/// Whose certificate is not good enough gets no request and no token.
TEST_F(ClusterTest, WrongCertificates) {
  const TestCertificate others[] = {
      MakeCertificate(MakeAuthority("authority"), "127.0.0.1"),  // of another of that name
      MakeCertificate(Authority(), "127.0.0.2"),                 // for another server
      MakeCertificate(Authority(), "127.0.0.1", 3, 1),           // expired
      MakeAuthority("127.0.0.1"),                                // signed by itself
  };
  for (const TestCertificate& certificate : others) {
    TestServer server(certificate);
    config_.server = server.url();
    Start();
    EXPECT_THAT(WaitFor(ReflectorState::kAway).last_error,
                ::testing::AnyOf(HasSubstr("certificate"), HasSubstr("SSL")));
    cluster_.reset();
    EXPECT_EQ(server.size(), 0u);
  }
}

TEST_F(ClusterTest, ClientCertificate) {
  TestServer server(MakeCertificate(Authority(), "127.0.0.1"), Authority().certificate);
  config_.server = server.url();
  Start();
  EXPECT_EQ(WaitFor(ReflectorState::kAway).state, ReflectorState::kAway);
  cluster_.reset();
  EXPECT_EQ(server.size(), 0u);
  const TestCertificate own = MakeCertificate(Authority(), "10.0.0.1");
  config_.certificate.text = own.certificate;
  config_.key.text = own.key;
  Start();
  EXPECT_TRUE(server.Next());
}

/// Makes one request and keeps what became of it.
class OneExchange : public Exchange {
 public:
  [[nodiscard]] std::optional<Clock::time_point> due() const override {
    return begun_ ? std::nullopt : std::optional(Clock::time_point{});
  }
  [[nodiscard]] Request Begin(Clock::time_point /*now*/) override {
    begun_ = true;
    return {.target = "/x", .idle_max = kPatience, .total_max = kPatience};
  }
  void Answered(int /*status*/, Clock::time_point /*now*/) override {}
  [[nodiscard]] bool Receive(std::string_view /*bytes*/, Clock::time_point /*now*/) override {
    return true;
  }
  void End(const Outcome& outcome, Clock::time_point /*now*/) override {
    outcome_ = outcome;
    loop_->Stop();
  }

  Loop* loop_ = nullptr;
  Outcome outcome_;

 private:
  bool begun_ = false;
};

TEST_F(ClusterTest, RetryAfterIsRead) {
  OneExchange exchange;
  Loop loop(config_, {&exchange});
  exchange.loop_ = &loop;
  std::thread thread([&] { loop.Run(); });
  server_.Next()->Answer(429, "{}", "retry-AFTER:  17\r\n");
  thread.join();
  EXPECT_EQ(exchange.outcome_.status, 429);
  EXPECT_EQ(exchange.outcome_.retry_after, seconds(17));
}

}  // namespace
}  // namespace gatehouse::kube
