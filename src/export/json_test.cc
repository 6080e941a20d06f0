// SPDX-License-Identifier: Apache-2.0
#include "export/json.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace gatehouse::exporting {
namespace {

tetragon::GetEventsResponse FromText(const std::string& text) {
  tetragon::GetEventsResponse event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &event));
  return event;
}

std::string Line(const tetragon::GetEventsResponse& event) {
  std::string line;
  AppendJsonLine(event, &line);
  return line;
}

std::string LineByReflection(const tetragon::GetEventsResponse& event) {
  std::string line;
  AppendJsonLineByReflection(event, &line);
  return line;
}

constexpr char kProcess[] = R"(
  exec_id: "bjE6NTox" pid { value: 1 } uid { value: 0 } cwd: "/" binary: "/bin/sh"
  arguments: "-c \"a b\"" flags: "execve rootcwd clone"
  start_time { seconds: 1696629837 nanos: 700327580 } auid { value: 4294967295 }
  pod { namespace: "default" name: "xwing"
        container { id: "containerd://55" name: "spaceship" image { id: "i@sha256:8" name: "i:1" }
                    start_time { seconds: 1696629161 } pid { value: 49 } }
        pod_labels { key: "org" value: "alliance" } pod_labels { key: "class" value: "xwing" }
        workload: "xwing" }
  docker: "55" parent_exec_id: "bjE6MTow" refcnt: 1 tid { value: 1 } in_init_tree { value: false })";

constexpr char kProcessJson[] =
    R"({"exec_id":"bjE6NTox","pid":1,"uid":0,"cwd":"/","binary":"/bin/sh",)"
    R"("arguments":"-c \"a b\"","flags":"execve rootcwd clone",)"
    R"("start_time":"2023-10-06T22:03:57.700327580Z","auid":4294967295,)"
    R"("pod":{"namespace":"default","name":"xwing",)"
    R"("container":{"id":"containerd://55","name":"spaceship",)"
    R"("image":{"id":"i@sha256:8","name":"i:1"},)"
    R"("start_time":"2023-10-06T21:52:41Z","pid":49},)"
    R"("pod_labels":{"class":"xwing","org":"alliance"},"workload":"xwing"},)"
    R"("docker":"55","parent_exec_id":"bjE6MTow","refcnt":1,"tid":1,"in_init_tree":false})";

// The shape is that of the examples in Tetragon's documentation (concepts/events).
TEST(JsonTest, GoldenExec) {
  const auto event = FromText(std::string("process_exec { process {") + kProcess + "} parent {" +
                              kProcess + R"(} } node_name: "gke-1"
                              time { seconds: 1696629837 nanos: 700326000 })");
  EXPECT_EQ(Line(event), std::string(R"({"process_exec":{"process":)") + kProcessJson +
                             R"(,"parent":)" + kProcessJson +
                             R"(},"node_name":"gke-1","time":"2023-10-06T22:03:57.700326Z"})" +
                             "\n");
}

TEST(JsonTest, GoldenExit) {
  const auto event = FromText(R"(process_exit { process { pid { value: 7 } binary: "/bin/x" }
    signal: "SIGKILL" status: 3 time { seconds: 1696629837 } }
    node_name: "n" time { seconds: 1696629837 nanos: 5000000 })");
  EXPECT_EQ(Line(event),
            R"({"process_exit":{"process":{"pid":7,"binary":"/bin/x"},"signal":"SIGKILL",)"
            R"("status":3,"time":"2023-10-06T22:03:57Z"},"node_name":"n",)"
            R"("time":"2023-10-06T22:03:57.005Z"})"
            "\n");
}

TEST(JsonTest, GoldenKprobe) {
  const auto event = FromText(R"(process_kprobe { process { pid { value: 7 } } parent {}
    function_name: "security_bprm_check"
    args { linux_binprm_arg { path: "/usr/bin/curl" permission: "-rwxr-xr-x" } label: "program" }
    return { int_arg: -13 } action: KPROBE_ACTION_OVERRIDE policy_name: "web" message: "no" tags: "a" tags: "b" }
    node_name: "n" cluster_name: "c")");
  EXPECT_EQ(Line(event),
            R"({"process_kprobe":{"process":{"pid":7},"parent":{},)"
            R"("function_name":"security_bprm_check","args":[{"label":"program",)"
            R"("linux_binprm_arg":{"path":"/usr/bin/curl","permission":"-rwxr-xr-x"}}],)"
            R"("return":{"int_arg":-13},)"
            R"("action":"KPROBE_ACTION_OVERRIDE","policy_name":"web","message":"no",)"
            R"("tags":["a","b"]},"node_name":"n","cluster_name":"c"})"
            "\n");
}

TEST(JsonTest, GoldenLsm) {
  const auto event = FromText(R"(process_lsm { process { pid { value: 7 } }
    function_name: "bprm_check_security" args { linux_binprm_arg { path: "/x" } }
    action: KPROBE_ACTION_SIGKILL policy_name: "web" tags: "gatehouse.monitor" } node_name: "n")");
  EXPECT_EQ(Line(event),
            R"({"process_lsm":{"process":{"pid":7},"function_name":"bprm_check_security",)"
            R"("policy_name":"web","args":[{"linux_binprm_arg":{"path":"/x"}}],)"
            R"("action":"KPROBE_ACTION_SIGKILL","tags":["gatehouse.monitor"]},"node_name":"n"})"
            "\n");
}

TEST(JsonTest, GoldenTracepoint) {
  const auto event = FromText(R"(process_tracepoint { process { pid { value: 7 } } subsys: "sched"
    event: "sched_process_exec" args { string_arg: "/x" } policy_name: "web"
    action: KPROBE_ACTION_POST message: "m" tags: "t" } node_name: "n")");
  EXPECT_EQ(Line(event),
            R"({"process_tracepoint":{"process":{"pid":7},"subsys":"sched",)"
            R"("event":"sched_process_exec","args":[{"string_arg":"/x"}],"policy_name":"web",)"
            R"("action":"KPROBE_ACTION_POST","message":"m","tags":["t"]},"node_name":"n"})"
            "\n");
}

TEST(JsonTest, GoldenUprobe) {
  const auto event = FromText(R"(process_uprobe { process { pid { value: 7 } } path: "/bin/bash"
    symbol: "readline" policy_name: "web" message: "m" args { int_arg: 1 } tags: "t"
    offset: 18446744073709551615 ref_ctr_offset: 4096 action: KPROBE_ACTION_SIGKILL }
    node_name: "n")");
  EXPECT_EQ(Line(event),
            R"({"process_uprobe":{"process":{"pid":7},"path":"/bin/bash","symbol":"readline",)"
            R"("policy_name":"web","message":"m","args":[{"int_arg":1}],"tags":["t"],)"
            R"("offset":"18446744073709551615","ref_ctr_offset":"4096",)"
            R"("action":"KPROBE_ACTION_SIGKILL"},"node_name":"n"})"
            "\n");
}

TEST(JsonTest, GoldenUsdt) {
  const auto event = FromText(R"(process_usdt { process { pid { value: 7 } } path: "/bin/python3"
    provider: "python" name: "gc__start" policy_name: "web" message: "m" args { int_arg: 1 }
    tags: "t" action: KPROBE_ACTION_SET } node_name: "n")");
  EXPECT_EQ(Line(event),
            R"({"process_usdt":{"process":{"pid":7},"path":"/bin/python3","provider":"python",)"
            R"("name":"gc__start","policy_name":"web","message":"m","args":[{"int_arg":1}],)"
            R"("tags":["t"],"action":"KPROBE_ACTION_SET"},"node_name":"n"})"
            "\n");
}

// The printer of protobuf says what is right; the text is for people who read this.
TEST(JsonTest, GoldenArguments) {
  const std::vector<std::pair<std::string, std::string>> arguments = {
      {R"(string_arg: "a \"b\"")", R"("string_arg":"a \"b\"")"},
      {R"(string_arg: "")", R"("string_arg":"")"},
      {"int_arg: -2147483648", R"("int_arg":-2147483648)"},
      {"int_arg: 0", R"("int_arg":0)"},
      {"uint_arg: 4294967295", R"("uint_arg":4294967295)"},
      {"long_arg: -9223372036854775808", R"("long_arg":"-9223372036854775808")"},
      {"long_arg: 0", R"("long_arg":"0")"},
      {"size_arg: 18446744073709551615", R"("size_arg":"18446744073709551615")"},
      {R"(file_arg { mount: "/" path: "/etc/shadow" permission: "-rw-r-----" })",
       R"("file_arg":{"mount":"/","path":"/etc/shadow","permission":"-rw-r-----"})"},
      {R"(file_arg { flags: "unresolvedPathComponents" })",
       R"("file_arg":{"flags":"unresolvedPathComponents"})"},
      {R"(path_arg { path: "/tmp" permission: "drwxrwxrwt" })",
       R"("path_arg":{"path":"/tmp","permission":"drwxrwxrwt"})"},
      {R"(capability_arg { value { value: 21 } name: "CAP_SYS_ADMIN" })",
       R"("capability_arg":{"value":21,"name":"CAP_SYS_ADMIN"})"},
      {"capability_arg { value { value: -1 } }", R"("capability_arg":{"value":-1})"},
      {"capability_arg { value {} }", R"("capability_arg":{"value":0})"},
      {"capability_arg {}", R"("capability_arg":{})"},
      {R"(linux_binprm_arg { path: "/x" permission: "-rwxr-xr-x" })",
       R"("linux_binprm_arg":{"path":"/x","permission":"-rwxr-xr-x"})"},
      {"", ""},
  };
  std::string events = "policy_name: 'p'";
  for (const auto& [text, member] : arguments) {
    const auto event = FromText("process_lsm { args { " + text + " } }");
    EXPECT_EQ(Line(event), R"({"process_lsm":{"args":[{)" + member + "}]}}\n");
    EXPECT_EQ(Line(event), LineByReflection(event));
    events += " args { " + text + " label: 'a label' }";
  }
  const auto several = FromText("process_kprobe { " + events + " }");
  EXPECT_EQ(Line(several), LineByReflection(several));
}

TEST(JsonTest, StacksHaveTetragonsNames) {
  const auto event = FromText(R"(process_kprobe { policy_name: "p"
      kernel_stack_trace { address: 18446744071579926544 offset: 91 symbol: "do_syscall_64" }
      user_stack_trace { offset: 4560 symbol: "main" module: "/bin/a" } })");
  EXPECT_EQ(nlohmann::json::parse(Line(event)), nlohmann::json::parse(R"({"process_kprobe":{
      "policy_name":"p",
      "kernel_stack_trace":[
        {"address":"18446744071579926544","offset":"91","symbol":"do_syscall_64"}],
      "user_stack_trace":[{"offset":"4560","symbol":"main","module":"/bin/a"}]}})"));
}

TEST(JsonTest, EveryCharacterIsOneThatParsersRead) {
  tetragon::GetEventsResponse event;
  std::string text;
  for (char c = 1; c < 0x7f; ++c) text.push_back(c);
  text.append("\x7f\xc2\x80\xc2\x9fäß日本🙂\u2028\u200b\ufeff");
  text.push_back('\0');
  event.mutable_process_exec()->mutable_process()->set_binary(text);
  const std::string line = Line(event);
  EXPECT_EQ(line, LineByReflection(event));
  EXPECT_EQ(nlohmann::json::parse(line)["process_exec"]["process"]["binary"], text);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);  // one line is one event
}

// Fills a message with random values, leaving out some fields.
void Randomize(std::mt19937& random, int depth, google::protobuf::Message* message) {
  using google::protobuf::FieldDescriptor;
  const auto text = [&] {
    static const std::vector<std::string> kTexts = {
        "", "plain", "with \"quotes\" \\", "<&>", "späße", "tab\t", "\n", "/usr/bin/x", "a b"};
    return kTexts[random() % kTexts.size()];
  };
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (random() % 4 == 0) continue;
    if (field->is_map()) {
      auto* entry = reflection->AddMessage(message, field);
      entry->GetReflection()->SetString(entry, entry->GetDescriptor()->field(0), "k" + text());
      entry->GetReflection()->SetString(entry, entry->GetDescriptor()->field(1), text());
      continue;
    }
    const int count = field->is_repeated() ? static_cast<int>(random() % 3) : 1;
    for (int n = 0; n < count; ++n) {
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          field->is_repeated() ? reflection->AddString(message, field, text())
                               : reflection->SetString(message, field, text());
          break;
        case FieldDescriptor::CPPTYPE_UINT32:
          reflection->SetUInt32(message, field, random() % 2 == 0 ? 0 : 4'294'967'295u);
          break;
        case FieldDescriptor::CPPTYPE_INT32:  // nanoseconds
          reflection->SetInt32(message, field, static_cast<int>(random() % 1'000'000'000));
          break;
        case FieldDescriptor::CPPTYPE_INT64:  // seconds
          reflection->SetInt64(message, field, static_cast<int64_t>(random()));
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          reflection->SetUInt64(message, field, random() % 2 == 0 ? 0 : ~uint64_t{0});
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          reflection->SetBool(message, field, random() % 2 == 0);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          if (!field->is_repeated()) {
            const int values = field->enum_type()->value_count();
            reflection->SetEnum(message, field,
                                field->enum_type()->value(static_cast<int>(random()) % values & 3));
          }
          break;
        case FieldDescriptor::CPPTYPE_MESSAGE:
          // Parts that the kernel never fills in make the writer fall back; have them seldom.
          if (depth == 0 || (field->message_type()->name().starts_with("Cap") && random() % 8))
            break;
          Randomize(random, depth - 1,
                    field->is_repeated() ? reflection->AddMessage(message, field)
                                         : reflection->MutableMessage(message, field));
          break;
        default:
          break;
      }
    }
  }
}

TEST(JsonTest, BothWritersGiveTheSameBytes) {
  std::mt19937 random(20'260'102);
  for (int round = 0; round < 3'000; ++round) {
    tetragon::GetEventsResponse event;
    Randomize(random, 2, event.mutable_time());
    switch (round % 6) {
      case 0:
        Randomize(random, round % 5, event.mutable_process_exec());
        break;
      case 1:
        Randomize(random, round % 5, event.mutable_process_exit());
        break;
      case 2:
        Randomize(random, round % 5, event.mutable_process_kprobe());
        break;
      case 3:
        Randomize(random, round % 5, event.mutable_process_lsm());
        break;
      case 4:
        Randomize(random, round % 5, event.mutable_process_tracepoint());
        break;
      case 5:
        Randomize(random, round % 5, event.mutable_process_uprobe());
        break;
      default:
        Randomize(random, round % 5, event.mutable_process_usdt());
        break;
    }
    ASSERT_EQ(Line(event), LineByReflection(event)) << event.ShortDebugString();
  }
}

// As above, without what makes the writer fall back.
TEST(JsonTest, BothWritersGiveTheSameBytesForWhatTheKernelTells) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    tetragon::GetEventsResponse event;
    tetragon::Process* process = event.mutable_process_kprobe()->mutable_process();
    Randomize(random, 3, process);
    process->clear_cap();
    process->clear_ns();
    process->clear_process_credentials();
    process->clear_binary_properties();
    process->clear_user();
    process->clear_environment_variables();
    const auto add = [&] { return event.mutable_process_kprobe()->add_args(); };
    Randomize(random, 2, add()->mutable_linux_binprm_arg());
    Randomize(random, 2, add()->mutable_file_arg());
    Randomize(random, 2, add()->mutable_path_arg());
    Randomize(random, 2, add()->mutable_capability_arg());
    add()->set_long_arg(-static_cast<int64_t>(random()));
    add()->set_size_arg(random());
    add()->set_int_arg(-static_cast<int32_t>(random() % 1'000'000));
    add()->set_uint_arg(static_cast<uint32_t>(random()));
    event.mutable_process_kprobe()->add_tags("<tag>");
    ASSERT_EQ(Line(event), LineByReflection(event)) << event.ShortDebugString();
  }
}

TEST(JsonTest, EventsBeyondTheDirectWriterAreWhole) {
  const auto event = FromText(R"(process_tracepoint { subsys: "raw" event: "sys_enter"
    args { size_arg: 18446744073709551615 } } node_name: "n" aggregation_info { count: 2 })");
  EXPECT_EQ(Line(event), R"({"process_tracepoint":{"subsys":"raw","event":"sys_enter",)"
                         R"("args":[{"size_arg":"18446744073709551615"}]},"node_name":"n",)"
                         R"("aggregation_info":{"count":"2"}})"
                         "\n");
  const auto kprobe = FromText(R"(process_kprobe { args { int_arg: -1 } return { int_arg: 5 } })");
  EXPECT_EQ(Line(kprobe), R"({"process_kprobe":{"args":[{"int_arg":-1}],"return":{"int_arg":5}}})"
                          "\n");
  const auto sockets = FromText(R"(process_lsm {
    args { sock_arg { family: "AF_INET" type: "SOCK_STREAM" protocol: "IPPROTO_TCP" mark: 1
                      priority: 2 saddr: "10.0.0.1" daddr: "10.0.0.2" sport: 4242 dport: 443
                      cookie: 18446744073709551615 state: "TCP_SYN_SENT" } label: "s" }
    args { skb_arg { hash: 1 len: 2 priority: 3 mark: 4 saddr: "::1" daddr: "::2" sport: 5 dport: 6
                     proto: 17 protocol: "IPPROTO_UDP" family: "AF_INET6" } }
    args { sockaddr_arg { family: "AF_INET" addr: "10.0.0.2" port: 443 } }
    args { sockaddr_arg {} } })");
  EXPECT_EQ(Line(sockets),
            R"({"process_lsm":{"args":[{"sock_arg":{"family":"AF_INET","type":"SOCK_STREAM",)"
            R"("protocol":"IPPROTO_TCP","mark":1,"priority":2,"saddr":"10.0.0.1",)"
            R"("daddr":"10.0.0.2","sport":4242,"dport":443,"cookie":"18446744073709551615",)"
            R"("state":"TCP_SYN_SENT"},"label":"s"},{"skb_arg":{"hash":1,"len":2,"priority":3,)"
            R"("mark":4,"saddr":"::1","daddr":"::2","sport":5,"dport":6,"proto":17,)"
            R"("protocol":"IPPROTO_UDP","family":"AF_INET6"}},{"sockaddr_arg":{)"
            R"("family":"AF_INET","addr":"10.0.0.2","port":443}},{"sockaddr_arg":{}}]}})"
            "\n");
}

TEST(JsonTest, ArgumentsBeyondTheDirectWriterAreWhole) {
  const auto event = FromText(R"(process_lsm {
    args { syscall_id { id: 11 abi: "i386" } } args { bpf_cmd_arg: BPF_MAP_CREATE label: "c" }
    args { cap_effective_arg: "0000000000000020" } })");
  EXPECT_EQ(Line(event), R"({"process_lsm":{"args":[{"syscall_id":{"id":11,"abi":"i386"}},)"
                         R"({"label":"c","bpf_cmd_arg":"BPF_MAP_CREATE"},)"
                         R"({"cap_effective_arg":"0000000000000020"}]}})"
                         "\n");
}

TEST(JsonTest, LinesReadBackAreTheEvent) {
  const auto event = FromText(std::string("process_exec { process {") + kProcess +
                              R"(} } node_name: "n" time { seconds: 1 nanos: 1 })");
  tetragon::GetEventsResponse read;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(Line(event), &read).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(event, read));
}

}  // namespace
}  // namespace gatehouse::exporting
