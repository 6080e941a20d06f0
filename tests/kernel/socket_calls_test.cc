// SPDX-License-Identifier: Apache-2.0
// Addresses as arguments of system calls.
#include <gmock/gmock.h>

#include <csignal>

#include "network.h"

namespace gatehouse::test {
namespace {

using namespace network;
using ::testing::ElementsAre;

std::string OnCall(const std::string& name, const std::string& filters, const std::string& action) {
  return Policy(name, "call: sys_connect",
                "{index: 0, type: int}, {index: 1, type: sockaddr, label: peer}", filters, action);
}

class SocketCalls : public WithNetworks<KernelTest> {
 protected:
  struct Target {
    std::string name;
    Address address;
    int error = 0;  ///< of connect(2)
  };
  const std::vector<Target> targets_ = {
      {"v4", Inet("127.0.0.1", 80)},
      {"far", Inet("127.128.0.1", 8080)},
      {"v6", Inet("::1", 443)},
      {"doc", Inet("2001:db8::1", 1024), ENETUNREACH},
      {"low", Inet("2001:db8::8000:0:0:1", 1023), ENETUNREACH},
      {"map", Inet("::ffff:127.0.0.1", 8081)},
      {"unix", Abstract()},
      {"none", ToAddress(sockaddr{.sa_family = AF_UNSPEC, .sa_data = {}})},
      {"bad", ToAddress(sockaddr_in{}), EFAULT},
  };
  static constexpr int kFirst = 200;

  /// One process connects to all targets, with descriptors that tell which it is.
  [[nodiscard]] Attempt ConnectToAll() const {
    return Try([&] {
      if (Bound(Abstract(), SOCK_DGRAM) < 0) return errno;
      int descriptor = kFirst;
      for (const auto& [name, address, error] : targets_) {
        const int family = address.family() == AF_UNSPEC ? AF_INET : address.family();
        if (dup2(socket(family, SOCK_DGRAM, 0), descriptor) < 0) return errno;
        errno = 0;
        (void)!connect(descriptor++, error == EFAULT ? Unreadable() : address.get(),
                       address.length);
        if (errno != error) return errno == 0 ? EPROTO : errno;
      }
      return Errno(0);
    });
  }
  [[nodiscard]] std::string NameOf(const Told& told) const {
    return targets_.at(static_cast<size_t>(told.args(0).int_arg() - kFirst)).name;
  }
};

TEST_F(SocketCalls, EveryOperatorOnAddresses) {
  const Case cases[] = {{"SAddr 127.0.0.1", "v4 map"},
                        {"SAddr 127.0.0.0/9", "v4 map"},
                        {"SAddr 127.0.0.0/8", "v4 far map"},
                        {"SAddr 0.0.0.0/0", "v4 far map"},
                        {"SAddr ::ffff:127.128.0.1", "far"},
                        {"SAddr ::/0", "v6 doc low"},
                        {"SAddr ::1 127.128.0.0/16", "far v6"},
                        {"SAddr 2001:db8::/64", "doc low"},
                        {"SAddr 2001:db8::/65", "doc"},
                        {"SAddr 2001:db8::8000:0:0:1", "low"},
                        {"SAddr 10.0.0.0/8 fd00::/8", ""},
                        {"NotSAddr 127.0.0.0/8", "v6 doc low bad"},
                        {"NotSAddr ::/0", "v4 far map bad"},
                        {"NotSAddr 0.0.0.0/0 ::/0", "bad"},
                        {"SPort 80", "v4"},
                        {"SPort 443:8080", "far v6 doc low"},
                        {"SPort 8081 80", "v4 map"},
                        {"NotSPort 443:8080", "v4 map bad"},
                        {"SPortPriv", "v4 v6 low"},
                        {"NotSPortPriv", "far doc map bad"},
                        {"Family AF_INET", "v4 far"},
                        {"Family 10", "v6 doc low map"},
                        {"Family AF_UNIX AF_UNSPEC", "unix none"},
                        {"Family AF_NETLINK", ""}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.filter);
    Apply(OnCall("p", Filter(1, c.filter), kPost));
    EXPECT_EQ(ConnectToAll().outcome, Allowed());
    EXPECT_EQ(Names([&](const Told& told) { return NameOf(told); }), c.told);
  }
  ExpectCounter("socket_fault");
}

TEST_F(SocketCalls, EveryFieldOfAnAddressesEvent) {
  Apply(OnCall("p", Filter(0, "InRange 200:299"), kPost));
  const Attempt attempt = ConnectToAll();
  EXPECT_EQ(attempt.outcome, Allowed());
  std::vector<std::string> shown;
  for (const Told& told : TakeTold()) {
    EXPECT_EQ(told.function_name(), "__x64_sys_connect");
    EXPECT_EQ(told.process().pid().value(), static_cast<uint32_t>(attempt.pid));
    ASSERT_EQ(told.args_size(), 2);
    EXPECT_EQ(told.args(1).label(), "peer");
    shown.push_back(NameOf(told) + ": " + Text(told.args(1).sockaddr_arg()));
  }
  EXPECT_THAT(shown,
              ElementsAre("v4: AF_INET 127.0.0.1 80", "far: AF_INET 127.128.0.1 8080",
                          "v6: AF_INET6 ::1 443", "doc: AF_INET6 2001:db8::1 1024",
                          "low: AF_INET6 2001:db8::8000:0:0:1 1023", "map: AF_INET6 127.0.0.1 8081",
                          "unix: AF_UNIX  0", "none: AF_UNSPEC  0", "bad:   0"));
  ExpectCounter("socket_fault");
}

// send(2) is sendto(2) without an address: what is not there is neither in a network nor outside.
TEST_F(SocketCalls, AnAddressThatIsNotGivenMatchesNeither) {
  const auto policy = [](const std::string& name, const std::string& filter) {
    return Policy(name, "call: sys_sendto", "{index: 4, type: sockaddr}", Filter(4, filter), kPost);
  };
  Apply(policy("a", "SAddr 0.0.0.0/0 ::/0") + policy("b", "NotSAddr 10.0.0.0/8") +
        policy("c", "SPort 0:65535") + policy("d", "NotSPortPriv"));
  const auto send_to = [](const Address* to) {
    return [to] {
      const int made = socket(AF_INET, SOCK_DGRAM, 0);
      if (Connect(made, Inet("127.0.0.1", 2000)) != 0) return errno;
      return Errno(sendto(made, "x", 1, 0, to == nullptr ? nullptr : to->get(),
                          to == nullptr ? 0 : to->length));
    };
  };
  EXPECT_EQ(Try(send_to(nullptr)).outcome, Allowed());
  EXPECT_EQ(TellingPolicies(), "");
  const Address given = Inet("127.0.0.1", 2000);
  EXPECT_EQ(Try(send_to(&given)).outcome, Allowed());
  EXPECT_EQ(TellingPolicies(), "a b c d");
}

TEST_F(SocketCalls, KillByAnAddress) {
  const struct {
    std::string call;
    int index;
    std::string filters;
    Address allowed, killed;
    std::function<long(int made, const Address& address)> act;
  } cases[] = {
      {"connect", 1, Filter(1, "SAddr 127.0.0.2/31"), Inet("127.0.0.1", 53), Inet("127.0.0.3", 53),
       Connect},
      {"bind", 1, Filter(1, "SPortPriv"), Inet("::1", 1024), Inet("::1", 1023),
       [](int made, const Address& at) { return ::bind(made, at.get(), at.length); }},
      {"sendto", 4, Filter(4, "SAddr ::1") + ", " + Filter(4, "NotSPort 53"), Inet("::1", 53),
       Inet("::1", 54),
       [](int made, const Address& to) { return sendto(made, "x", 1, 0, to.get(), to.length); }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.call);
    const auto act = [&](const Address& address) {
      return Try([&] { return Errno(c.act(socket(address.family(), SOCK_DGRAM, 0), address)); });
    };
    const std::string argument = "{index: " + std::to_string(c.index) + ", type: sockaddr}";
    Apply(Policy("p", "call: sys_" + c.call, argument, c.filters, kKill));
    EXPECT_EQ(act(c.allowed).outcome, Allowed());
    const Attempt killed = act(c.killed);
    EXPECT_EQ(killed.outcome, Killed(SIGKILL));
    (void)TakeOne(killed, "__x64_sys_" + c.call, tetragon::KPROBE_ACTION_SIGKILL);
  }
}

TEST_F(SocketCalls, WhatCannotBeReadIsInNoSet) {
  Apply(OnCall("in", Filter(1, "SAddr 0.0.0.0/0 ::/0"), kPost) +
        OnCall("not-in", Filter(1, "NotSAddr 0.0.0.0/0 ::/0"), kKill));
  EXPECT_EQ(ConnectTo(Inet("127.0.0.1", 80)), Allowed());
  EXPECT_EQ(TellingPolicies(), "in");
  const Attempt attempt = Try([] {
    return Errno(connect(socket(AF_INET, SOCK_DGRAM, 0), Unreadable(), sizeof(sockaddr_in)));
  });
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const Told told = TakeOne(attempt, "__x64_sys_connect", tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(told.policy_name(), "not-in");
  EXPECT_THAT(told.tags(), ElementsAre("gatehouse.unreadable.fault"));
  ExpectCounter("socket_fault");
}

// The kernel reads no byte behind the address: none may be asked for that a process can withhold.
TEST_F(SocketCalls, AnAddressAtTheEndOfMemoryIsRead) {
  constexpr socklen_t kWithoutScope = 24;  // of sockaddr_in6: SIN6_LEN_RFC2133 of the kernel
  Address v6 = Inet("::1", 81), unnamed = Abstract();
  v6.length = kWithoutScope;
  unnamed.length = sizeof(sa_family_t);
  Apply(OnCall("inet", Filter(1, "SAddr 127.0.0.1 ::1") + ", " + Filter(1, "SPort 80:81"), kPost) +
        OnCall("unix", Filter(1, "Family AF_UNIX"), kPost));
  const auto connect_at_end = [&](const Address& to) {
    const auto act = [&] {
      const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
      void* const memory =
          mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      char* const end = static_cast<char*>(memory) + page;
      std::memcpy(end - to.length, &to.bytes, to.length);
      if (mprotect(end, page, PROT_NONE) != 0) return errno;
      const auto* const address = reinterpret_cast<const sockaddr*>(end - to.length);
      return Errno(connect(socket(to.family(), SOCK_DGRAM, 0), address, to.length));
    };
    return Try(act).outcome;
  };
  EXPECT_EQ(connect_at_end(Inet("127.0.0.1", 82)), Allowed());
  EXPECT_EQ(TellingPolicies(), "");
  EXPECT_EQ(connect_at_end(Inet("127.0.0.1", 80)), Allowed());
  EXPECT_EQ(connect_at_end(v6), Allowed());
  EXPECT_EQ(connect_at_end(unnamed), Denied(EINVAL));
  EXPECT_EQ(TellingPolicies(), "inet inet unix");
}

}  // namespace
}  // namespace gatehouse::test
