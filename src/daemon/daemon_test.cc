// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "daemon/fake_kernel.h"
#include "daemon/test_directory.h"
#include "daemon/test_policies.h"

namespace gatehouse::daemon {
namespace {

using ::testing::HasSubstr;
using testing::PolicyText;
using testing::TestDirectory;

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() {
    options_.control_socket = directory_ / "run/s.sock";
    options_.policy_dir = directory_.path();
    options_.event_log = directory_ / "events.log";
    options_.node_name = "node";
    platform_ = {.load_kernel =
                     [this](const kernel::Options&, compile::StringPool&) {
                       auto kernel = std::make_unique<FakeKernel>();
                       kernel_ = kernel.get();
                       return Result<std::unique_ptr<kernel::Kernel>>(std::move(kernel));
                     },
                 .find_cgroup_root = [] { return Result<std::string>("/cg"); },
                 .cgroup_id = [](const std::string&) { return 1; }};
  }

  Result<std::unique_ptr<Daemon>> Start() { return Daemon::Start(options_, platform_, log_); }

  std::string Log() const { return log_text_.str(); }

  TestDirectory directory_;
  std::ostringstream log_text_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_text_));
  Options options_;
  Platform platform_;
  FakeKernel* kernel_ = nullptr;  // of the daemon
};

/// A policy event of the host, as the kernel writes it.
std::vector<std::byte> PolicyEvent(bind::InstanceId instance) {
  const std::string object = "/usr/bin/curl";
  gh_event_value value{};
  value.read = GH_READ_BINPRM;
  value.bytes = static_cast<uint16_t>(object.size());
  gh_event_policy event{};
  event.header = {static_cast<uint32_t>(sizeof(event) + sizeof(value) + object.size()),
                  GH_EVENT_POLICY, 1};
  event.process.pid = 1;
  event.policy = instance;
  event.hook = GH_HOOK_BPRM_CREDS_FOR_EXEC;
  event.actions = GH_ACTION_POST;
  event.n_values = 1;
  std::vector<std::byte> bytes(event.header.size);
  std::memcpy(bytes.data(), &event, sizeof(event));
  std::memcpy(bytes.data() + sizeof(event), &value, sizeof(value));
  std::memcpy(bytes.data() + sizeof(event) + sizeof(value), object.data(), object.size());
  return bytes;
}

TEST_F(DaemonTest, FromPolicyFileToEventLog) {
  directory_.Write("p.yaml",
                   PolicyText{.name = "watch", .selector = "", .action = "Post"}.ToString());
  auto daemon = Start();
  ASSERT_TRUE(daemon) << daemon.error().Message();
  EXPECT_THAT(Log(), HasSubstr("ready: 1 policies"));
  const auto group = kernel_->Group(bind::kHostWorkload);
  ASSERT_EQ(group.size(), 1u);
  kernel_->PushEvent(PolicyEvent(group[0]));
  kernel_->PushEvent(std::vector<std::byte>(3));  // what is not understood is counted, not fatal
  daemon->reset();                                // writes what there is
  std::ifstream file(directory_ / "events.log");
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  EXPECT_THAT(line, HasSubstr("\"process_kprobe\""));
  EXPECT_THAT(line, HasSubstr("\"policy_name\":\"watch\""));
  EXPECT_THAT(line, HasSubstr("/usr/bin/curl"));
  EXPECT_FALSE(std::getline(file, line));
  EXPECT_FALSE(std::filesystem::exists(options_.control_socket));
  EXPECT_THAT(Log(), HasSubstr("stopped"));
}

TEST_F(DaemonTest, RunsUntilItIsAskedToStopAndRereadsBefore) {
  auto daemon = Start();
  ASSERT_TRUE(daemon) << daemon.error().Message();
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::atomic<Request> pending = Request::kNone;
  const Requests requests{.fd = fd, .take = [&] {
                            uint64_t count = 0;
                            (void)!read(fd, &count, sizeof(count));
                            return pending.exchange(Request::kNone);
                          }};
  const auto ask = [&](Request request) {
    const uint64_t one = 1;
    pending = request;
    ASSERT_EQ(write(fd, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  };
  std::thread loop([&] { (*daemon)->Run(requests); });
  ask(Request::kReread);
  directory_.Write("p.yaml",
                   PolicyText{.name = "watch", .selector = "", .action = "Post"}.ToString());
  for (int i = 0; i < 2000 && kernel_->instance_count() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(kernel_->instance_count(), 1u);
  ask(Request::kStop);
  loop.join();
  close(fd);
}

/// $NOTIFY_SOCKET of a unit with Type=notify.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  /// The next message, or "" if there is none.
  [[nodiscard]] std::string Take() const {
    std::array<char, 256> buffer{};
    const ssize_t size = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
  }

 private:
  const int fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST_F(DaemonTest, SystemdIsToldWhenItIsReadyAndWhenItStops) {
  const NotifySocket systemd(directory_ / "notify");
  auto daemon = Start();
  ASSERT_TRUE(daemon) << daemon.error().Message();
  EXPECT_EQ(systemd.Take(), "READY=1");
  daemon->reset();
  EXPECT_EQ(systemd.Take(), "STOPPING=1");
  options_.event_log = "/there-is-no-such-directory/events.log";
  ASSERT_FALSE(Start());
  EXPECT_EQ(systemd.Take(), "");
}

TEST_F(DaemonTest, ASecondDaemonIsRefusedByName) {
  auto first = Start();
  ASSERT_TRUE(first);
  const auto second = Start();
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().Message(),
              HasSubstr("another daemon listens there (pid " + std::to_string(getpid())));
  EXPECT_TRUE(std::filesystem::exists(options_.control_socket));
}

TEST_F(DaemonTest, WhatCannotStartSaysWhyAndLeavesNothing) {
  options_.event_log = "/there-is-no-such-directory/events.log";
  const auto no_log = Start();
  ASSERT_FALSE(no_log);
  EXPECT_THAT(no_log.error().Message(), HasSubstr("/there-is-no-such-directory"));
  options_.event_log.clear();
  platform_.load_kernel = [](const kernel::Options&, compile::StringPool&) {
    return Result<std::unique_ptr<kernel::Kernel>>(
        Fail(ErrorCode::kUnsupported, "kernel", "no BTF", "use another"));
  };
  const auto no_kernel = Start();
  ASSERT_FALSE(no_kernel);
  EXPECT_EQ(no_kernel.error().Message(), "kernel: no BTF; use another");
  EXPECT_FALSE(std::filesystem::exists(options_.control_socket));
}

}  // namespace
}  // namespace gatehouse::daemon
