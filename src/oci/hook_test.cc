// SPDX-License-Identifier: Apache-2.0
#include "oci/hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/fd.h"
#include "control/test_server.h"
#include "oci/failure_record.h"
#include "oci/unary_call.h"

namespace gatehouse::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The hook against the API itself, which stands on a fake kernel.
class OciHookTest : public ::testing::Test {
 protected:
  OciHookTest() {
    options_.control_socket = server_.socket();
    options_.log = directory_ / "log";
    options_.timeout = std::chrono::seconds(60);
    Bundle("/pods/a");
  }

  void Bundle(const std::string& cgroup) const {
    const nlohmann::json spec{{"linux", {{"cgroupsPath", cgroup}}},
                              {"annotations",
                               {{"io.kubernetes.cri.container-type", "container"},
                                {"io.kubernetes.cri.container-name", "app"},
                                {"io.kubernetes.cri.sandbox-name", "web-1"},
                                {"io.kubernetes.cri.sandbox-namespace", "shop"}}}};
    directory_.Write("config.json", spec.dump());
  }
  [[nodiscard]] std::string State() const {
    // No process has this pid, so that the spec alone says the cgroup.
    return nlohmann::json{{"id", "abc"}, {"pid", 2'000'000'000}, {"bundle", directory_.path()}}
        .dump();
  }
  [[nodiscard]] int Run(const std::string& state) const {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    const Fd input(ends[0]);
    std::thread writer([&state, fd = Fd(ends[1])]() mutable {
      for (size_t sent = 0; sent < state.size();) {
        const ssize_t bytes = write(fd.get(), state.data() + sent, state.size() - sent);
        if (bytes <= 0) break;
        sent += static_cast<size_t>(bytes);
      }
      fd = Fd();
    });
    const int status = RunHook(options_, input.get());
    // What the hook did not read, nobody will.
    std::array<char, 4096> rest{};
    while (read(input.get(), rest.data(), rest.size()) > 0) {
    }
    writer.join();
    return status;
  }
  [[nodiscard]] std::vector<Failure> Failures() const {
    auto taken = TakeFailures(FailureDirectory(options_.control_socket));
    EXPECT_TRUE(taken) << taken.error().Message();
    return taken ? taken->read : std::vector<Failure>();
  }
  [[nodiscard]] std::string LogText() const {
    std::ostringstream text;
    text << std::ifstream(options_.log).rdbuf();
    return text.str();
  }

  control::testing::TestServer server_;
  daemon::testing::TestDirectory directory_;
  Options options_;
};

TEST_F(OciHookTest, TheDaemonTakesTheContainer) {
  ASSERT_EQ(Run(State()), 0) << LogText();
  const auto workloads = server_.agent().ListWorkloads();
  ASSERT_EQ(workloads.size(), 1u);
  EXPECT_EQ(workloads[0].workload->Name(), "shop/web-1/app");
  EXPECT_EQ(workloads[0].workload->cgroup, "/cg/pods/a");
  EXPECT_EQ(workloads[0].workload->container_id, "abc");
  EXPECT_TRUE(Failures().empty());
}

TEST_F(OciHookTest, WhatTheDaemonRefusesIsAFailure) {
  Bundle("/pods/../../etc");
  EXPECT_EQ(Run(State()), 1);
  const auto failures = Failures();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_FALSE(failures[0].allowed);
  EXPECT_EQ(failures[0].container, "abc");
  EXPECT_EQ(failures[0].ns, "shop");
  EXPECT_EQ(failures[0].pod, "web-1");
  EXPECT_THAT(failures[0].reason, HasSubstr(".."));
  EXPECT_THAT(LogText(), HasSubstr("must not start"));
}

TEST_F(OciHookTest, NobodyAnswers) {
  server_.Stop();
  EXPECT_EQ(Run(State()), 1);
  options_.allow_on_failure = true;
  EXPECT_EQ(Run(State()), 0);
  options_.allow_by_namespace = {{"shop", false}};
  EXPECT_EQ(Run(State()), 1);
  options_.allow_on_failure = false;
  options_.allow_by_namespace = {{"shop", true}, {"other", false}};
  EXPECT_EQ(Run(State()), 0);
  std::vector<bool> allowed;
  for (const Failure& failure : Failures()) allowed.push_back(failure.allowed);
  EXPECT_THAT(allowed, ElementsAre(false, true, false, true));
}

TEST_F(OciHookTest, BadStatesStopTheContainer) {
  for (const std::string& state : {std::string(), std::string("{}"), std::string(2u << 20, 'x')}) {
    EXPECT_EQ(Run(state), 1);
  }
  EXPECT_EQ(Failures().size(), 3u);
  EXPECT_TRUE(server_.agent().ListWorkloads().empty());
}

TEST_F(OciHookTest, AStateThatDoesNotEndIsNotWaitedFor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const Fd input(ends[0]), open_end(ends[1]);
  options_.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(RunHook(options_, input.get()), 1);
}

TEST_F(OciHookTest, TheLogIsBounded) {
  directory_.Write("log", std::string(1 << 20, 'x'));
  ASSERT_EQ(Run(State()), 0);
  EXPECT_LT(std::filesystem::file_size(options_.log), 1000u);
  EXPECT_EQ(std::filesystem::file_size(options_.log + ".1"), 1u << 20);
}

/// Servers that are none: each answers `answer` to whoever connects, then closes, or stays.
class OddServer {
 public:
  OddServer(const std::string& path, std::string answer, bool closes)
      : listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listening_.get(), 4), 0);
    thread_ = std::thread([this, answer = std::move(answer), closes] {
      const Fd peer(accept(listening_.get(), nullptr, nullptr));
      EXPECT_EQ(send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
      std::array<char, 4096> buffer{};
      while (!closes && read(peer.get(), buffer.data(), buffer.size()) > 0) {
      }
    });
  }
  ~OddServer() { thread_.join(); }
  OddServer(const OddServer&) = delete;
  OddServer& operator=(const OddServer&) = delete;

 private:
  Fd listening_;
  std::thread thread_;
};

Error CallOddServer(const std::string& answer, bool closes, std::chrono::milliseconds timeout) {
  const daemon::testing::TestDirectory directory;
  const std::string path = directory / "socket";
  const OddServer server(path, answer, closes);
  const auto called = CallUnary(path, "/a.B/C", "message", Deadline(timeout));
  EXPECT_FALSE(called);
  return called ? Error() : called.error();
}

TEST(UnaryCall, ServersThatAreNone) {
  constexpr auto kLong = std::chrono::seconds(60);
  EXPECT_THAT(CallOddServer("", false, std::chrono::milliseconds(100)).Message(),
              HasSubstr("in time"));
  EXPECT_THAT(CallOddServer("", true, kLong).Message(), HasSubstr("connection ended"));
  EXPECT_THAT(CallOddServer("HTTP/1.1 400 Bad Request\r\n\r\n", false, kLong).Message(),
              HasSubstr("HTTP/2"));
  const std::string settings(std::string("\0\0\0\4\0\0\0\0\0", 9));
  EXPECT_THAT(
      CallOddServer(settings + std::string("\0\0\0\7\7\7\7\7\7", 9), false, kLong).Message(),
      ::testing::Not(HasSubstr("in time")));
  // HEADERS of stream 1 that end it: `:status 404`, which is 13 in HPACK's static table.
  EXPECT_THAT(
      CallOddServer(settings + std::string("\0\0\1\1\5\0\0\0\1\x8d", 10), false, kLong).Message(),
      HasSubstr("HTTP status \"404\""));
}

TEST(UnaryCall, NoSocket) {
  const auto called =
      CallUnary("/nonexistent/socket", "/a.B/C", "", Deadline(std::chrono::seconds(60)));
  ASSERT_FALSE(called);
  EXPECT_THAT(called.error().Message(), HasSubstr("see whether gatehoused runs"));
  EXPECT_FALSE(
      CallUnary("/" + std::string(200, 'x'), "/a.B/C", "", Deadline(std::chrono::seconds(60))));
}

}  // namespace
}  // namespace gatehouse::oci
