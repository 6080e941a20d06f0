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

TEST(CompactTest, Arguments) {
  const auto shown = [](const std::string& arguments) {
    return Compact(R"(process_lsm { process { pid { value: 7 } binary: "/bin/cat" }
        function_name: "file_open" policy_name: "web" action: KPROBE_ACTION_OVERRIDE )" +
                   arguments + "}");
  };
  const auto line = [](const std::string& arguments) {
    return "22:03:57.700 denied    - 7 /bin/cat" + arguments + "  policy web on file_open";
  };
  EXPECT_EQ(shown(""), line(""));
  EXPECT_EQ(shown(R"(args { file_arg { path: "/etc/shadow" } label: "file" })"),
            line(" -> /etc/shadow"));
  EXPECT_EQ(shown(R"(args { path_arg { path: "/a\033" } } args { path_arg { path: "/b" } })"),
            line(" -> /a\\x1b, /b"));
  EXPECT_EQ(shown(R"(args { file_arg { flags: "unresolvedPathComponents" } }
                     args { path_arg {} } args { linux_binprm_arg {} })"),
            line(" -> (unreadable), (unreadable), (unreadable)"));
  EXPECT_EQ(shown(R"(args { int_arg: -1 } args { uint_arg: 4 label: "mask" } args { long_arg: -5 }
                     args { size_arg: 18446744073709551615 label: "\n" })"),
            line(" -> -1, mask=4, -5, \\x0a=18446744073709551615"));
  EXPECT_EQ(shown(R"(args { string_arg: "a b" label: "name" } args { string_arg: "\033" })"),
            line(R"( -> name="a b", "\x1b")"));
  EXPECT_EQ(shown(R"(args { capability_arg { value { value: 21 } name: "CAP_SYS_ADMIN" } }
                     args { capability_arg { value { value: 63 } } label: "cap" })"),
            line(" -> CAP_SYS_ADMIN, cap=63"));
  EXPECT_EQ(shown(R"(args {} args { label: "mask" })"), line(" -> ?, mask=?"));
}

TEST(CompactTest, TerminalSequencesAreShown) {
  EXPECT_EQ(
      Compact(R"(process_exec { process { pid { value: 7 } binary: "/tmp/\033[2J\n\177" } })"),
      "22:03:57.700 exec      - 7 /tmp/\\x1b[2J\\x0a\\x7f");
}

TEST(CompactTest, OtherEvents) {
  EXPECT_EQ(Compact("test { arg0: 1 }"), "22:03:57.700 other     event of type 40000");
}

}  // namespace
}  // namespace gatehouse::exporting
