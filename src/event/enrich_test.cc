// SPDX-License-Identifier: Apache-2.0
#include "event/enrich.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <array>

#include "event/fakes.h"

namespace gatehouse::event {
namespace {

using std::string_literals::operator""s;
using ::testing::ElementsAre;
using testing::kSecondNs;
using testing::MakeProcess;
using testing::WithValues;

constexpr bind::WorkloadId kWorkload = 5;
constexpr bind::InstanceId kKprobePolicy = 11;
constexpr bind::InstanceId kLsmPolicy = 12;
constexpr bind::InstanceId kPlacesPolicy = 13;
constexpr ProcessKey kShell{100, 50 * kSecondNs, 4};
constexpr ProcessKey kChild{101, 60 * kSecondNs, 4};

class EnrichTest : public ::testing::Test {
 protected:
  EnrichTest() {
    workloads_.workloads[kWorkload] = std::make_shared<WorkloadInfo>(
        WorkloadInfo{.ns = "shop",
                     .pod = "web-1",
                     .pod_uid = "u-1",
                     .container = "app",
                     .container_id = "containerd://0123456789abcdef0123456789abcdef0123",
                     .image = "docker.io/library/app:1",
                     .labels = {{"app", "web"}}});
    const policy::HookInfo kprobe{
        .kind = policy::HookKind::kKprobe,
        .call = "security_bprm_check",
        .message = "shell in a container",
        .tags = {"exec", "gate"},
        .arguments = {{0, policy::ArgumentType::kLinuxBinprm, "program", {}}}};
    const policy::HookInfo lsm{.kind = policy::HookKind::kLsm, .call = "bprm_creds_for_exec"};
    AddInstance(kKprobePolicy, "web-gate", {lsm, kprobe});
    AddInstance(kLsmPolicy, "web-lsm", {lsm});
    const policy::Argument number{4, policy::ArgumentType::kInt32, "pid", {}};
    AddInstance(kPlacesPolicy, "web-places",
                {{.kind = policy::HookKind::kTracepoint,
                  .call = "sched_process_exec",
                  .source = "sched",
                  .message = "runs",
                  .tags = {"t"},
                  .arguments = {number}},
                 {.kind = policy::HookKind::kUprobe,
                  .call = "readline",
                  .source = "/bin/bash",
                  .arguments = {number}},
                 {.kind = policy::HookKind::kUprobe,
                  .call = "+0x1000",
                  .source = "/bin/bash",
                  .counter = 0x2000},
                 {.kind = policy::HookKind::kUsdt,
                  .call = "python:gc::start",
                  .source = "/bin/python3",
                  .message = "runs",
                  .tags = {"t"},
                  .arguments = {number}},
                 {.kind = policy::HookKind::kUprobe,
                  .call = "readline",
                  .source = "/bin/bash",
                  .arguments = {number},
                  .returned = policy::Argument{.index = GH_SUBJECT_RETURN,
                                               .type = policy::ArgumentType::kString,
                                               .label = "line"}},
                 {.kind = policy::HookKind::kLoader, .call = "loader"}});
  }

  void AddInstance(bind::InstanceId id, std::string name, std::vector<policy::HookInfo> hooks) {
    instances_.instances[id] = std::make_shared<InstanceInfo>(InstanceInfo{
        std::move(name), std::make_shared<const std::vector<policy::HookInfo>>(std::move(hooks))});
  }

  EventPtr StartShell(bind::WorkloadId workload = kWorkload) {
    return enricher_.Enrich(ExecRecord{.time_ns = 51 * kSecondNs + 1'000'000,
                                       .process = MakeProcess(kShell, {}, workload),
                                       .binary = "/bin/bash",
                                       .args = args_,
                                       .cwd = "/"});
  }
  static ValueRecord Program(std::string_view path) {
    return {.read = GH_READ_BINPRM, .file_mode = 0100755, .text = path};
  }
  static PolicyRecord Denial() {
    PolicyRecord record;
    record.time_ns = 61 * kSecondNs;
    record.process = MakeProcess(kChild, kShell, kWorkload);
    record.process.tid = 105;
    record.instance = kKprobePolicy;
    record.hook = GH_HOOK_BPRM_CHECK;
    record.hook_index = 1;
    record.actions = GH_ACTION_POST | GH_ACTION_OVERRIDE;
    record.error = -1;
    return WithValues(record, {Program("/usr/bin/curl")});
  }
  static void ExpectText(const google::protobuf::Message& message, const std::string& text) {
    const std::unique_ptr<google::protobuf::Message> expected(message.New());
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, expected.get()));
    google::protobuf::util::MessageDifferencer differ;
    std::string differences;
    differ.ReportDifferencesToString(&differences);
    EXPECT_TRUE(differ.Compare(*expected, message)) << differences;
  }

  const std::string args_ = "bash\0-c\0curl x"s;
  testing::FakeClock clock_;
  testing::FakeProc proc_;
  testing::FakeWorkloads workloads_;
  testing::FakeInstances instances_;
  ProcessCache cache_{{.node_name = "n1"}, clock_, proc_};
  testing::FakeSymbols symbols_;
  Enricher enricher_{
      {.node_name = "n1", .cluster_name = "c1"}, cache_, clock_, workloads_, instances_, symbols_};
};

constexpr char kPodText[] = R"(
  pod {
    namespace: "shop" name: "web-1" uid: "u-1"
    container {
      id: "containerd://0123456789abcdef0123456789abcdef0123" name: "app"
      image { name: "docker.io/library/app:1" }
    }
    pod_labels { key: "app" value: "web" }
  }
  docker: "0123456789abcdef0123456789abcde")";

// exec_id: base64 of n1:51001000000:100, parent: n1:1:0.
std::string ShellText(int refcnt) {
  return R"(
    exec_id: "bjE6NTEwMDEwMDAwMDA6MTAw" pid { value: 100 } uid { value: 1000 } cwd: "/"
    binary: "/bin/bash" arguments: "-c \"curl x\"" flags: "execve rootcwd clone"
    start_time { seconds: 1767323096 nanos: 1000000 } auid { value: 4294967295 }
    parent_exec_id: "bjE6MTow" refcnt: )" +
         std::to_string(refcnt) + R"( tid { value: 100 } in_init_tree { value: false })" + kPodText;
}

// A fork of the shell. exec_id: base64 of n1:60000000000:101.
std::string ForkText(int tid) {
  return R"(
    exec_id: "bjE6NjAwMDAwMDAwMDA6MTAx" pid { value: 101 } uid { value: 1000 } cwd: "/"
    binary: "/bin/bash" arguments: "-c \"curl x\"" flags: "clone"
    start_time { seconds: 1767323105 } auid { value: 4294967295 }
    parent_exec_id: "bjE6NTEwMDEwMDAwMDA6MTAw" refcnt: 1
    tid { value: )" +
         std::to_string(tid) + R"( } in_init_tree { value: false })" + kPodText;
}

TEST_F(EnrichTest, ExecHasEveryField) {
  ExpectText(*StartShell(), "process_exec { process {" + ShellText(1) + R"(} }
    node_name: "n1" cluster_name: "c1" time { seconds: 1767323096 nanos: 1000000 })");
}

TEST_F(EnrichTest, EveryEventHasTheLabelsOfTheNode) {
  Enricher enricher({.node_name = "n1", .cluster_name = {}, .node_labels = {{"zone", "a"}}}, cache_,
                    clock_, workloads_, instances_, symbols_);
  const EventPtr event = enricher.Enrich(PolicyRecord{});
  ASSERT_EQ(event->node_labels().size(), 1U);
  EXPECT_EQ(event->node_labels().at("zone"), "a");
  EXPECT_TRUE(enricher_.Enrich(PolicyRecord{})->node_labels().empty());
}

// A record with stacks of two functions of the kernel and one of the program.
PolicyRecord WithStacks(PolicyRecord record) {
  static const std::array<uint64_t, 3> kAddresses = {0xffffffff81000010, 0xffffffff81000020,
                                                     0x7f0000001234};
  const std::string_view bytes(reinterpret_cast<const char*>(kAddresses.data()),
                               sizeof(kAddresses));
  record.kernel_stack = {.is_told = true, .bytes = bytes.substr(0, 2 * sizeof(uint64_t))};
  record.user_stack = {.is_told = true, .bytes = bytes.substr(2 * sizeof(uint64_t))};
  record.start_stack = 77;
  return record;
}

TEST_F(EnrichTest, StacksHaveNamesAndAddressesIfAsked) {
  const PolicyRecord record = WithStacks(Denial());
  const EventPtr event = enricher_.Enrich(record);
  const auto& hidden = event->process_kprobe();
  ASSERT_EQ(hidden.kernel_stack_trace_size(), 2);
  ExpectText(hidden.kernel_stack_trace(1), R"(symbol: "kernel_function")");
  ASSERT_EQ(hidden.user_stack_trace_size(), 1);
  ExpectText(hidden.user_stack_trace(0),
             R"(offset: 0x234 symbol: "function" module: "/lib/module.so")");
  EXPECT_EQ(symbols_.asked.pid, kChild.pid);
  EXPECT_EQ(symbols_.asked.start_ns, kChild.start_ns);
  EXPECT_EQ(symbols_.asked.start_stack, 77u);

  Enricher exposing({.node_name = "n1", .stack_addresses = true}, cache_, clock_, workloads_,
                    instances_, symbols_);
  const EventPtr exposed = exposing.Enrich(record);
  EXPECT_EQ(exposed->process_kprobe().kernel_stack_trace(0).address(), 0xffffffff81000010);
  EXPECT_EQ(exposed->process_kprobe().user_stack_trace(0).address(), 0x7f0000001234u);
}

TEST_F(EnrichTest, TagsSayWhyAStackIsNotToldOrHasNoNames) {
  PolicyRecord record = WithStacks(Denial());
  record.kernel_stack = {.is_told = true, .error = 14};
  symbols_.knows_program = false;
  const EventPtr event = enricher_.Enrich(record);
  const auto& told = event->process_kprobe();
  EXPECT_TRUE(told.kernel_stack_trace().empty());
  EXPECT_TRUE(told.user_stack_trace().empty());  // nothing would be left to tell of it
  EXPECT_THAT(told.tags(), ElementsAre("exec", "gate", "gatehouse.stack.kernel-unreadable",
                                       "gatehouse.stack.user-unnamed"));
  const EventPtr without = enricher_.Enrich(Denial());
  EXPECT_TRUE(without->process_kprobe().kernel_stack_trace().empty());
  EXPECT_THAT(without->process_kprobe().tags(), ElementsAre("exec", "gate"));
}

TEST_F(EnrichTest, ExitHasEveryField) {
  StartShell();
  (void)enricher_.Enrich(Denial());
  const EventPtr event = enricher_.Enrich(ExitRecord{
      .time_ns = 62 * kSecondNs, .process = MakeProcess(kChild, kShell, kWorkload), .code = 0x89});
  std::string process = ForkText(101);
  process.replace(process.find("refcnt: 1"), 9, "");
  ExpectText(*event, "process_exit { process {" + process + "} parent {" + ShellText(2) + R"(}
    signal: "SIGKILL" time { seconds: 1767323107 } }
    node_name: "n1" cluster_name: "c1" time { seconds: 1767323107 })");
}

TEST_F(EnrichTest, ExitStatusWithoutSignal) {
  StartShell();
  const EventPtr event = enricher_.Enrich(
      ExitRecord{.time_ns = 62 * kSecondNs, .process = MakeProcess(kShell, {}), .code = 3 << 8});
  EXPECT_EQ(event->process_exit().status(), 3u);
  EXPECT_EQ(event->process_exit().signal(), "");
}

TEST_F(EnrichTest, KprobeHasEveryField) {
  StartShell();
  ExpectText(*enricher_.Enrich(Denial()),
             "process_kprobe { process {" + ForkText(105) + "} parent {" + ShellText(2) + R"(}
    function_name: "security_bprm_check"
    args { linux_binprm_arg { path: "/usr/bin/curl" permission: "-rwxr-xr-x" } label: "program" }
    action: KPROBE_ACTION_OVERRIDE policy_name: "web-gate" message: "shell in a container"
    tags: "exec" tags: "gate" }
    node_name: "n1" cluster_name: "c1" time { seconds: 1767323106 })");
}

TEST_F(EnrichTest, LsmHasEveryField) {
  StartShell();
  PolicyRecord record = Denial();
  record.instance = kLsmPolicy;
  record.hook_index = 0;
  record.actions = GH_ACTION_POST;
  ExpectText(*enricher_.Enrich(record),
             "process_lsm { process {" + ForkText(105) + "} parent {" + ShellText(2) + R"(}
    function_name: "bprm_creds_for_exec" action: KPROBE_ACTION_POST policy_name: "web-lsm" }
    node_name: "n1" cluster_name: "c1" time { seconds: 1767323106 })");
}

TEST_F(EnrichTest, TracepointsAndUprobesHaveEveryField) {
  StartShell();
  const auto enriched = [&](uint16_t hook_index) {
    PolicyRecord record = Denial();
    record.instance = kPlacesPolicy;
    record.hook_index = hook_index;
    record.actions = GH_ACTION_POST;
    return enricher_.Enrich(
        WithValues(record, {{.subject = static_cast<gh_subject>(4), .number = 7}}));
  };
  const std::string processes = "process {" + ForkText(105) + "} parent {" + ShellText(2) + "}";
  const std::string envelope = R"(node_name: "n1" cluster_name: "c1" time { seconds: 1767323106 })";
  ExpectText(*enriched(0), "process_tracepoint {" + processes + R"(
    subsys: "sched" event: "sched_process_exec" args { int_arg: 7 label: "pid" }
    policy_name: "web-places" action: KPROBE_ACTION_POST message: "runs" tags: "t" })" +
                               envelope);
  const EventPtr uprobe = enriched(1);
  EXPECT_EQ(uprobe->process_uprobe().path(), "/bin/bash");
  EXPECT_EQ(uprobe->process_uprobe().symbol(), "readline");
  EXPECT_EQ(uprobe->process_uprobe().args(0).int_arg(), 7);
  EXPECT_EQ(uprobe->process_uprobe().action(), tetragon::KPROBE_ACTION_POST);
  const EventPtr at_offset = enriched(2);
  EXPECT_EQ(at_offset->process_uprobe().offset(), 0x1000U);
  EXPECT_EQ(at_offset->process_uprobe().symbol(), "");
  EXPECT_EQ(at_offset->process_uprobe().ref_ctr_offset(), 0x2000U);
  ExpectText(*enriched(3), "process_usdt {" + processes + R"(
    path: "/bin/python3" provider: "python" name: "gc::start"
    args { int_arg: 7 label: "pid" }
    policy_name: "web-places" action: KPROBE_ACTION_POST message: "runs" tags: "t" })" +
                               envelope);
}

TEST_F(EnrichTest, WhatIsMappedHasAPathAndABuildId) {
  StartShell();
  PolicyRecord record = Denial();
  record.instance = kPlacesPolicy;
  record.hook_index = 5;
  const EventPtr event = enricher_.Enrich(WithValues(
      record,
      {{.read = GH_READ_STRING, .text = "/lib/libc.so.6"},
       {.subject = static_cast<gh_subject>(1), .read = GH_READ_BUFFER, .text = "\001\377"}}));
  EXPECT_EQ(event->process_loader().path(), "/lib/libc.so.6");
  EXPECT_EQ(event->process_loader().buildid(), "\001\377");
  EXPECT_EQ(event->process_loader().process().tid().value(), 105U);
  EXPECT_EQ(event->process_loader().parent().binary(), "/bin/bash");
}

TEST_F(EnrichTest, WhatAFunctionOfAProgramReturnsIsTheLastArgument) {
  StartShell();
  PolicyRecord record = Denial();
  record.instance = kPlacesPolicy;
  record.hook_index = 4;
  const gh_subject number = static_cast<gh_subject>(4);
  const EventPtr before = enricher_.Enrich(WithValues(record, {{.subject = number, .number = 7}}));
  EXPECT_EQ(before->process_uprobe().args_size(), 1);
  const EventPtr after = enricher_.Enrich(WithValues(
      record, {{.subject = number, .number = 7},
               {.subject = GH_SUBJECT_RETURN, .read = GH_READ_USER_STRING, .text = "ls"}}));
  ASSERT_EQ(after->process_uprobe().args_size(), 2);
  EXPECT_EQ(after->process_uprobe().args(0).int_arg(), 7);
  EXPECT_EQ(after->process_uprobe().args(1).string_arg(), "ls");
  EXPECT_EQ(after->process_uprobe().args(1).label(), "line");
}

TEST_F(EnrichTest, OneActionStandsForAll) {
  const auto action = [&](uint16_t actions, uint8_t signal) {
    PolicyRecord record = Denial();
    record.actions = actions;
    record.signal = signal;
    return enricher_.Enrich(record)->process_kprobe().action();
  };
  EXPECT_EQ(action(GH_ACTION_POST, 0), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_SIGNAL, 9), tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_SIGNAL, 15), tetragon::KPROBE_ACTION_SIGNAL);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_TRACK_SOCK, 0), tetragon::KPROBE_ACTION_TRACKSOCK);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_NOTIFY, 9), tetragon::KPROBE_ACTION_NOTIFYENFORCER);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_CLEANUP, 0),
            tetragon::KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_UNTRACK_SOCK, 0),
            tetragon::KPROBE_ACTION_UNTRACKSOCK);
  EXPECT_EQ(action(GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL, 9), tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(action(GH_ACTION_POST | GH_ACTION_SET, 0), tetragon::KPROBE_ACTION_SET);
  EXPECT_EQ(action(GH_ACTION_SIGNAL | GH_ACTION_SET, 9), tetragon::KPROBE_ACTION_SIGKILL);
}

TEST_F(EnrichTest, WhatWasNotDoneIsTagged) {
  PolicyRecord record = Denial();
  record.flags = GH_POLICY_MONITOR;
  const EventPtr monitored = enricher_.Enrich(record);
  EXPECT_EQ(monitored->process_kprobe().action(), tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_THAT(monitored->process_kprobe().tags(), ElementsAre("exec", "gate", "gatehouse.monitor"));
  record.flags = GH_POLICY_PROTECTED;
  EXPECT_THAT(enricher_.Enrich(record)->process_kprobe().tags(),
              ElementsAre("exec", "gate", "gatehouse.protected"));
  record.flags = GH_POLICY_BY_SIGNAL;
  EXPECT_THAT(enricher_.Enrich(record)->process_kprobe().tags(),
              ElementsAre("exec", "gate", "gatehouse.by-signal"));
}

TEST_F(EnrichTest, UnreadableArgumentsAreTagged) {
  const PolicyRecord record =
      WithValues(Denial(), {{.read = GH_READ_BINPRM, .unreadable = GH_UNREADABLE_TOO_LONG}});
  const EventPtr event = enricher_.Enrich(record);
  EXPECT_EQ(event->process_kprobe().args(0).linux_binprm_arg().flags(), "unresolvedPathComponents");
  EXPECT_THAT(event->process_kprobe().tags(),
              ElementsAre("exec", "gate", "gatehouse.unreadable.too-long"));
}

TEST_F(EnrichTest, EventOfADeletedPolicyIsNotLost) {
  PolicyRecord record = Denial();
  record.instance = 999;
  const EventPtr event = enricher_.Enrich(record);
  EXPECT_EQ(event->process_kprobe().policy_name(), "");
  EXPECT_EQ(event->process_kprobe().function_name(), "security_bprm_check");
  EXPECT_EQ(event->process_kprobe().args(0).linux_binprm_arg().path(), "/usr/bin/curl");
  EXPECT_THAT(event->process_kprobe().tags(), ElementsAre("gatehouse.policy-gone"));
  record.hook = GH_HOOK_FIRST_FREE;
  EXPECT_EQ(enricher_.Enrich(record)->process_kprobe().function_name(), "");
  record = Denial();
  record.hook_index = 7;  // replaced by one with fewer hooks
  EXPECT_EQ(enricher_.Enrich(record)->process_kprobe().policy_name(), "web-gate");
}

TEST_F(EnrichTest, HostAndUnknownWorkloadsHaveNoPod) {
  EXPECT_FALSE(StartShell(bind::kHostWorkload)->process_exec().process().has_pod());
  EXPECT_FALSE(StartShell(77)->process_exec().process().has_pod());
}

TEST_F(EnrichTest, APlainCgroupIsToldByItsPath) {
  workloads_.workloads[6] = std::make_shared<WorkloadInfo>(
      WorkloadInfo{.labels = {{"a", "b"}}, .cgroup = "/sys/fs/cgroup/app"});
  ExpectText(StartShell(6)->process_exec().process().pod(),
             R"(pod_labels { key: "a" value: "b" }
                pod_annotations { key: "gatehouse.cgroup" value: "/sys/fs/cgroup/app" })");
}

TEST_F(EnrichTest, BadBytesInPathsAreEscaped) {
  const EventPtr event = enricher_.Enrich(WithValues(Denial(), {Program("/tmp/\xff")}));
  EXPECT_EQ(event->process_kprobe().args(0).linux_binprm_arg().path(), "/tmp/\\xff");
  EXPECT_FALSE(event->SerializeAsString().empty());
}

TEST_F(EnrichTest, TimeFollowsTheWallClock) {
  PolicyRecord record = Denial();
  (void)enricher_.Enrich(record);
  clock_.offset_ns += 3'600 * static_cast<int64_t>(kSecondNs);
  record.time_ns += 2 * kSecondNs;
  EXPECT_EQ(enricher_.Enrich(record)->time().seconds(), 1'767'323'108 + 3'600);
}

}  // namespace
}  // namespace gatehouse::event
