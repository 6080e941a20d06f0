// SPDX-License-Identifier: Apache-2.0
// Paths from the arguments of functions and LSM hooks; programs and maps of BPF, events.
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include <cstring>

#include "network.h"

namespace gatehouse::test {
namespace {

using namespace network;

class ResolveHooks : public WithNetworks<DenyingTest> {};

/// A policy on an LSM hook that is about all that passes it.
std::string OnAll(const std::string& name, const std::string& hook, const std::string& args,
                  const std::string& action) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  lsmhooks:\n  - hook: " + hook + "\n    args: [" + args +
         "]\n    selectors: [{matchActions: [" + action + "]}]\n";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ResolveHooks);
INSTANTIATE_TEST_SUITE_P(With, ResolveHooks, ::testing::ValuesIn(DenyingBackends()), BackendOf);

TEST_P(ResolveHooks, OfALsmHookAndAFunction) {
  for (const std::string hook : {"hook: bprm_check_security", "call: security_bprm_check"}) {
    SCOPED_TRACE(hook);
    Apply(Policy("p", hook,
                 "{index: 0, type: string, resolve: mm.owner.real_parent.comm}, "
                 "{index: 0, type: string, resolve: filename}, {index: 0, type: file, resolve: "
                 "file}",
                 "{args: [1], operator: Postfix, values: [/listed]}", kDeny));
    const std::string listed = programs_.Add("listed"), other = programs_.Add("other");
    EXPECT_EQ(cgroup_.Run(other), Allowed());
    const Attempt attempt = cgroup_.Try(listed);
    EXPECT_EQ(attempt.outcome, Denied(EPERM));
    const Told told =
        TakeOne(attempt, hook.substr(hook.find(' ') + 1), tetragon::KPROBE_ACTION_OVERRIDE);
    ASSERT_EQ(told.args_size(), 3);
    EXPECT_EQ(told.args(0).string_arg(), "kernel_test");
    EXPECT_EQ(told.args(1).string_arg(), listed);
    EXPECT_EQ(told.args(2).file_arg().path(), listed);
  }
}

// The argument is a struct sockaddr, the head of many.
TEST_P(ResolveHooks, OfAnotherTypeThanTheFunctionTells) {
  const int in_network_order = htons(81);
  Apply(
      Policy("p", "hook: socket_connect",
             "{index: 1, type: uint16, btfType: sockaddr_in, resolve: sin_port}, "
             "{index: 1, type: uint32, btfType: sockaddr_in, resolve: sin_addr.s_addr}",
             "{args: [0], operator: Equal, values: [\"" + std::to_string(in_network_order) + "\"]}",
             kDeny));
  EXPECT_EQ(ConnectTo(Inet("127.0.0.1", 80)), Allowed());
  EXPECT_EQ(ConnectTo(Inet("127.0.0.1", 81)), Denied(EPERM));
  const std::vector<Told> told = TakeTold();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).uint_arg(), static_cast<uint32_t>(in_network_order));
  EXPECT_EQ(told[0].args(1).uint_arg(), htonl(INADDR_LOOPBACK));
}

TEST_P(ResolveHooks, WhenTheFunctionReturns) {
  Apply(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
      "  podSelector: {}\n  kprobes:\n  - call: security_socket_bind\n    syscall: false\n"
      "    return: true\n    returnArg: {index: 0, type: int}\n"
      "    args: [{index: 0, type: uint16, resolve: sk.sk_protocol}]\n"
      "    data: [{index: 0, type: int, source: current_task, resolve: tgid}]\n"
      "    selectors: [{matchArgs: [{index: 0, operator: Equal, values: [\"17\"]}]}]\n");
  const Attempt attempt = Try([] { return Errno(Bound(Inet("127.0.0.1", 90), SOCK_DGRAM)); });
  const std::vector<Told> told = TakeTold();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0].args_size(), 1);
  EXPECT_EQ(told[0].args(0).uint_arg(), 17U);
  ASSERT_EQ(told[0].data_size(), 1);
  EXPECT_EQ(told[0].data(0).int_arg(), attempt.pid);
}

// ---- programs and maps of BPF, events -----------------------------------------------------------

int Bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

int MakeMap() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_HASH;
  attributes.key_size = 4;
  attributes.value_size = 8;
  attributes.max_entries = 16;
  std::strcpy(attributes.map_name, "of_a_test");
  return Bpf(BPF_MAP_CREATE, attributes);
}

/// Returns 0.
int MakeProgram() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  static const char license[] = "GPL";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<uint64_t>(instructions);
  attributes.insn_cnt = 2;
  attributes.license = reinterpret_cast<uint64_t>(license);
  std::strcpy(attributes.prog_name, "of_a_test");
  return Bpf(BPF_PROG_LOAD, attributes);
}

TEST_P(ResolveHooks, MapsOfBpf) {
  Apply(OnAll("p", "bpf_map", "{index: 0, type: bpf_map, label: map}", kDeny));
  const Attempt attempt = Try([] { return Errno(MakeMap()); });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "bpf_map", tetragon::KPROBE_ACTION_OVERRIDE);
  ASSERT_EQ(told.args_size(), 1);
  const tetragon::KprobeBpfMap& map = told.args(0).bpf_map_arg();
  EXPECT_EQ(map.maptype(), "BPF_MAP_TYPE_HASH");
  EXPECT_EQ(map.mapname(), "of_a_test");
  EXPECT_EQ(map.keysize(), 4U);
  EXPECT_EQ(map.valuesize(), 8U);
  EXPECT_EQ(map.maxentries(), 16U);
  EXPECT_EQ(told.args(0).label(), "map");
}

TEST_P(ResolveHooks, ProgramsOfBpf) {
  Apply(OnAll("p", "bpf_prog", "{index: 0, type: bpf_prog}", kDeny) +
        Policy("q", "hook: bpf", "{index: 1, type: bpf_attr}, {index: 0, type: bpf_cmd}",
               Filter(0, "Equal BPF_PROG_LOAD"), "{action: Post}"));
  const Attempt attempt = Try([] { return Errno(MakeProgram()); });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const std::vector<Told> told = TakeTold();
  ASSERT_EQ(told.size(), 2U);
  const tetragon::KprobeBpfAttr& attributes = told[0].args(0).bpf_attr_arg();
  EXPECT_EQ(attributes.progtype(), "BPF_PROG_TYPE_SOCKET_FILTER");
  EXPECT_EQ(attributes.insncnt(), 2U);
  EXPECT_EQ(attributes.progname(), "of_a_test");
  const tetragon::KprobeBpfProg& program = told[1].args(0).bpf_prog_arg();
  EXPECT_EQ(program.progtype(), "BPF_PROG_TYPE_SOCKET_FILTER");
  EXPECT_EQ(program.insncnt(), 2U);
  EXPECT_EQ(program.progname(), "of_a_test");
}

TEST_P(ResolveHooks, Events) {
  Apply(OnAll("p", "perf_event_alloc", "{index: 0, type: perf_event}", kDeny));
  const Attempt attempt = Try([] {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.config = PERF_COUNT_SW_PAGE_FAULTS;
    return Errno(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "perf_event_alloc", tetragon::KPROBE_ACTION_OVERRIDE);
  ASSERT_EQ(told.args_size(), 1);
  const tetragon::KprobePerfEvent& event = told.args(0).perf_event_arg();
  EXPECT_EQ(event.type(), "PERF_TYPE_SOFTWARE");
  EXPECT_EQ(event.config(), uint64_t{PERF_COUNT_SW_PAGE_FAULTS});
  EXPECT_EQ(event.kprobefunc(), "");
}

}  // namespace
}  // namespace gatehouse::test
