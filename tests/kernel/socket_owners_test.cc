// SPDX-License-Identifier: Apache-2.0
// Whose a socket is: TrackSock, UntrackSock, and what events about the socket tell then.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;

class SocketOwners : public DenyingTest {
 protected:
  void SetUp() override {
    DenyingTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  static std::string Policy(const std::string& name, const std::string& hook) {
    return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
           "}\nspec:\n  podSelector: {}\n  kprobes:\n  - syscall: false\n" + hook;
  }
  /// Every socket of IPv4 that a process of the workload makes is its own.
  static std::string Tracking() {
    return Policy(
        "track",
        "    call: sk_alloc\n    return: true\n    args: [{index: 1, type: int}]\n"
        "    returnArg: {index: 0, type: sock}\n    returnArgAction: TrackSock\n"
        "    selectors:\n    - matchArgs: [{index: 1, operator: Equal, values: ['2']}]\n");
  }
  static std::string Untracking() {
    return Policy("untrack",
                  "    call: tcp_shutdown\n    args: [{index: 0, type: sock}]\n"
                  "    selectors:\n    - matchActions: [{action: UntrackSock, argSock: 0}]\n");
  }
  static std::string Telling() {
    return Policy("tell", "    call: tcp_connect\n    args: [{index: 0, type: sock}]\n");
  }

  static void Connect(int socket) {
    sockaddr_in nowhere{};
    nowhere.sin_family = AF_INET;
    nowhere.sin_port = htons(1);
    nowhere.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)connect(socket, reinterpret_cast<const sockaddr*>(&nowhere), sizeof(nowhere));
  }
  /// A process makes a socket, and its child does something with it.
  [[nodiscard]] Attempt MakeAndHandOn(const std::function<void(int)>& use) const {
    return cgroup_.Try([&]() -> int {
      const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (made < 0) _exit(1);
      const pid_t child = fork();
      if (child == 0) {
        use(made);
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      _exit(status);
    });
  }
  /// Of the events of `policy`: whether they name the process.
  static std::vector<bool> Name(const std::vector<Event>& events, const std::string& policy,
                                pid_t pid) {
    std::vector<bool> name;
    for (const Event& event : events) {
      if (event.AsPolicy() == nullptr || event.policy != policy) continue;
      name.push_back(event.enriched->process_kprobe().process().pid().value() ==
                     static_cast<uint32_t>(pid));
    }
    return name;
  }

  const Cgroup cgroup_{"app"};
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SocketOwners);
INSTANTIATE_TEST_SUITE_P(With, SocketOwners, ::testing::ValuesIn(DenyingBackends()), BackendOf);

TEST_P(SocketOwners, AnEventNamesWhoActsUnlessTheSocketIsSomebodys) {
  Must(gatehouse().Apply(Telling()));
  Attempt attempt = MakeAndHandOn(Connect);
  EXPECT_EQ(attempt.outcome, Allowed());
  EXPECT_THAT(Name(gatehouse().TakeEvents(), "tell", attempt.pid), ElementsAre(false));

  Must(gatehouse().Apply(Tracking()));
  attempt = MakeAndHandOn(Connect);
  EXPECT_EQ(attempt.outcome, Allowed());
  const std::vector<Event> events = gatehouse().TakeEvents();
  EXPECT_THAT(Name(events, "tell", attempt.pid), ElementsAre(true));
  EXPECT_THAT(Name(events, "track", attempt.pid), ElementsAre(true));
  for (const Event& event : events) {
    if (event.policy != "track" || event.AsPolicy() == nullptr) continue;
    const auto& told = event.enriched->process_kprobe();
    EXPECT_EQ(told.action(), tetragon::KPROBE_ACTION_TRACKSOCK);
    EXPECT_TRUE(told.return_().has_sock_arg());
  }
}

TEST_P(SocketOwners, WhatIsUntrackedIsNobodys) {
  Must(gatehouse().Apply(Tracking() + Untracking() + Telling()));
  const Attempt attempt = MakeAndHandOn([](int made) {
    Connect(made);
    (void)shutdown(made, SHUT_RDWR);
    Connect(made);
  });
  EXPECT_EQ(attempt.outcome, Allowed());
  EXPECT_THAT(Name(gatehouse().TakeEvents(), "tell", attempt.pid), ElementsAre(true, false));
}

TEST_P(SocketOwners, WithThePolicyGoesWhatItNoted) {
  Must(gatehouse().Apply(Tracking() + Telling()));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  pid_t maker = 0;
  const auto hand_on = [&] {  // to a process that outlives the one that makes the socket
    maker = kernel::testing::ForkInto(cgroup_.path());
    if (maker != 0) return;
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fork() != 0) _exit(made < 0 ? 1 : 0);
    char byte = 0;
    for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) {  // or it would hold hooks attached
      if (fd != made && fd != ends[0]) close(fd);
    }
    while (read(ends[0], &byte, 1) == 1) Connect(made);
    _exit(0);
  };
  hand_on();
  int status = -1;
  ASSERT_EQ(waitpid(maker, &status, 0), maker);
  ASSERT_EQ(status, 0);
  const auto told = [&] {
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    std::vector<bool> name;
    for (int i = 0; i < 100 && name.empty(); ++i) {
      name = Name(gatehouse().TakeEvents(), "tell", maker);
      usleep(10'000);
    }
    return name;
  };
  EXPECT_THAT(told(), ElementsAre(true));
  Must(gatehouse().Remove("track"));
  EXPECT_THAT(told(), ElementsAre(false));
  Must(gatehouse().Apply(Tracking()));
  EXPECT_THAT(told(), ElementsAre(false)) << "a policy that comes anew begins with nothing";
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace gatehouse::test
