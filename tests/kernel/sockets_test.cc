// SPDX-License-Identifier: Apache-2.0
// Sockets, packets and addresses as arguments of LSM hooks and functions.
#include <gmock/gmock.h>

#include <csignal>

#include "network.h"

namespace gatehouse::test {
namespace {

using namespace network;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Sockets : public WithNetworks<DenyingTest> {
 protected:
  /// Sends a datagram through a socket that is connected.
  [[nodiscard]] Outcome SendTo(const Address& to) const {
    const auto act = [&] {
      const int made = socket(to.family(), SOCK_DGRAM, 0);
      return Connect(made, to) != 0 ? EPROTO : Errno(send(made, "x", 1, 0));
    };
    return Try(act).outcome;
  }
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Sockets);
INSTANTIATE_TEST_SUITE_P(With, Sockets, ::testing::ValuesIn(DenyingBackends()), BackendOf);

std::string OnConnect(const std::string& name, const std::string& filters,
                      const std::string& action, const std::string& hook = "hook: socket_connect") {
  return Policy(name, hook, "{index: 0, type: socket}, {index: 1, type: sockaddr}", filters,
                action);
}

TEST_P(Sockets, ConnectIsDeniedByItsAddress) {
  for (const std::string hook : {"hook: socket_connect", "call: security_socket_connect"}) {
    SCOPED_TRACE(hook);
    Apply(OnConnect(
        "p",
        Filter(0, "Protocol IPPROTO_TCP") + ", " + Filter(1, "SAddr 127.0.0.0/24 2001:db8::/32"),
        kDeny, hook));
    EXPECT_EQ(ConnectTo(Inet("127.0.0.2", 80)), Allowed()) << "UDP";
    EXPECT_EQ(ConnectTo(Inet("127.0.1.2", 80), SOCK_STREAM), Denied(ECONNREFUSED));
    EXPECT_EQ(ConnectTo(Inet("::1", 80), SOCK_STREAM), Denied(ECONNREFUSED));
    EXPECT_EQ(TellingPolicies(), "");
    EXPECT_EQ(ConnectTo(Inet("2001:db8::1", 80), SOCK_STREAM), Denied(EPERM));
    EXPECT_EQ(ConnectTo(Inet("::ffff:127.0.0.2", 80), SOCK_STREAM), Denied(EPERM));
    EXPECT_EQ(TellingPolicies(), "p p");
    const Attempt attempt = Try([] {
      return Errno(Connect(Bound(Inet("127.0.0.1", 4321), SOCK_STREAM), Inet("127.0.0.2", 80)));
    });
    EXPECT_EQ(attempt.outcome, Denied(EPERM));
    const Told told =
        TakeOne(attempt, hook.substr(hook.find(' ') + 1), tetragon::KPROBE_ACTION_OVERRIDE);
    ASSERT_EQ(told.args_size(), 2);
    const tetragon::KprobeSock& sock = told.args(0).sock_arg();
    EXPECT_EQ(Text(sock), "AF_INET IPPROTO_TCP 127.0.0.1 4321 > 0.0.0.0 0");
    EXPECT_EQ(sock.type(), "SOCK_STREAM");
    EXPECT_EQ(sock.state(), "TCP_CLOSE");
    EXPECT_EQ(Text(told.args(1).sockaddr_arg()), "AF_INET 127.0.0.2 80");
  }
}

// Connections are called by the ports that they go to.
TEST_P(Sockets, EveryOperatorOnSockets) {
  const struct {
    std::string from;
    int source;
    std::string to;
    int port;
  } connections[] = {{"127.0.0.5", 1000, "127.0.0.1", 80},
                     {"127.0.0.6", 4001, "127.128.0.1", 8080},
                     {"::1", 1001, "::1", 443},
                     {"::ffff:127.0.0.7", 4003, "::ffff:127.0.0.1", 8081}};
  const Case cases[] = {{"DAddr 127.0.0.0/9", "80 8081"},
                        {"DAddr ::/0", "443"},
                        {"NotDAddr 127.0.0.0/9", "8080 443"},
                        {"SAddr 127.0.0.6/31", "8080 8081"},
                        {"NotSAddr 127.0.0.6/31", "80 443"},
                        {"DPort 80:443", "80 443"},
                        {"NotDPort 80:443", "8080 8081"},
                        {"SPort 4001 1000", "80 8080"},
                        {"NotSPort 4001 1000", "443 8081"},
                        {"DPortPriv", "80 443"},
                        {"NotDPortPriv", "8080 8081"},
                        {"SPortPriv", "80 443"},
                        {"NotSPortPriv", "8080 8081"},
                        {"Family AF_INET", "80 8080"},
                        {"Family AF_INET6", "443 8081"},
                        {"State TCP_SYN_SENT", "80 8080 443 8081"},
                        {"State TCP_CLOSE 1", ""},
                        {"Protocol IPPROTO_TCP", "80 8080 443 8081"},
                        {"Protocol IPPROTO_UDP", ""}};
  const auto connect_to_all = [&] {
    for (const auto& [from, source, to, port] : connections) {
      const int made = Bound(Inet(from, source), SOCK_STREAM);
      if (!Listen(port) || Connect(made, Inet(to, port)) != 0) return errno;
    }
    return Errno(0);
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.filter);
    Apply(Policy("p", "call: tcp_connect", "{index: 0, type: sock}", Filter(0, c.filter), kPost));
    EXPECT_EQ(Try(connect_to_all).outcome, Allowed());
    EXPECT_EQ(
        Names([](const Told& told) { return std::to_string(told.args(0).sock_arg().dport()); }),
        c.told);
  }
}

TEST_P(Sockets, EveryFieldOfASocketsEvent) {
  Apply(Policy("p", "call: tcp_connect", "{index: 0, type: sock}",
               Filter(0, "DAddr ::1") + ", " + Filter(0, "DPort 443"), kKill));
  const auto connect_to = [&](int port) {
    return Try([&] {
      const int made = Bound(Inet("::1", 4321), SOCK_STREAM);
      uint64_t cookie = 0;  // a socket has none until it is asked for
      socklen_t length = sizeof(cookie);
      const bool ready = Listen(port) && Set(made, SO_MARK, 7) && Set(made, SO_PRIORITY, 3) &&
                         getsockopt(made, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0;
      return ready ? Errno(Connect(made, Inet("::1", port))) : errno;
    });
  };
  EXPECT_EQ(connect_to(444).outcome, Allowed());
  const Attempt attempt = connect_to(443);
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const Told told = TakeOne(attempt, "tcp_connect", tetragon::KPROBE_ACTION_SIGKILL);
  const tetragon::KprobeSock& sock = told.args(0).sock_arg();
  EXPECT_EQ(Text(sock), "AF_INET6 IPPROTO_TCP ::1 4321 > ::1 443");
  EXPECT_EQ(sock.type(), "SOCK_STREAM");
  EXPECT_EQ(sock.state(), "TCP_SYN_SENT");
  EXPECT_EQ(sock.mark(), 7U);
  EXPECT_EQ(sock.priority(), 3U);
  EXPECT_NE(sock.cookie(), 0U);
}

TEST_P(Sockets, WhatHasNoAddressMatchesNeither) {
  const auto policy = [](const std::string& name, const std::string& filter) {
    return Policy(name, "hook: socket_sendmsg", "{index: 0, type: socket}", Filter(0, filter),
                  kDeny);
  };
  const auto send_to_other_end = [] {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return EPROTO;
    return Errno(send(ends[0], "x", 1, 0));
  };
  Apply(policy("a", "DAddr 0.0.0.0/0 ::/0") + policy("b", "NotDAddr 10.0.0.0/8") +
        policy("c", "NotDPort 1") + policy("d", "NotSPortPriv"));
  EXPECT_EQ(Try(send_to_other_end).outcome, Allowed());
  EXPECT_EQ(TellingPolicies(), "");
  EXPECT_EQ(SendTo(Inet("127.0.0.1", 80)), Denied(EPERM));
  EXPECT_EQ(TellingPolicies(), "a b c d");
  Apply(policy("e", "Family AF_UNIX"));
  EXPECT_EQ(Try(send_to_other_end).outcome, Denied(EPERM));
  EXPECT_EQ(TellingPolicies(), "e");
}

TEST_P(Sockets, TheSocketThatAFunctionReturns) {
  std::string policy = Policy(
      "p",
      "call: inet_csk_accept\n    return: true\n    returnArg: {index: 0, type: sock, label: made}",
      "{index: 0, type: sock}", Filter(0, "DPort 4321"), kPost);
  const std::string of_arguments = "matchArgs";
  policy.replace(policy.find(of_arguments), of_arguments.size(), "matchReturnArgs");
  Apply(policy);
  const Attempt attempt = Try([] {
    const int listener = Bound(Inet("127.0.0.1", 80), SOCK_STREAM);
    if (listen(listener, 2) != 0) return errno;
    for (const int port : {4321, 4322}) {
      const int made = Bound(Inet("127.0.0.1", port), SOCK_STREAM);
      if (Connect(made, Inet("127.0.0.1", 80)) != 0) return errno;
      if (accept(listener, nullptr, nullptr) < 0) return errno;
    }
    return Errno(0);
  });
  EXPECT_EQ(attempt.outcome, Allowed());
  const Told told = TakeOne(attempt, "inet_csk_accept", tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told.args(0).sock_arg().state(), "TCP_LISTEN");
  EXPECT_EQ(Text(told.return_().sock_arg()), "AF_INET IPPROTO_TCP 127.0.0.1 80 > 127.0.0.1 4321");
  EXPECT_EQ(told.return_().label(), "made");
}

TEST_P(Sockets, EveryFieldOfAPacketsEvent) {
  const struct {
    std::string function, loopback, packet;
    uint32_t length;  // of the headers of IP and UDP, and of the text
  } cases[] = {{"ip_output", "127.0.0.1", "AF_INET IPPROTO_UDP 127.0.0.1 4321 > 127.0.0.1 40053",
                20 + 8 + 5},
               {"ip6_output", "::1", "AF_INET6 IPPROTO_UDP ::1 4321 > ::1 40053", 40 + 8 + 5}};
  for (const auto& [function, loopback, packet, length] : cases) {
    SCOPED_TRACE(function);
    Apply(Policy("p", "call: " + function, "{index: 2, type: skb}",
                 Filter(2, "DPort 40053") + ", " + Filter(2, "Protocol IPPROTO_UDP") + ", " +
                     Filter(2, "DAddr " + loopback),
                 kKill));
    const auto send_to = [&](int port) {
      return Try([&] {
        const Address to = Inet(loopback, port);
        const int made = Bound(Inet(loopback, 4321), SOCK_DGRAM);
        if (Bound(to, SOCK_DGRAM) < 0 || !Set(made, SO_MARK, 7)) return errno;
        return Errno(sendto(made, "hello", 5, 0, to.get(), to.length));
      });
    };
    EXPECT_EQ(send_to(40054).outcome, Allowed());
    const Attempt attempt = send_to(40053);
    EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
    const Told told = TakeOne(attempt, function, tetragon::KPROBE_ACTION_SIGKILL);
    const tetragon::KprobeSkb& skb = told.args(0).skb_arg();
    EXPECT_EQ(Text(skb), packet);
    EXPECT_EQ(skb.proto(), static_cast<uint32_t>(IPPROTO_UDP));
    EXPECT_EQ(skb.len(), length);
    EXPECT_EQ(skb.mark(), 7U);
  }
}

// One datagram, and one packet of a protocol without ports (253: RFC 3692).
TEST_P(Sockets, EveryOperatorOnPackets) {
  const Case cases[] = {{"DAddr 127.0.0.2", "17 253"},
                        {"DAddr ::/0", ""},
                        {"NotDAddr 127.0.0.2", ""},
                        {"NotDAddr ::/0", "17 253"},
                        {"SAddr 127.0.0.64/26", "17 253"},
                        {"SAddr 127.0.0.0/26", ""},
                        {"NotSAddr 127.0.0.77", ""},
                        {"DPort 53", "17"},
                        {"NotDPort 53", ""},
                        {"NotDPort 54", "17"},
                        {"SPort 4000:4400", "17"},
                        {"NotSPort 4321", ""},
                        {"DPortPriv", "17"},
                        {"NotDPortPriv", ""},
                        {"SPortPriv", ""},
                        {"NotSPortPriv", "17"},
                        {"Protocol IPPROTO_UDP", "17"},
                        {"Protocol 253", "253"},
                        {"Family AF_INET", "17 253"},
                        {"Family AF_INET6", ""}};
  const Address from = Inet("127.0.0.77", 4321), to = Inet("127.0.0.2", 53);
  const auto send_with = [&](int type, int protocol) {
    return Bound(to, type, protocol) >= 0 &&  // else an answer would say that nobody is there
           sendto(Bound(from, type, protocol), "x", 1, 0, to.get(), to.length) == 1;
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.filter);
    // Interrupts come to this process as well: of others' packets, none has this source.
    Apply(Policy("p", "call: ip_output", "{index: 2, type: skb}",
                 Filter(2, "SAddr 127.0.0.77") + ", " + Filter(2, c.filter), kPost));
    const Attempt attempt = Try([&] {
      return send_with(SOCK_DGRAM, IPPROTO_UDP) && send_with(SOCK_RAW, 253) ? Errno(0) : errno;
    });
    EXPECT_EQ(attempt.outcome, Allowed());
    const auto protocol_of = [](const Told& told) {
      return std::to_string(told.args(0).skb_arg().proto());
    };
    EXPECT_EQ(Names(protocol_of), c.told);
  }
}

TEST_P(Sockets, EachPolicyHasItsOwnAddresses) {
  Apply(OnConnect("a", Filter(1, "SAddr 127.0.0.1 127.0.0.3"), kDeny) +
        OnConnect("b", Filter(1, "SAddr 127.0.0.2/31 ::1"), "{action: Override, argError: -13}"));
  Expect(Allowed(), {"127.0.0.4"});
  Expect(Denied(EPERM), {"127.0.0.1"});
  Expect(Denied(EACCES), {"127.0.0.2", "::1"});
  EXPECT_EQ(TellingPolicies(), "a b b");
  Expect(Denied(EPERM), {"127.0.0.3"});  // the first by name
  EXPECT_EQ(TellingPolicies(), "a b");
  Apply(OnConnect("a", Filter(1, "SAddr 127.0.0.4"), kDeny));
  Expect(Denied(EPERM), {"127.0.0.4"});
  Expect(Allowed(), {"127.0.0.1"});
}

TEST_P(Sockets, OneOfManyPoliciesTellsOfItsPort) {
  constexpr int kPolicies = 200, kFirstPort = 10000;
  std::string policies;
  for (int i = 0; i < kPolicies; ++i) {
    const std::string filter = Filter(1, "SPort " + std::to_string(kFirstPort + i));
    policies += OnConnect("p" + std::to_string(i), filter, kPost);
  }
  Apply(policies);
  for (const int i : {-1, 0, 1, 77, kPolicies - 1, kPolicies}) {
    EXPECT_EQ(ConnectTo(Inet("::1", kFirstPort + i)), Allowed());
    EXPECT_EQ(TellingPolicies(), 0 <= i && i < kPolicies ? "p" + std::to_string(i) : "") << i;
  }
}

TEST_P(Sockets, ManyAddressesAreSearched) {
  std::ostringstream filter("SAddr", std::ios::ate);
  for (int i = 0; i < 2000; ++i) {
    filter << " 127." << 1 + i / 250 << "." << i % 250 << ".0/25 2001:db8:" << i << "::/65";
  }
  Apply(OnConnect("p", Filter(1, filter.str()), kDeny));
  Expect(Denied(EPERM), {"127.1.0.0", "127.4.7.9", "127.8.249.127", "2001:db8::1",
                         "2001:db8:7::", "2001:db8:1999:0:7fff:ffff:ffff:ffff"});
  Expect(Allowed(), {"127.0.255.255", "127.4.7.200", "127.8.249.128"});
  Expect(Denied(ENETUNREACH),
         {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:7:1::", "2001:db8:1999:0:8000::"});
}

TEST_P(Sockets, TemplatesTakeAddresses) {
  const std::string tmpl =
      "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicyTemplate\nmetadata: {name: t}\n"
      "spec:\n  variables: [{name: peers}]\n  lsmhooks:\n  - hook: socket_sendmsg\n"
      "    args: [{index: 0, type: socket}]\n    selectors:\n    - matchArgs: [{index: 0, "
      "operator: DAddr, valuesFromVariable: peers}]\n      matchActions: [" +
      std::string(kDeny) + "]\n";
  const auto binding = [](const std::string& values) {
    return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicyBinding\nmetadata: {name: b}\n"
           "spec:\n  templateRef: {name: t}\n  podSelector: {}\n  bindings: [{name: peers, "
           "values: [" +
           values + "]}]\n";
  };
  Apply(tmpl + binding("127.0.0.2/31, \"::1\""));
  EXPECT_EQ(SendTo(Inet("127.0.0.1", 80)), Allowed());
  EXPECT_EQ(SendTo(Inet("127.0.0.3", 80)), Denied(EPERM));
  EXPECT_EQ(SendTo(Inet("::1", 80)), Denied(EPERM));
  const auto refused = gatehouse().Apply(binding("many"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().Message(), HasSubstr("\"many\""));
  EXPECT_EQ(SendTo(Inet("127.0.0.3", 80)), Denied(EPERM)) << "what was in force stays";
  Apply(binding("127.0.0.1"));
  EXPECT_EQ(SendTo(Inet("127.0.0.1", 80)), Denied(EPERM));
  EXPECT_EQ(SendTo(Inet("127.0.0.3", 80)), Allowed());
}

}  // namespace
}  // namespace gatehouse::test
