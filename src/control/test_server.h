// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "control/server.h"
#include "control/socket.h"
#include "daemon/fake_kernel.h"
#include "daemon/test_directory.h"

namespace gatehouse::control::testing {

/// The API over a fake kernel, on a socket in a directory of the test's own.
class TestServer {
 public:
  TestServer()
      : agent_(strings_, kernel_, {.cgroup_root = "/cg", .cgroup_id = CgroupId}),
        containers_(agent_, [](const Error&) {}) {
    const auto claimed = ClaimSocket(socket());
    EXPECT_TRUE(claimed) << claimed.error().Message();
    auto server = Server::Listen(
        socket(),
        {.agent = agent_,
         .dispatcher = dispatcher_,
         .containers = containers_,
         .event_counts = [] { return daemon::EventCounts{}; },
         .sources = [] { return Sources(); },
         .hook_failures = [] { return daemon::HookFailureCounts{.allowed = 2, .denied = 1}; },
         .log = [](bool, const std::string&) {},
         .info = {.node_name = "node", .started = {}}});
    EXPECT_TRUE(server) << server.error().Message();
    server_ = std::move(*server);
  }

  [[nodiscard]] std::string socket() const { return directory_ / "run/gatehouse.sock"; }
  [[nodiscard]] daemon::Agent& agent() { return agent_; }
  [[nodiscard]] daemon::FakeKernel& kernel() { return kernel_; }
  [[nodiscard]] exporting::Dispatcher& dispatcher() { return dispatcher_; }
  [[nodiscard]] const daemon::testing::TestDirectory& directory() const { return directory_; }
  void Stop() { server_->Stop(); }

 private:
  static std::vector<daemon::SourceHealth> Sources() {
    return {{.kind = "cri",
             .name = "containerd 1.6",
             .endpoint = "/run/c.sock",
             .state = "connected",
             .since = {},
             .objects = 3,
             .refused = 1,
             .last_error = "it was away",
             .last_error_at = {}}};
  }
  static std::optional<uint64_t> CgroupId(const std::string&) { return 1; }

  daemon::testing::TestDirectory directory_;
  compile::StringPool strings_;
  daemon::FakeKernel kernel_;
  daemon::Agent agent_;
  daemon::Containers containers_;
  exporting::Dispatcher dispatcher_;
  std::unique_ptr<Server> server_;
};

}  // namespace gatehouse::control::testing
