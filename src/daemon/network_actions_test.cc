// SPDX-License-Identifier: Apache-2.0
#include "daemon/network_actions.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>

#include "daemon/event_pipeline.h"
#include "daemon/fake_kernel.h"
#include "event/fakes.h"

namespace gatehouse::daemon {
namespace {

using policy::ActionKind;

/// Waits for one connection, says that there is nothing, and keeps what was asked.
class Server {
 public:
  Server() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, generic, size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() { close(listener_); }

  [[nodiscard]] std::string Url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  /// What the next one who connects asks.
  [[nodiscard]] std::string Answer() const {
    const int connection = accept(listener_, nullptr, nullptr);
    std::array<char, 4096> buffer{};
    const ssize_t bytes = read(connection, buffer.data(), buffer.size());
    constexpr std::string_view kAnswer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(write(connection, kAnswer.data(), kAnswer.size()), ssize_t{kAnswer.size()});
    close(connection);
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(bytes, 0))};
  }

 private:
  int listener_;
  int port_ = 0;
};

NetworkActionCounts Wait(const NetworkActions& actions, uint64_t ended) {
  for (;;) {
    const NetworkActionCounts counts = actions.counts();
    if (counts.done + counts.failed >= ended) return counts;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(NetworkActions, GetsWhateverTheAnswerSays) {
  const Server server;
  NetworkActions actions;
  actions.Ask({0, ActionKind::kGetUrl, server.Url("/canary?1")});
  const std::string asked = server.Answer();
  EXPECT_TRUE(asked.starts_with("GET /canary?1 HTTP/1.1\r\n")) << asked;
  EXPECT_NE(asked.find("User-Agent: gatehouse/"), std::string::npos) << asked;
  EXPECT_EQ(Wait(actions, 1).done, 1u);
}

TEST(NetworkActions, CountsWhatNobodyAnswers) {
  std::string url;
  {
    const Server gone;
    url = gone.Url("/");
  }
  NetworkActions actions;
  actions.Ask({0, ActionKind::kGetUrl, url});
  actions.Ask({0, ActionKind::kGetUrl, "file:///etc/passwd"});
  EXPECT_EQ(Wait(actions, 2).failed, 2u);
}

TEST(NetworkActions, LooksUpNames) {
  NetworkActions actions;
  actions.Ask({0, ActionKind::kDnsLookup, "localhost"});
  EXPECT_EQ(Wait(actions, 1).done, 1u);
}

TEST(NetworkActions, LosesWhatIsTooMuchAndSaysSo) {
  const Server server;  // the first one waits for its answer
  NetworkActions actions;
  for (int i = 0; i < 300; ++i) actions.Ask({0, ActionKind::kGetUrl, server.Url("/")});
  EXPECT_GE(actions.counts().lost, 300u - 256 - 1);
}

TEST(NetworkActions, AreAskedForByTheSelectorsThatHaveThemAndNotInMonitorMode) {
  const Server server;
  FakeKernel kernel;
  const workload::Registry workloads("/sys/fs/cgroup");
  bind::InstanceDirectory instances;
  auto info = std::make_shared<bind::InstanceInfo>();
  info->id = 7;
  policy::HookInfo hook;
  for (uint16_t selector = 0; selector < 3; ++selector) {
    const std::string path = "/" + std::to_string(selector);
    hook.network_actions.push_back({selector, ActionKind::kGetUrl, server.Url(path)});
  }
  info->hooks =
      std::make_shared<const std::vector<policy::HookInfo>>(std::vector{policy::HookInfo(), hook});
  instances.Add(info);
  const auto pipeline = EventPipeline::Start(kernel, workloads, instances,
                                             {.node_name = {},
                                              .cluster_name = {},
                                              .node_labels = {},
                                              .file = {},
                                              .network_actions = true})
                            .value();

  gh_event_policy record{};
  record.policy = 7;
  const auto push = [&](uint16_t hook_index, uint16_t selector, uint8_t flags) {
    record.rule = static_cast<gh_u16>(GH_RULE_NUMBER(hook_index, selector));
    record.flags = flags;
    kernel.PushEvent(event::testing::Bytes(record, GH_EVENT_POLICY));
  };
  push(0, 0, 0);                  // the hook has none
  push(1, 1, GH_POLICY_MONITOR);  // reported, not done
  push(1, 2, 0);
  EXPECT_TRUE(server.Answer().starts_with("GET /2 "));
  pipeline->Stop();
  EXPECT_EQ(pipeline->counts().undecodable, 0u);
  EXPECT_EQ(pipeline->counts().network_actions.lost, 0u);
}

}  // namespace
}  // namespace gatehouse::daemon
