// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "fixture.h"

/// What tests about sockets have in common: their policies, what processes do, what is told of it.
namespace gatehouse::test::network {

// ---- policies -----------------------------------------------------------------------------------

inline constexpr const char* kDeny = "{action: Override, argError: -1}";
inline constexpr const char* kKill = "{action: Sigkill}";
inline constexpr const char* kPost = "{action: Post}";

/// Of "DPort 80 443": an operator and its values.
inline std::string Filter(int index, const std::string& text) {
  std::istringstream words(text);
  std::string op, value, values;
  words >> op;
  while (words >> value) values.append(values.empty() ? "\"" : ", \"").append(value).append("\"");
  return "{index: " + std::to_string(index) + ", operator: " + op +
         (values.empty() ? "" : ", values: [" + values + "]") + "}";
}

/// One selector on one hook: `hook: …`, or `call: …` of a system call or a function.
inline std::string Policy(const std::string& name, const std::string& hook, const std::string& args,
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
inline Address ToAddress(const Sockaddr& from) {
  Address address{.bytes = {}, .length = sizeof(from)};
  std::memcpy(&address.bytes, &from, sizeof(from));
  return address;
}

/// IPv6 if there is a colon in it.
inline Address Inet(const std::string& text, int port) {
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
inline Address Abstract() {
  return ToAddress(sockaddr_un{.sun_family = AF_UNIX, .sun_path = "\0test"});
}

/// Where nothing can be read.
inline const sockaddr* Unreadable() {
  return static_cast<const sockaddr*>(
      mmap(nullptr, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/// A network with nothing but a loopback interface, which is up.
inline bool MakeNetwork() {
  if (unshare(CLONE_NEWNET) != 0) return false;
  ifreq request{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
  request.ifr_flags = IFF_UP;
  return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &request) == 0;
}

/// A socket with that address; negative with errno if there is none.
inline int Bound(const Address& address, int type, int protocol = 0) {
  const int made = socket(address.family(), type, protocol);
  return ::bind(made, address.get(), address.length) == 0 ? made : -1;
}

inline int Connect(int made, const Address& to) { return connect(made, to.get(), to.length); }

/// Takes connections of IPv4 and IPv6; whether it does.
inline bool Listen(int port) { return listen(Bound(Inet("::", port), SOCK_STREAM), 1) == 0; }

inline bool Set(int made, int option, int value) {
  return setsockopt(made, SOL_SOCKET, option, &value, sizeof(value)) == 0;
}

/// A filter, and the names of all that a policy with it tells of.
struct Case {
  std::string filter, told;
};

// ---- what policies tell -------------------------------------------------------------------------

using Told = tetragon::ProcessKprobe;

/// The same as an event of a function.
inline Told ToTold(const tetragon::ProcessLsm& event) {
  Told told;
  *told.mutable_process() = event.process();
  *told.mutable_args() = event.args();
  *told.mutable_tags() = event.tags();
  told.set_policy_name(event.policy_name());
  told.set_function_name(event.function_name());
  told.set_action(event.action());
  return told;
}

inline std::string Text(const tetragon::KprobeSockaddr& address) {
  return address.family() + " " + address.addr() + " " + std::to_string(address.port());
}

/// Of a socket or a packet: family, protocol, both ends.
inline std::string Text(const auto& it) {
  return it.family() + " " + it.protocol() + " " + it.saddr() + " " + std::to_string(it.sport()) +
         " > " + it.daddr() + " " + std::to_string(it.dport());
}

/// A suite whose attempts have a network of their own, which nothing else is in.
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

}  // namespace gatehouse::test::network
