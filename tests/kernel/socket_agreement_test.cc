// SPDX-License-Identifier: Apache-2.0
// The reference evaluator against the kernel, on addresses: random policies on connect(2), random
// addresses. GATEHOUSE_SEED repeats a run, GATEHOUSE_CASES says how many connections.
#include <gmock/gmock.h>

#include <iostream>
#include <map>
#include <random>
#include <set>

#include "eval/evaluator.h"
#include "network.h"
#include "policy/parse.h"
#include "settings.h"

namespace gatehouse::test {
namespace {

using namespace network;

constexpr int kFirst = 200;  // descriptor of a process's first connection
constexpr int kConnections = 12;
constexpr size_t kMismatchesShown = 5;

constexpr const char* kAddresses[] = {
    "10.0.0.0",        "10.0.0.1",         "10.0.0.2",      "10.0.1.1", "10.128.0.1",
    "11.0.0.1",        "192.0.2.1",        "127.0.0.1",     "::",       "::1",
    "::fffe:10.0.0.1", "fd00::1",          "fd00::1:0:0:1", "fe00::1",  "2001:db8::",
    "::ffff:10.0.0.1", "::ffff:192.0.2.1", "0.0.0.0"};
constexpr int kPorts[] = {0, 22, 80, 443, 1023, 1024, 8080, 65535};

class Author {
 public:
  explicit Author(uint64_t seed) : engine_(seed) {}

  template <typename List>
  const auto& Of(const List& list) {
    return list[Below(std::size(list))];
  }
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine_); }

  Address AnAddress() {
    const size_t kind = Below(10);
    if (kind == 0) return Abstract();
    if (kind == 1) return ToAddress(sockaddr{.sa_family = AF_UNSPEC, .sa_data = {}});
    return Inet(Of(kAddresses), Of(kPorts));
  }

  std::string APolicy(const std::string& name) {
    std::string text =
        "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
        "}\nspec:\n  podSelector: {}\n  kprobes:\n  - call: sys_connect\n    args: [{index: 0, "
        "type: int}, {index: 1, type: sockaddr}]\n    selectors:\n";
    for (size_t selectors = 1 + Below(3); selectors > 0; --selectors) {
      text += "    - matchArgs:\n";
      for (size_t filters = 1 + Below(3); filters > 0; --filters)
        text += "      - " + Filter(1, AFilter()) + "\n";
      text +=
          "      matchActions: [{action: " + std::string(Below(5) == 0 ? "No" : "") + "Post}]\n";
    }
    return text;
  }

 private:
  std::string AFilter() {
    const std::string op = Of(std::array{"SAddr", "NotSAddr", "SPort", "NotSPort", "SPortPriv",
                                         "NotSPortPriv", "Family"});
    std::string text = op;
    if (op.ends_with("Priv")) return text;
    for (size_t values = 1 + Below(4); values > 0; --values) {
      text += " " + (op.ends_with("Addr") ? APrefix()
                     : op.ends_with("Port")
                         ? ARange()
                         : Of(std::array<std::string, 4>{"AF_INET", "10", "AF_UNIX", "0:1"}));
    }
    return text;
  }
  std::string APrefix() {
    std::string address = Of(kAddresses);
    if (Below(3) == 0) return address;
    const bool ipv6 = address.find(':') != std::string::npos;
    const int length = ipv6 ? Of(std::array{0, 7, 8, 32, 64, 79, 80, 95, 96, 104, 127, 128})
                            : Of(std::array{0, 1, 7, 8, 9, 24, 30, 31, 32});
    return address + "/" + std::to_string(length);
  }
  std::string ARange() {
    const int a = Of(kPorts), b = Of(kPorts);
    if (Below(2) == 0) return std::to_string(a);
    return std::to_string(std::min(a, b)) + ":" + std::to_string(std::max(a, b));
  }

  std::mt19937_64 engine_;
};

/// What the evaluator knows of an address.
eval::Socket Known(const Address& address) {
  eval::Socket known{{GH_FIELD_FAMILY, uint64_t{address.bytes.ss_family}}};
  char text[INET6_ADDRSTRLEN];
  const void* from = nullptr;
  uint16_t port = 0;
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.get());
    from = &v4->sin_addr;
    port = v4->sin_port;
  } else if (address.family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.get());
    from = &v6->sin6_addr;
    port = v6->sin6_port;
  }
  if (from == nullptr) return known;
  known[GH_FIELD_SOURCE] = std::string(inet_ntop(address.family(), from, text, sizeof(text)));
  known[GH_FIELD_SOURCE_PORT] = uint64_t{ntohs(port)};
  return known;
}

/// Tellers of policies.
using Tellers = std::set<std::string>;

class SocketAgreement : public WithNetworks<KernelTest> {
 protected:
  /// One process that connects to all of them, in that order.
  void ConnectToAll(const std::vector<Address>& addresses) const {
    const auto act = [&] {
      int descriptor = kFirst;
      for (const Address& address : addresses) {
        const int family = address.family() == AF_UNSPEC ? AF_INET : address.family();
        if (dup2(socket(family, SOCK_DGRAM, 0), descriptor) < 0) return errno;
        (void)!connect(descriptor++, address.get(), address.length);
      }
      _exit(0);
      return 0;
    };
    EXPECT_EQ(Try(act).outcome, Allowed());
  }
  /// By connection, the policies that tell of it.
  static std::map<int, Tellers> TakeTellers() {
    std::map<int, Tellers> told;
    for (const auto& one : TakeTold())
      told[one.args(0).int_arg() - kFirst].insert(one.policy_name());
    return told;
  }
};

TEST_F(SocketAgreement, KernelAgreesWithTheEvaluator) {
  const uint64_t seed = Setting("GATEHOUSE_SEED", std::random_device{}()),
                 cases_wanted = Setting("GATEHOUSE_CASES", 2000);
  std::cout << "seed " << seed << " (GATEHOUSE_SEED=" << seed << " repeats this run)\n"
            << std::flush;
  Author author(seed);
  const workload::Workload workload;
  uint64_t cases = 0, mismatches = 0, events = 0;
  while (cases < cases_wanted && mismatches < kMismatchesShown) {
    std::string text;
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) text += author.APolicy(name);
    Apply(text);
    const auto documents = policy::Parse(text, "test");
    ASSERT_TRUE(documents);
    std::vector<eval::Policy> policies;
    for (const policy::Document& document : *documents)
      policies.push_back({&document, true, std::nullopt});

    std::vector<Address> addresses;
    for (int i = 0; i < kConnections; ++i) addresses.push_back(author.AnAddress());
    ConnectToAll(addresses);
    std::map<int, Tellers> told = TakeTellers();
    for (int i = 0; i < kConnections; ++i) {
      const Address& address = addresses.at(static_cast<size_t>(i));
      const eval::Operation operation{.site = {policy::Site::Kind::kSystemCall, "connect"},
                                      .values = {{1, Known(address)}},
                                      .binary = {}};
      Tellers expected;
      for (const eval::Post& post : eval::Evaluate(policies, &workload, operation).posts)
        expected.insert(post.key.name);
      ++cases;
      events += expected.size();
      if (told[i] == expected) continue;
      ++mismatches;
      ADD_FAILURE() << "seed " << seed << ", address " << ::testing::PrintToString(Known(address))
                    << "\nexpected " << ::testing::PrintToString(expected) << "\ngot "
                    << ::testing::PrintToString(told[i]) << "\npolicies:\n"
                    << text;
    }
  }
  std::cout << cases << " cases: " << events << " events\n";
}

}  // namespace
}  // namespace gatehouse::test
