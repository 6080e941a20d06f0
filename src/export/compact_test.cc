// SPDX-License-Identifier: Apache-2.0
#include "export/compact.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace gatehouse::exporting {
namespace {

std::string Compact(const std::string& text) {
  tetragon::GetEventsResponse event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      text + " time { seconds: 1696629837 nanos: 700326678 }", &event));
  return CompactLine(event);
}

std::string Denial(const std::string& kind, const std::string& rest) {
  return kind + R"( { process { pid { value: 7 } binary: "/bin/sh" arguments: "-c x"
      pod { namespace: "shop" name: "web-1" container { name: "app" } } }
      function_name: "security_bprm_check" policy_name: "web"
      args { linux_binprm_arg { path: "/usr/bin/curl" } } )" +
         rest + "}";
}

TEST(CompactTest, Exec) {
  EXPECT_EQ(Compact(R"(process_exec { process { pid { value: 7 } binary: "/bin/ls"
              arguments: "-l /tmp" } })"),
            "22:03:57.700 exec      - 7 /bin/ls -l /tmp");
}

TEST(CompactTest, AWorkloadThatIsNoPod) {
  EXPECT_EQ(Compact(R"(process_exec { process { pid { value: 7 } binary: "/bin/ls"
              pod { pod_labels { key: "app" value: "web" }
                    pod_annotations { key: "gatehouse.cgroup" value: "/sys/fs/cgroup/app" } } } })"),
            "22:03:57.700 exec      /sys/fs/cgroup/app 7 /bin/ls");
}

TEST(CompactTest, Exit) {
  EXPECT_EQ(Compact(R"(process_exit { process { pid { value: 7 } binary: "/bin/ls" } status: 2 })"),
            "22:03:57.700 exit      - 7 /bin/ls  status 2");
  EXPECT_EQ(Compact(R"(process_exit { process { pid { value: 7 } } signal: "SIGKILL" })"),
            "22:03:57.700 exit      - 7 ?  SIGKILL");
}

TEST(CompactTest, OutcomeOfAPolicy) {
  const auto outcome = [](const std::string& rest) {
    return Compact(Denial("process_kprobe", rest)).substr(13, 9);
  };
  EXPECT_EQ(outcome("action: KPROBE_ACTION_POST"), "seen     ");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_OVERRIDE"), "denied   ");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_SIGKILL"), "killed   ");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_SIGNAL"), "signalled");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_SET"), "set      ");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_OVERRIDE tags: 'gatehouse.by-signal'"), "killed   ");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_OVERRIDE tags: 'gatehouse.monitor'"), "monitored");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_SIGKILL tags: 'gatehouse.protected'"), "protected");
  EXPECT_EQ(outcome("action: KPROBE_ACTION_POST tags: 'gatehouse.monitor'"), "seen     ");
}

TEST(CompactTest, WholeLineOfAPolicy) {
  const std::string expected =
      "22:03:57.700 denied    shop/web-1/app 7 /bin/sh -c x -> /usr/bin/curl"
      "  policy web on security_bprm_check: not here";
  const std::string rest = R"(action: KPROBE_ACTION_OVERRIDE message: "not here")";
  EXPECT_EQ(Compact(Denial("process_kprobe", rest)), expected);
  EXPECT_EQ(Compact(Denial("process_lsm", rest)), expected);
}

TEST(CompactTest, StacksAreLinesOfTheirOwn) {
  EXPECT_EQ(Compact(Denial("process_kprobe", R"(action: KPROBE_ACTION_POST
      kernel_stack_trace { address: 0xffffffff81000010 symbol: "do_syscall_64" offset: 0x5b }
      kernel_stack_trace { }
      user_stack_trace { symbol: "main\n" module: "/bin/a" offset: 0x11d0 }
      user_stack_trace { address: 0x7f01 module: "/lib/c.so" offset: 0x7 })")),
            "22:03:57.700 seen      shop/web-1/app 7 /bin/sh -c x -> /usr/bin/curl"
            "  policy web on security_bprm_check\n"
            "  kernel 0xffffffff81000010 do_syscall_64+0x5b\n"
            "  kernel ?\n"
            "  user   main\\x0a (/bin/a+0x11d0)\n"
            "  user   0x7f01 ? (/lib/c.so+0x7)");
}

// The line of a policy whose event has these arguments.
std::string Shown(const std::string& arguments) {
  return Compact(R"(process_lsm { process { pid { value: 7 } binary: "/bin/cat" }
      function_name: "file_open" policy_name: "web" action: KPROBE_ACTION_OVERRIDE )" +
                 arguments + "}");
}

// The same, of what arguments are shown as.
std::string Line(const std::string& arguments) {
  return "22:03:57.700 denied    - 7 /bin/cat" + arguments + "  policy web on file_open";
}

TEST(CompactTest, Arguments) {
  EXPECT_EQ(Shown(""), Line(""));
  EXPECT_EQ(Shown(R"(args { file_arg { path: "/etc/shadow" } label: "file" })"),
            Line(" -> /etc/shadow"));
  EXPECT_EQ(Shown(R"(args { path_arg { path: "/a\033" } } args { path_arg { path: "/b" } })"),
            Line(" -> /a\\x1b, /b"));
  EXPECT_EQ(Shown(R"(args { file_arg { flags: "unresolvedPathComponents" } }
                     args { path_arg {} } args { linux_binprm_arg {} })"),
            Line(" -> (unreadable), (unreadable), (unreadable)"));
  EXPECT_EQ(Shown(R"(args { int_arg: -1 } args { uint_arg: 4 label: "mask" } args { long_arg: -5 }
                     args { size_arg: 18446744073709551615 label: "\n" })"),
            Line(" -> -1, mask=4, -5, \\x0a=18446744073709551615"));
  EXPECT_EQ(Shown(R"(args { string_arg: "a b" label: "name" } args { string_arg: "\033" })"),
            Line(R"( -> name="a b", "\x1b")"));
  EXPECT_EQ(Shown(R"(args { bytes_arg: "a\000b" label: "data" }
                     args { truncated_bytes_arg { bytes_arg: "ab" orig_size: 9 } })"),
            Line(R"( -> data="a\x00b", "ab"…)"));
  EXPECT_EQ(Shown(R"(args { capability_arg { value { value: 21 } name: "CAP_SYS_ADMIN" } }
                     args { capability_arg { value { value: 63 } } label: "cap" })"),
            Line(" -> CAP_SYS_ADMIN, cap=63"));
  EXPECT_EQ(Shown(R"(args { cap_effective_arg: "0000000000000020" label: "new" }
                     args { cap_permitted_arg: "0" } args { cap_inheritable_arg: "1" }
                     args { kernel_cap_t_arg: "2" })"),
            Line(" -> new=0000000000000020, 0, 1, 2"));
  EXPECT_EQ(Shown(R"(args { sockaddrun_arg { family: "AF_UNIX" path: "@x\033" } label: "to" }
                     args { sockaddrun_arg { family: "AF_INET" } } args { sockaddrun_arg {} })"),
            Line(" -> to=@x\\x1b, AF_INET, (unreadable)"));
  EXPECT_EQ(Shown(R"(args { module_arg { name: "overlay" } } args { module_arg {} })"),
            Line(" -> overlay, (unreadable)"));
  EXPECT_EQ(Shown(R"(args { process_credentials_arg { uid { value: 1 } euid { value: 2 }
                            gid { value: 3 } egid { value: 4 } } label: "new" }
                     args { user_ns_arg { ns { inum: 5 } } })"),
            Line(" -> new=uid 1 euid 2 gid 3 egid 4, user:[5]"));
  EXPECT_EQ(Shown(R"(args { syscall_id { id: 59 abi: "x64" } label: "call" }
                     args { syscall_id { id: 11 abi: "i386" } })"),
            Line(" -> call=59, i386/11"));
  EXPECT_EQ(Shown(R"(args { bpf_cmd_arg: BPF_PROG_LOAD } args { bpf_cmd_arg: 99 })"),
            Line(" -> BPF_PROG_LOAD, 99"));
  EXPECT_EQ(Shown(R"(args { bpf_attr_arg { ProgType: "T" InsnCnt: 2 ProgName: "n" } label: "p" }
                     args { bpf_prog_arg { ProgType: "T" InsnCnt: 2 ProgName: "n" } })"),
            Line(R"( -> p=T "n", 2 instructions, T "n", 2 instructions)"));
  EXPECT_EQ(Shown(R"(args { bpf_map_arg { MapType: "T" KeySize: 4 ValueSize: 8 MaxEntries: 16
                                          MapName: "m" } })"),
            Line(R"( -> T "m", 16 entries of 4+8 bytes)"));
  EXPECT_EQ(Shown(R"(args { perf_event_arg { Type: "T" Config: 18 } }
                     args { perf_event_arg { Type: "T" KprobeFunc: "f" } })"),
            Line(" -> T 0x12, T f"));
  EXPECT_EQ(Shown(R"(args {} args { label: "mask" })"), Line(" -> ?, mask=?"));
}

TEST(CompactTest, DataStandBehindArguments) {
  EXPECT_EQ(Compact(Denial("process_kprobe",
                           R"(data { string_arg: "comm" } data { int_arg: 2 label: "l" }
                              action: KPROBE_ACTION_OVERRIDE)")),
            "22:03:57.700 denied    shop/web-1/app 7 /bin/sh -c x -> /usr/bin/curl, \"comm\", l=2  "
            "policy web on security_bprm_check");
}

TEST(CompactTest, Sockets) {
  const auto expect = [](const std::string& argument, const std::string& text) {
    EXPECT_EQ(Shown("args { " + argument + " }"), Line(" -> " + text));
  };
  const std::string ends = R"(saddr: "10.0.0.1" sport: 4242 daddr: "10.0.0.2" dport: 443)";
  expect(R"(sock_arg { family: "AF_INET" type: "SOCK_STREAM" protocol: "IPPROTO_TCP" )" + ends +
             R"( state: "TCP_ESTABLISHED" cookie: 1 })",
         "TCP 10.0.0.1:4242 -> 10.0.0.2:443");
  expect(R"(skb_arg { family: "AF_INET" proto: 17 protocol: "IPPROTO_UDP" )" + ends + R"( }
            label: "packet")",
         "packet=UDP 10.0.0.1:4242 -> 10.0.0.2:443");
  expect(R"(sock_arg { protocol: "IPPROTO_TCP" saddr: "::1" sport: 1 daddr: "2001:db8::2" })",
         "TCP [::1]:1 -> [2001:db8::2]");
  expect("sock_arg { protocol: '250' " + ends + " }", "250 10.0.0.1:4242 -> 10.0.0.2:443");
  expect("skb_arg { " + ends + " }", "? 10.0.0.1:4242 -> 10.0.0.2:443");
  expect(R"(skb_arg { protocol: "IPPROTO_ICMP" saddr: "10.0.0.1" daddr: "10.0.0.2" })",
         "ICMP 10.0.0.1 -> 10.0.0.2");
  expect(R"(sock_arg { protocol: "IPPROTO_TCP" daddr: "10.0.0.2" dport: 443 })",
         "TCP ? -> 10.0.0.2:443");
  expect(R"(sock_arg { protocol: "IPPROTO_UDP" saddr: "10.0.0.1" })", "UDP 10.0.0.1 -> ?");
  expect(R"(sock_arg { family: "AF_UNIX" protocol: "IPPROTO_IP" })", "AF_UNIX");
  expect("skb_arg { len: 60 }", "?");
  expect("sock_arg {}", "(unreadable)");
  expect("skb_arg {} label: 'packet'", "packet=(unreadable)");
  expect(R"(sock_arg { protocol: "\033" saddr: "\033" })", R"(\x1b \x1b -> ?)");
}

TEST(CompactTest, AddressesOfSockets) {
  const auto expect = [](const std::string& address, const std::string& text) {
    EXPECT_EQ(Shown("args { sockaddr_arg { " + address + " } label: 'to' }"),
              Line(" -> to=" + text));
  };
  expect(R"(family: "AF_INET" addr: "10.0.0.2" port: 443)", "10.0.0.2:443");
  expect(R"(family: "AF_INET" addr: "10.0.0.2")", "10.0.0.2");
  expect(R"(family: "AF_INET6" addr: "2001:db8::2" port: 443)", "[2001:db8::2]:443");
  expect(R"(family: "AF_UNIX")", "AF_UNIX");
  expect(R"(family: "\033")", R"(\x1b)");
  expect("port: 443", "?");
  expect("", "(unreadable)");
}

TEST(CompactTest, TerminalSequencesAreShown) {
  EXPECT_EQ(
      Compact(R"(process_exec { process { pid { value: 7 } binary: "/tmp/\033[2J\n\177" } })"),
      "22:03:57.700 exec      - 7 /tmp/\\x1b[2J\\x0a\\x7f");
}

TEST(CompactTest, PlacesThatAreNoFunctionsOfTheKernel) {
  const auto place = [](const std::string& event) {
    const std::string line = Compact(event);
    return line.substr(line.find(" on ") + 4);
  };
  EXPECT_EQ(place(R"(process_tracepoint { subsys: "sched" event: "sched_switch" })"),
            "sched/sched_switch");
  EXPECT_EQ(place(R"(process_uprobe { path: "/bin/bash" symbol: "readline" })"),
            "/bin/bash:readline");
  EXPECT_EQ(place(R"(process_uprobe { path: "/bin/\033" offset: 4096 })"), "/bin/\\x1b+0x1000");
  EXPECT_EQ(place(R"(process_usdt { path: "/bin/app" provider: "app" name: "start" })"),
            "/bin/app:app:start");
}

TEST(CompactTest, WhatIsMapped) {
  EXPECT_EQ(Compact(R"(process_loader { process { pid { value: 7 } binary: "/bin/ls" }
    path: "/lib/libc.so.6" })"),
            "22:03:57.700 load      - 7 /bin/ls -> /lib/libc.so.6");
}

TEST(CompactTest, OtherEvents) {
  EXPECT_EQ(Compact("test { arg0: 1 }"), "22:03:57.700 other     event of type 40000");
}

}  // namespace
}  // namespace gatehouse::exporting
