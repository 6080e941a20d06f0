// SPDX-License-Identifier: Apache-2.0
#include "event/arguments.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "event/fakes.h"

namespace gatehouse::event {
namespace {

using policy::ArgumentType;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using testing::WithValues;

policy::Argument Argument(uint32_t index, ArgumentType type, std::string label = "") {
  return {index, type, std::move(label), {}};
}

ValueRecord Number(uint64_t number) { return {.read = GH_READ_NUMBER, .number = number}; }

using Fields = std::vector<std::pair<gh_field, uint64_t>>;

// A socket of which these are known. What is not known has a number that must not be shown.
ValueRecord Socket(gh_read read, const Fields& fields) {
  static std::deque<gh_socket> kept;  // what the records' views point into
  gh_socket& socket = kept.emplace_back();
  std::ranges::fill(socket.fields, 77);
  for (const auto& [field, number] : fields) {
    socket.known |= 1U << field;
    socket.fields[field] = number;
  }
  return {.read = read, .text = {reinterpret_cast<const char*>(&socket), sizeof(socket)}};
}

constexpr uint64_t kIpv4 = 0xffff'0000'0000;  // the last 8 bytes of ::ffff:0.0.0.0

const Fields kConnection = {{GH_FIELD_FAMILY, 2},
                            {GH_FIELD_TYPE, 1},
                            {GH_FIELD_PROTOCOL, 6},
                            {GH_FIELD_STATE, 1},
                            {GH_FIELD_SOURCE_PORT, 4242},
                            {GH_FIELD_DESTINATION_PORT, 443},
                            {GH_FIELD_MARK, 0xffff'ffff},
                            {GH_FIELD_PRIORITY, 7},
                            {GH_FIELD_COOKIE, 0xffff'8881'0203'0405},
                            {GH_FIELD_SOURCE, 0},
                            {GH_FIELD_SOURCE_LOW, kIpv4 | 0x0a000001},
                            {GH_FIELD_DESTINATION, 0},
                            {GH_FIELD_DESTINATION_LOW, kIpv4 | 0xc0a801fe}};

// What an event of a hook with `arguments` shows of the record, as text of a ProcessKprobe.
void ExpectShown(const PolicyRecord& record, const std::vector<policy::Argument>& arguments,
                 const std::string& text) {
  tetragon::ProcessKprobe expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &expected)) << text;
  tetragon::ProcessKprobe shown;
  FillArguments(record, arguments, shown.mutable_args());
  google::protobuf::util::MessageDifferencer differ;
  std::string differences;
  differ.ReportDifferencesToString(&differences);
  EXPECT_TRUE(differ.Compare(expected, shown)) << differences;
}

// The same of a single argument.
void ExpectShown(const ValueRecord& value, ArgumentType type, const std::string& text) {
  ExpectShown(WithValues({}, {value}), {Argument(0, type)}, "args { " + text + " }");
}

TEST(ArgumentsTest, Paths) {
  const auto path = [](gh_read read) {
    return ValueRecord{.read = read, .file_mode = 0100644, .text = "/etc/shadow"};
  };
  ExpectShown(path(GH_READ_BINPRM), ArgumentType::kLinuxBinprm,
              R"(linux_binprm_arg { path: "/etc/shadow" permission: "-rw-r--r--" })");
  ExpectShown(path(GH_READ_FILE), ArgumentType::kFile,
              R"(file_arg { path: "/etc/shadow" permission: "-rw-r--r--" })");
  ExpectShown(path(GH_READ_PATH), ArgumentType::kPath,
              R"(path_arg { path: "/etc/shadow" permission: "-rw-r--r--" })");
}

TEST(ArgumentsTest, PathsOfDentriesAndRequests) {
  ExpectShown(ValueRecord{.read = GH_READ_DENTRY, .file_mode = 0100644, .text = "/x"},
              ArgumentType::kDentry, R"(path_arg { path: "/x" permission: "-rw-r--r--" })");
  ExpectShown(ValueRecord{.read = GH_READ_KIOCB, .file_mode = 0100644, .text = "/x"},
              ArgumentType::kKiocb, R"(file_arg { path: "/x" permission: "-rw-r--r--" })");
  ExpectShown(ValueRecord{.read = GH_READ_DENTRY, .unreadable = GH_UNREADABLE_UNREACHABLE},
              ArgumentType::kDentry, R"(path_arg { flags: "unresolvedPathComponents" })");
}

TEST(ArgumentsTest, Names) {
  ExpectShown(ValueRecord{.read = GH_READ_NET_DEVICE, .text = "lo"}, ArgumentType::kNetDevice,
              R"(string_arg: "lo")");
  ExpectShown(ValueRecord{.read = GH_READ_MODULE, .text = "overlay"}, ArgumentType::kModule,
              R"(module_arg { name: "overlay" })");
  ExpectShown(ValueRecord{.read = GH_READ_LOAD_INFO, .text = "overlay"}, ArgumentType::kLoadInfo,
              R"(module_arg { name: "overlay" })");
}

TEST(ArgumentsTest, AddressesOfUnix) {
  const auto show = [](ValueRecord value, const std::string& text) {
    for (const gh_read read : {GH_READ_SOCKADDR_UN, GH_READ_USER_SOCKADDR_UN}) {
      value.read = read;
      ExpectShown(value, ArgumentType::kSockaddrUn, "sockaddrun_arg { " + text + " }");
    }
  };
  show({.family = 1, .text = "/run/x"}, R"(family: "AF_UNIX" path: "/run/x")");
  show({.family = 1, .text = "@x"}, R"(family: "AF_UNIX" path: "@x")");
  show({.family = 2}, R"(family: "AF_INET")");
  show({.family = 99}, R"(family: "99")");
  show({.unreadable = GH_UNREADABLE_FAULT}, "");
}

TEST(ArgumentsTest, Buffers) {
  for (const gh_read read :
       {GH_READ_BUFFER, GH_READ_USER_BUFFER, GH_READ_IOVEC, GH_READ_USER_IOVEC, GH_READ_IOV_ITER}) {
    const ValueRecord whole{.read = read, .length = 3, .text = {"a\0\xff", 3}};
    ExpectShown(whole, ArgumentType::kBuffer, R"(bytes_arg: "a\000\377")");
    const ValueRecord cut{.read = read, .length = 5000, .text = "ab"};
    ExpectShown(cut, ArgumentType::kIovec,
                R"(truncated_bytes_arg { bytes_arg: "ab" orig_size: 5000 })");
    const ValueRecord unreadable{.read = read, .unreadable = GH_UNREADABLE_FAULT};
    ExpectShown(unreadable, ArgumentType::kIovIter, R"(bytes_arg: "")");
  }
}

TEST(ArgumentsTest, PathsWhoseModeIsNotKnown) {
  ExpectShown(ValueRecord{.read = GH_READ_PATH, .text = "/x"}, ArgumentType::kPath,
              R"(path_arg { path: "/x" })");
}

TEST(ArgumentsTest, Strings) {
  ExpectShown(ValueRecord{.read = GH_READ_STRING, .text = "a b\xff"}, ArgumentType::kString,
              R"(string_arg: "a b\\xff")");
  ExpectShown(ValueRecord{.read = GH_READ_STRING}, ArgumentType::kString, R"(string_arg: "")");
}

TEST(ArgumentsTest, Numbers) {
  constexpr auto kMinusTwo = static_cast<uint64_t>(-2);
  for (const auto type : {ArgumentType::kInt8, ArgumentType::kInt16, ArgumentType::kInt32}) {
    ExpectShown(Number(kMinusTwo), type, "int_arg: -2");
    ExpectShown(Number(0), type, "int_arg: 0");
  }
  ExpectShown(Number(200), ArgumentType::kUint8, "uint_arg: 200");
  ExpectShown(Number(60'000), ArgumentType::kUint16, "uint_arg: 60000");
  ExpectShown(Number(0xffff'ffff), ArgumentType::kUint32, "uint_arg: 4294967295");
  ExpectShown(Number(kMinusTwo), ArgumentType::kInt64, "long_arg: -2");
  ExpectShown(Number(kMinusTwo), ArgumentType::kUint64, "size_arg: 18446744073709551614");
  ExpectShown(Number(kMinusTwo), ArgumentType::kSizeT, "size_arg: 18446744073709551614");
}

TEST(ArgumentsTest, Capabilities) {
  ExpectShown(Number(21), ArgumentType::kCapability,
              R"(capability_arg { value { value: 21 } name: "CAP_SYS_ADMIN" })");
  ExpectShown(Number(0), ArgumentType::kCapability,
              R"(capability_arg { value { value: 0 } name: "CAP_CHOWN" })");
  ExpectShown(Number(63), ArgumentType::kCapability, "capability_arg { value { value: 63 } }");
}

TEST(ArgumentsTest, SetsOfCapabilities) {
  const ValueRecord set{.read = GH_READ_CAPABILITIES, .number = 0x1ff'ffff'ffdf};
  const std::string hex = R"(: "000001ffffffffdf")";
  ExpectShown(set, ArgumentType::kKernelCap, "kernel_cap_t_arg" + hex);
  ExpectShown(set, ArgumentType::kCapInheritable, "cap_inheritable_arg" + hex);
  ExpectShown(set, ArgumentType::kCapPermitted, "cap_permitted_arg" + hex);
  ExpectShown(set, ArgumentType::kCapEffective, "cap_effective_arg" + hex);
  const ValueRecord none{.read = GH_READ_CAPABILITIES, .unreadable = GH_UNREADABLE_FAULT};
  ExpectShown(none, ArgumentType::kCapEffective, "");
}

TEST(ArgumentsTest, Credentials) {
  const gh_cred cred{.uid = 1,
                     .gid = 2,
                     .euid = 3,
                     .egid = 4,
                     .suid = 5,
                     .sgid = 6,
                     .fsuid = 7,
                     .fsgid = 8,
                     .securebits = 1 | 0x20 | 0x8000,
                     .user_ns = 4026531837,
                     .user_ns_level = 0,
                     .user_ns_uid = 9,
                     .user_ns_gid = 10,
                     .reserved = 0,
                     .permitted = 0x21 | uint64_t{1} << 63,
                     .effective = uint64_t{1} << 40,
                     .inheritable = 0};
  const std::string_view bytes(reinterpret_cast<const char*>(&cred), sizeof(cred));
  const std::string level =
      "level { value: 0 } uid { value: 9 } gid { value: 10 } "
      "ns { inum: 4026531837 is_host: true }";
  ExpectShown(ValueRecord{.read = GH_READ_CRED, .text = bytes}, ArgumentType::kCred,
              "process_credentials_arg { uid { value: 1 } gid { value: 2 } euid { value: 3 } "
              "egid { value: 4 } suid { value: 5 } sgid { value: 6 } fsuid { value: 7 } "
              "fsgid { value: 8 } securebits: SecBitNoRoot securebits: SecBitKeepCapsLocked "
              "caps { permitted: CAP_CHOWN permitted: CAP_KILL effective: CAP_CHECKPOINT_RESTORE } "
              "user_ns { " +
                  level + " } }");
  ExpectShown(ValueRecord{.read = GH_READ_USER_NAMESPACE, .text = bytes},
              ArgumentType::kUserNamespace, "user_ns_arg { " + level + " }");
  for (const gh_read read : {GH_READ_CRED, GH_READ_USER_NAMESPACE})
    ExpectShown(ValueRecord{.read = read, .unreadable = GH_UNREADABLE_FAULT}, ArgumentType::kCred,
                "");
}

TEST(ArgumentsTest, ProgramsAndMapsOfBpfAndEvents) {
  gh_object object{};
  object.type = 2;
  object.instructions = 3;
  object.key_bytes = 4;
  object.value_bytes = 5;
  object.entries = 6;
  object.config = 7;
  object.probe_offset = 8;
  std::memset(object.name, 'n', sizeof(object.name));
  const std::string name(sizeof(object.name), 'n');
  const std::string_view bytes(reinterpret_cast<const char*>(&object), sizeof(object));
  const auto expect = [&](gh_read read, ArgumentType type, const std::string& text) {
    ExpectShown(ValueRecord{.read = read, .text = bytes}, type, text);
    ExpectShown(ValueRecord{.read = read, .unreadable = GH_UNREADABLE_FAULT}, type, "");
  };
  const std::string program =
      " { ProgType: \"BPF_PROG_TYPE_KPROBE\" InsnCnt: 3 ProgName: \"" + name + "\" }";
  expect(GH_READ_BPF_ATTR, ArgumentType::kBpfAttr, "bpf_attr_arg" + program);
  expect(GH_READ_BPF_PROG, ArgumentType::kBpfProg, "bpf_prog_arg" + program);
  expect(GH_READ_BPF_MAP, ArgumentType::kBpfMap,
         "bpf_map_arg { MapType: \"BPF_MAP_TYPE_ARRAY\" KeySize: 4 ValueSize: 5 MaxEntries: 6 "
         "MapName: \"" +
             name + "\" }");
  expect(GH_READ_PERF_EVENT, ArgumentType::kPerfEvent,
         "perf_event_arg { KprobeFunc: \"" + name +
             "\" Type: \"PERF_TYPE_TRACEPOINT\" Config: 7 ProbeOffset: 8 }");
}

TEST(ArgumentsTest, SystemCalls) {
  ExpectShown(ValueRecord{.read = GH_READ_SYSTEM_CALL, .number = 59}, ArgumentType::kSystemCall,
              R"(syscall_id { id: 59 abi: "x64" })");
  ExpectShown(ValueRecord{.read = GH_READ_SYSTEM_CALL, .number = 0x8000'000b},
              ArgumentType::kSystemCall, R"(syscall_id { id: 11 abi: "i386" })");
}

TEST(ArgumentsTest, CommandsOfBpf) {
  ExpectShown(Number(5), ArgumentType::kBpfCommand, "bpf_cmd_arg: BPF_PROG_LOAD");
  ExpectShown(Number(0), ArgumentType::kBpfCommand, "bpf_cmd_arg: BPF_MAP_CREATE");
}

TEST(ArgumentsTest, Sockets) {
  const std::string shown = R"(sock_arg { family: "AF_INET" type: "SOCK_STREAM"
      protocol: "IPPROTO_TCP" mark: 4294967295 priority: 7 saddr: "10.0.0.1" daddr: "192.168.1.254"
      sport: 4242 dport: 443 cookie: 18446612686398751749 state: "TCP_ESTABLISHED" })";
  ExpectShown(Socket(GH_READ_SOCK, kConnection), ArgumentType::kSock, shown);
  ExpectShown(Socket(GH_READ_SOCKET, kConnection), ArgumentType::kSocket, shown);
}

TEST(ArgumentsTest, Packets) {
  ExpectShown(Socket(GH_READ_SKB, {{GH_FIELD_FAMILY, 10},
                                   {GH_FIELD_PROTOCOL, 17},
                                   {GH_FIELD_SOURCE_PORT, 53},
                                   {GH_FIELD_DESTINATION_PORT, 65'535},
                                   {GH_FIELD_MARK, 1},
                                   {GH_FIELD_PRIORITY, 2},
                                   {GH_FIELD_HASH, 3},
                                   {GH_FIELD_LENGTH, 1'500},
                                   {GH_FIELD_SOURCE, 0x2001'0db8'0000'0000},
                                   {GH_FIELD_SOURCE_LOW, 0x0102'0304'0506'0708},
                                   {GH_FIELD_DESTINATION, 0},
                                   {GH_FIELD_DESTINATION_LOW, 1}}),
              ArgumentType::kSkb, R"(skb_arg { hash: 3 len: 1500 priority: 2 mark: 1
                  saddr: "2001:db8::102:304:506:708" daddr: "::1" sport: 53 dport: 65535 proto: 17
                  protocol: "IPPROTO_UDP" family: "AF_INET6" })");
}

TEST(ArgumentsTest, AddressesOfSockets) {
  for (const gh_read read : {GH_READ_SOCKADDR, GH_READ_USER_SOCKADDR}) {
    ExpectShown(Socket(read, kConnection), ArgumentType::kSockaddr,
                R"(sockaddr_arg { family: "AF_INET" addr: "10.0.0.1" port: 4242 })");
  }
}

TEST(ArgumentsTest, AddressesAsText) {
  const auto expect = [](uint64_t high, uint64_t low, const std::string& text) {
    ExpectShown(Socket(GH_READ_SOCKADDR, {{GH_FIELD_SOURCE, high}, {GH_FIELD_SOURCE_LOW, low}}),
                ArgumentType::kSockaddr, R"(sockaddr_arg { addr: ")" + text + R"(" })");
  };
  expect(0, kIpv4, "0.0.0.0");
  expect(0, kIpv4 | 0xffff'ffff, "255.255.255.255");
  expect(0, kIpv4 | 0x7f00'0001, "127.0.0.1");
  expect(0, 0, "::");
  // Not mapped, though one part or the other of what a mapped one begins with is there.
  expect(0, 0xfffe'0102'0304, "::fffe:102:304");
  expect(1, kIpv4 | 0x0102'0304, "::1:0:ffff:102:304");
  expect(0, 0x1'0000'0000'0000 | kIpv4 | 0x0102'0304, "::1:ffff:102:304");
  expect(0xfe80'0000'0000'0000, 0x0011'22ff'fe33'4455, "fe80::11:22ff:fe33:4455");
  expect(~uint64_t{0}, ~uint64_t{0}, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST(ArgumentsTest, NumbersOfSocketsWithoutName) {
  const Fields unknown = {{GH_FIELD_FAMILY, 250},
                          {GH_FIELD_TYPE, 250},
                          {GH_FIELD_PROTOCOL, 250},
                          {GH_FIELD_STATE, 250}};
  ExpectShown(Socket(GH_READ_SOCK, unknown), ArgumentType::kSock,
              R"(sock_arg { family: "250" type: "250" protocol: "250" state: "250" })");
  ExpectShown(Socket(GH_READ_SKB, unknown), ArgumentType::kSkb,
              R"(skb_arg { family: "250" protocol: "250" proto: 250 })");
  ExpectShown(Socket(GH_READ_SOCKADDR, unknown), ArgumentType::kSockaddr,
              R"(sockaddr_arg { family: "250" })");
  // Not cut to 32 bits, in which it would be AF_INET.
  ExpectShown(Socket(GH_READ_SOCKADDR, {{GH_FIELD_FAMILY, 0x1'0000'0002}}), ArgumentType::kSockaddr,
              R"(sockaddr_arg { family: "4294967298" })");
}

TEST(ArgumentsTest, WhatIsNotKnownOfASocketIsLeftOut) {
  ExpectShown(Socket(GH_READ_SOCK, {{GH_FIELD_FAMILY, 1}, {GH_FIELD_TYPE, 2}}), ArgumentType::kSock,
              R"(sock_arg { family: "AF_UNIX" type: "SOCK_DGRAM" })");
  ExpectShown(Socket(GH_READ_SKB, {{GH_FIELD_LENGTH, 60}}), ArgumentType::kSkb,
              "skb_arg { len: 60 }");
  ExpectShown(Socket(GH_READ_SOCKADDR, {{GH_FIELD_FAMILY, 0}, {GH_FIELD_SOURCE_PORT, 80}}),
              ArgumentType::kSockaddr, R"(sockaddr_arg { family: "AF_UNSPEC" port: 80 })");
  // Half an address is none.
  ExpectShown(Socket(GH_READ_SOCK, {{GH_FIELD_SOURCE, 1}, {GH_FIELD_DESTINATION_LOW, 1}}),
              ArgumentType::kSock, "sock_arg {}");
}

TEST(ArgumentsTest, UnreadableValues) {
  const auto unreadable = [](gh_read read) {
    return ValueRecord{.read = read, .unreadable = GH_UNREADABLE_FAULT};
  };
  ExpectShown(unreadable(GH_READ_BINPRM), ArgumentType::kLinuxBinprm,
              R"(linux_binprm_arg { flags: "unresolvedPathComponents" })");
  ExpectShown(unreadable(GH_READ_FILE), ArgumentType::kFile,
              R"(file_arg { flags: "unresolvedPathComponents" })");
  ExpectShown(unreadable(GH_READ_PATH), ArgumentType::kPath,
              R"(path_arg { flags: "unresolvedPathComponents" })");
  ExpectShown(unreadable(GH_READ_STRING), ArgumentType::kString, R"(string_arg: "")");
  ExpectShown(unreadable(GH_READ_NUMBER), ArgumentType::kInt32, "");
  ExpectShown(unreadable(GH_READ_SOCK), ArgumentType::kSock, "sock_arg {}");
  ExpectShown(unreadable(GH_READ_SOCKET), ArgumentType::kSocket, "sock_arg {}");
  ExpectShown(unreadable(GH_READ_SKB), ArgumentType::kSkb, "skb_arg {}");
  ExpectShown(unreadable(GH_READ_SOCKADDR), ArgumentType::kSockaddr, "sockaddr_arg {}");
}

PolicyRecord Open() {
  return WithValues(
      {}, {{.subject = static_cast<gh_subject>(2), .read = GH_READ_STRING, .text = "name"},
           {.subject = GH_SUBJECT_BINARY, .read = GH_READ_BINARY, .text = "/bin/cat"},
           {.subject = static_cast<gh_subject>(1), .read = GH_READ_NUMBER, .number = 5},
           {.subject = GH_SUBJECT_ARGUMENT_0, .read = GH_READ_FILE, .text = "/etc/shadow"},
           {.subject = static_cast<gh_subject>(4), .read = GH_READ_PATH, .text = "/tmp"},
           {.subject = static_cast<gh_subject>(3), .read = GH_READ_BINPRM, .text = "/x"}});
}

TEST(ArgumentsTest, OrderAndLabelsAreThePolicys) {
  ExpectShown(Open(),
              {Argument(1, ArgumentType::kInt32, "mask"), Argument(0, ArgumentType::kFile, "what"),
               Argument(2, ArgumentType::kString)},
              R"(args { int_arg: 5 label: "mask" }
                 args { file_arg { path: "/etc/shadow" } label: "what" }
                 args { string_arg: "name" })");
  ExpectShown(Open(), {}, "");
}

TEST(ArgumentsTest, WhatTheRecordDoesNotTellKeepsItsPlace) {
  ExpectShown(WithValues({}, {{.read = GH_READ_FILE, .text = "/x"}}),
              {Argument(1, ArgumentType::kInt32, "mask"), Argument(0, ArgumentType::kFile)},
              R"(args { label: "mask" } args { file_arg { path: "/x" } })");
}

TEST(ArgumentsTest, EveryArgumentIsShownIfNoPolicySaysWhich) {
  ExpectShown(Open(), ArgumentsOf(Open()), R"(
      args { file_arg { path: "/etc/shadow" } }
      args { long_arg: 5 }
      args { string_arg: "name" }
      args { linux_binprm_arg { path: "/x" } }
      args { path_arg { path: "/tmp" } })");
}

TEST(ArgumentsTest, SocketsAreShownIfNoPolicySaysWhich) {
  PolicyRecord record;
  for (const gh_read read :
       {GH_READ_SOCK, GH_READ_SOCKET, GH_READ_SKB, GH_READ_SOCKADDR, GH_READ_USER_SOCKADDR}) {
    ValueRecord value = Socket(read, {{GH_FIELD_FAMILY, 2}});
    value.subject = static_cast<gh_subject>(record.n_values);
    record.values[record.n_values++] = value;
  }
  const auto arguments = ArgumentsOf(record);
  EXPECT_THAT(arguments, ElementsAre(Field(&policy::Argument::type, ArgumentType::kSock),
                                     Field(&policy::Argument::type, ArgumentType::kSocket),
                                     Field(&policy::Argument::type, ArgumentType::kSkb),
                                     Field(&policy::Argument::type, ArgumentType::kSockaddr),
                                     Field(&policy::Argument::type, ArgumentType::kSockaddr)));
  ExpectShown(record, arguments, R"(
      args { sock_arg { family: "AF_INET" } }
      args { sock_arg { family: "AF_INET" } }
      args { skb_arg { family: "AF_INET" } }
      args { sockaddr_arg { family: "AF_INET" } }
      args { sockaddr_arg { family: "AF_INET" } })");
}

TEST(ArgumentsTest, EveryReasonHasAWord) {
  const std::vector<std::pair<gh_unreadable, std::string>> reasons = {
      {GH_UNREADABLE_TOO_LONG, "too-long"},     {GH_UNREADABLE_UNREACHABLE, "unreachable"},
      {GH_UNREADABLE_FAULT, "fault"},           {GH_UNREADABLE_NO_BINARY, "no-binary"},
      {GH_UNREADABLE_NO_SCRATCH, "no-scratch"}, {GH_UNREADABLE_TOO_MANY, "too-many"}};
  const std::vector arguments = {Argument(0, ArgumentType::kFile)};
  for (const auto& [reason, word] : reasons) {
    const auto record = WithValues({}, {{.read = GH_READ_FILE, .unreadable = reason}});
    EXPECT_THAT(UnreadableWords(record, arguments), ElementsAre(word));
  }
}

TEST(ArgumentsTest, EachReasonIsNamedOnceAndOnlyForWhatIsShown) {
  const auto value = [](int subject, gh_unreadable reason) {
    return ValueRecord{.subject = static_cast<gh_subject>(subject),
                       .read = subject == GH_SUBJECT_BINARY ? GH_READ_BINARY : GH_READ_FILE,
                       .unreadable = reason};
  };
  const auto record = WithValues(
      {}, {value(0, GH_UNREADABLE_TOO_MANY), value(1, GH_READABLE), value(2, GH_UNREADABLE_FAULT),
           value(3, GH_UNREADABLE_TOO_MANY), value(4, GH_UNREADABLE_TOO_LONG),
           value(GH_SUBJECT_BINARY, GH_UNREADABLE_NO_BINARY)});
  std::vector<policy::Argument> arguments;
  for (uint32_t index = 0; index < 4; ++index) {
    arguments.push_back(Argument(index, ArgumentType::kFile));
  }
  EXPECT_THAT(UnreadableWords(record, arguments), ElementsAre("fault", "too-many"));
  EXPECT_THAT(UnreadableWords(record, {}), IsEmpty());
  EXPECT_THAT(UnreadableWords(record, {}, std::span(arguments).subspan(2, 1)),
              ElementsAre("fault"));
}

}  // namespace
}  // namespace gatehouse::event
