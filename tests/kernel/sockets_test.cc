// SPDX-License-Identifier: Apache-2.0
// Sockets, packets and addresses as arguments of system calls, LSM hooks and functions. Every
// process has a network of its own, so nothing depends on this machine's.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// ---- policies -----------------------------------------------------------------------------------

constexpr const char* kDeny = "{action: Override, argError: -1}";
constexpr const char* kKill = "{action: Sigkill}";
constexpr const char* kPost = "{action: Post}";

/// Of "DPort 80 443": an operator and its values.
std::string Filter(int index, const std::string& text) {
  std::istringstream words(text);
  std::string op, value, values;
  words >> op;
  while (words >> value) values.append(values.empty() ? "\"" : ", \"").append(value).append("\"");
  return "{index: " + std::to_string(index) + ", operator: " + op +
         (values.empty() ? "" : ", values: [" + values + "]") + "}";
}

/// One selector on one hook: `hook: …`, or `call: …` of a system call or a function.
std::string Policy(const std::string& name, const std::string& hook, const std::string& args,
                   const std::string& filters, const std::string& action) {
  const bool lsm = hook.starts_with("hook:"), call = hook.starts_with("call: sys_");
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  " + (lsm ? "lsmhooks" : "kprobes") + ":\n  - " + hook +
         "\n" + (lsm || call ? "" : "    syscall: false\n") + "    args: [" + args +
         "]\n    selectors:\n    - matchArgs: [" + filters + "]\n      matchActions: [" + action +
         "]\n";
}

// ---- what processes do --------------------------------------------------------------------------

/// As system calls take it.
struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  [[nodiscard]] int family() const { return bytes.ss_family; }
};

template <typename Sockaddr>
Address ToAddress(const Sockaddr& from) {
  Address address{.bytes = {}, .length = sizeof(from)};
  std::memcpy(&address.bytes, &from, sizeof(from));
  return address;
}

/// IPv6 if there is a colon in it.
Address Inet(const std::string& text, int port) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(static_cast<uint16_t>(port));
  const bool is_v6 = text.find(':') != std::string::npos;
  void* const binary = is_v6 ? static_cast<void*>(&v6.sin6_addr) : &v4.sin_addr;
  EXPECT_EQ(inet_pton(is_v6 ? AF_INET6 : AF_INET, text.c_str(), binary), 1) << text;
  return is_v6 ? ToAddress(v6) : ToAddress(v4);
}

/// Of a socket that has no name in the file system; the network is the only one that knows it.
Address Abstract() { return ToAddress(sockaddr_un{.sun_family = AF_UNIX, .sun_path = "\0test"}); }

/// Where nothing can be read.
const sockaddr* Unreadable() {
  return static_cast<const sockaddr*>(
      mmap(nullptr, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/// A system call's result, as the outcome of an attempt: its errno, or the end of the process.
int Errno(long result) {
  if (result < 0) return errno;
  _exit(0);
}

/// A network with nothing but a loopback interface, which is up.
bool MakeNetwork() {
  if (unshare(CLONE_NEWNET) != 0) return false;
  ifreq request{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
  request.ifr_flags = IFF_UP;
  return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &request) == 0;
}

/// A socket with that address; negative with errno if there is none.
int Bound(const Address& address, int type, int protocol = 0) {
  const int made = socket(address.family(), type, protocol);
  return ::bind(made, address.get(), address.length) == 0 ? made : -1;
}

int Connect(int made, const Address& to) { return connect(made, to.get(), to.length); }

/// Takes connections of IPv4 and IPv6; whether it does.
bool Listen(int port) { return listen(Bound(Inet("::", port), SOCK_STREAM), 1) == 0; }

bool Set(int made, int option, int value) {
  return setsockopt(made, SOL_SOCKET, option, &value, sizeof(value)) == 0;
}

/// A filter, and the names of all that a policy with it tells of.
struct Case {
  std::string filter, told;
};

// ---- what policies tell -------------------------------------------------------------------------

using Told = tetragon::ProcessKprobe;

/// The same as an event of a function.
Told ToTold(const tetragon::ProcessLsm& event) {
  Told told;
  *told.mutable_process() = event.process();
  *told.mutable_args() = event.args();
  told.set_policy_name(event.policy_name());
  told.set_function_name(event.function_name());
  told.set_action(event.action());
  return told;
}

std::string Text(const tetragon::KprobeSockaddr& address) {
  return address.family() + " " + address.addr() + " " + std::to_string(address.port());
}

/// Of a socket or a packet: family, protocol, both ends.
std::string Text(const auto& it) {
  return it.family() + " " + it.protocol() + " " + it.saddr() + " " + std::to_string(it.sport()) +
         " > " + it.daddr() + " " + std::to_string(it.dport());
}

template <typename Suite>
class WithNetworks : public Suite {
 protected:
  void SetUp() override {
    Suite::SetUp();
    (void)Suite::Workload(cgroup_.path());
  }
  /// An attempt in a workload.
  [[nodiscard]] Attempt Try(const std::function<int()>& act) const {
    return cgroup_.Try([&] { return MakeNetwork() ? act() : errno; });
  }
  [[nodiscard]] Outcome ConnectTo(const Address& to, int type = SOCK_DGRAM) const {
    return Try([&] { return Errno(Connect(socket(to.family(), type, 0), to)); }).outcome;
  }
  /// Of datagrams' sockets that connect to port 80.
  void Expect(const Outcome& expected, const std::vector<std::string>& addresses) const {
    for (const std::string& address : addresses)
      EXPECT_EQ(ConnectTo(Inet(address, 80)), expected) << address;
  }
  static void Apply(const std::string& policies) { Must(Suite::gatehouse().Apply(policies)); }
  static std::vector<Told> TakeTold() {
    std::vector<Told> told;
    for (const Event& event : Suite::gatehouse().TakeEvents()) {
      if (event.AsPolicy() == nullptr) continue;
      told.push_back(event.enriched->has_process_lsm() ? ToTold(event.enriched->process_lsm())
                                                       : event.enriched->process_kprobe());
    }
    return told;
  }
  /// The only event, which is of that attempt and says that.
  static Told TakeOne(const Attempt& attempt, const std::string& function,
                      tetragon::KprobeAction action) {
    const std::vector<Told> told = TakeTold();
    if (told.size() != 1) throw std::runtime_error(std::to_string(told.size()) + " events");
    EXPECT_EQ(told[0].function_name(), function);
    EXPECT_EQ(told[0].action(), action);
    EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
    return told[0];
  }
  /// Names of what policies tell, one for each event, with spaces between them.
  static std::string Names(const std::function<std::string(const Told&)>& name_of) {
    std::string names;
    for (const Told& told : TakeTold()) names += (names.empty() ? "" : " ") + name_of(told);
    return names;
  }
  /// The policies that tell something: those of one operation by name.
  static std::string TellingPolicies() {
    return Names([](const Told& told) { return told.policy_name(); });
  }

  const Cgroup cgroup_{"app"};
};

// ---- system calls -------------------------------------------------------------------------------

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

// ---- hooks and functions ------------------------------------------------------------------------

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
