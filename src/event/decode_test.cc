// SPDX-License-Identifier: Apache-2.0
#include "event/decode.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "event/fakes.h"

namespace gatehouse::event {
namespace {

using testing::Bytes;
using ::testing::Each;
using ::testing::ElementsAreArray;
using testing::ExecLayout;
using ::testing::HasSubstr;
using testing::NumberBytes;
using testing::ValueBytes;
using testing::ValueHeader;

gh_process SomeProcess() {
  gh_process process{};
  process.pid = 101;
  process.tid = 102;
  process.start_ns = 103;
  process.exec_seq = 104;
  process.parent_pid = 105;
  process.uid = 106;
  process.parent_start_ns = 107;
  process.parent_exec_seq = 108;
  process.cgroup_id = 109;
  process.auid = 110;
  process.workload = 111;
  return process;
}

void ExpectSomeProcess(const ProcessRecord& process) {
  EXPECT_EQ(process.key, (ProcessKey{101, 103, 104}));
  EXPECT_EQ(process.parent, (ProcessKey{105, 107, 108}));
  EXPECT_EQ(process.tid, 102u);
  EXPECT_EQ(process.uid, 106u);
  EXPECT_EQ(process.cgroup_id, 109u);
  EXPECT_EQ(process.auid, 110u);
  EXPECT_EQ(process.workload, 111u);
}

std::vector<std::byte> ExecBytes() {
  const std::string args("sh\0-c\0", 6);
  gh_event_exec layout = ExecLayout("/bin/sh", args, "/tmp");
  layout.header.time_ns = 42;
  layout.process = SomeProcess();
  layout.flags = GH_EXEC_ARGS_CUT;
  return Bytes(layout, GH_EVENT_EXEC, {"/bin/sh", args, "/tmp"});
}

gh_event_policy PolicyLayout(gh_u8 n_values) {
  gh_event_policy layout{};
  layout.header.time_ns = 44;
  layout.process = SomeProcess();
  layout.policy = 7;
  layout.hook = 1'234;
  layout.rule = GH_RULE_NUMBER(300, 3);
  layout.actions = GH_ACTION_POST | GH_ACTION_OVERRIDE;
  layout.error = -13;
  layout.signal = 9;
  layout.flags = GH_POLICY_MONITOR;
  layout.n_values = n_values;
  return layout;
}

std::vector<std::byte> PolicyBytes(const std::vector<std::string>& values) {
  std::string all;
  for (const std::string& value : values) all += value;
  return Bytes(PolicyLayout(static_cast<gh_u8>(values.size())), GH_EVENT_POLICY, {all});
}

std::string FileBytes(gh_u8 subject, std::string_view path) {
  return ValueBytes({.subject = subject, .read = GH_READ_FILE, .file_mode = 0100755}, path);
}

// A socket whose every field is known: field n is 100 + n.
gh_socket WholeSocket() {
  gh_socket socket{};
  socket.known = (1U << GH_FIELD_COUNT) - 1;
  for (int field = 0; field < GH_FIELD_COUNT; ++field) {
    socket.fields[field] = 100 + static_cast<gh_u64>(field);
  }
  return socket;
}

std::string SocketBytes(const ValueHeader& header, const gh_socket& socket) {
  return ValueBytes(header, {reinterpret_cast<const char*>(&socket), sizeof(socket)});
}

constexpr std::array<gh_u8, 5> kSocketReads = {GH_READ_SOCK, GH_READ_SOCKET, GH_READ_SKB,
                                               GH_READ_SOCKADDR, GH_READ_USER_SOCKADDR};

// One value of each kind, in no order; the socket's bytes are not aligned.
std::vector<std::byte> WholePolicy() {
  return PolicyBytes(
      {ValueBytes({.subject = 3, .read = GH_READ_PATH, .file_mode = 040755}, "/tmp"),
       FileBytes(0, "/usr/bin/id"),
       SocketBytes({.subject = GH_SUBJECT_RETURN, .read = GH_READ_SOCK}, WholeSocket()),
       NumberBytes(1, 0xffff'ffff'ffff'fffeu),
       ValueBytes({.subject = GH_SUBJECT_BINARY, .read = GH_READ_BINARY}, "/bin/sh"),
       ValueBytes({.subject = 4, .read = GH_READ_STRING, .unreadable = GH_UNREADABLE_FAULT}, ""),
       ValueBytes({.subject = 2, .read = GH_READ_SOCKADDR_UN, .family = 1}, "/x"),
       ValueBytes({.subject = 5, .read = GH_READ_USER_BUFFER, .length = 9}, "a\1b")});
}

// What is wrong with the bytes.
std::string Refusal(const std::vector<std::byte>& bytes) {
  const auto record = Decode(bytes);
  return record ? "decoded" : record.error().Message();
}

TEST(DecodeTest, ExecHasEveryField) {
  const auto bytes = ExecBytes();
  const auto record = Decode(bytes);
  ASSERT_TRUE(record) << record.error().Message();
  const auto& exec = std::get<ExecRecord>(*record);
  EXPECT_EQ(exec.time_ns, 42u);
  ExpectSomeProcess(exec.process);
  EXPECT_EQ(exec.flags, static_cast<uint32_t>(GH_EXEC_ARGS_CUT));
  EXPECT_EQ(exec.binary, "/bin/sh");
  EXPECT_EQ(exec.args, std::string_view("sh\0-c\0", 6));
  EXPECT_EQ(exec.cwd, "/tmp");
}

TEST(DecodeTest, ExitHasEveryField) {
  gh_event_exit layout{};
  layout.header.time_ns = 43;
  layout.process = SomeProcess();
  layout.code = 3 << 8;
  const auto record = Decode(Bytes(layout, GH_EVENT_EXIT));
  ASSERT_TRUE(record) << record.error().Message();
  const auto& exit = std::get<ExitRecord>(*record);
  EXPECT_EQ(exit.time_ns, 43u);
  ExpectSomeProcess(exit.process);
  EXPECT_EQ(exit.code, 3u << 8);
}

TEST(DecodeTest, PolicyHasEveryField) {
  const auto bytes = WholePolicy();
  const auto record = Decode(bytes);
  ASSERT_TRUE(record) << record.error().Message();
  const auto& policy = std::get<PolicyRecord>(*record);
  EXPECT_EQ(policy.time_ns, 44u);
  ExpectSomeProcess(policy.process);
  EXPECT_EQ(policy.instance, 7u);
  EXPECT_EQ(policy.hook, 1'234);
  EXPECT_EQ(policy.rule, 3);
  EXPECT_EQ(policy.actions, GH_ACTION_POST | GH_ACTION_OVERRIDE);
  EXPECT_EQ(policy.error, -13);
  EXPECT_EQ(policy.signal, 9);
  EXPECT_EQ(policy.flags, GH_POLICY_MONITOR);
  EXPECT_EQ(policy.hook_index, 300);
  EXPECT_EQ(policy.n_values, 8u);
}

TEST(DecodeTest, EveryWayToReadAValueIsKnown) {
  const auto bytes = WholePolicy();
  const auto record = Decode(bytes);
  ASSERT_TRUE(record) << record.error().Message();
  const auto& policy = std::get<PolicyRecord>(*record);
  const auto expect = [&](uint32_t subject, const ValueRecord& expected) {
    const ValueRecord* value = policy.Find(subject);
    ASSERT_NE(value, nullptr) << subject;
    EXPECT_EQ(value->subject, subject);
    EXPECT_EQ(value->read, expected.read);
    EXPECT_EQ(value->unreadable, expected.unreadable);
    EXPECT_EQ(value->file_mode, expected.file_mode);
    EXPECT_EQ(value->family, expected.family);
    EXPECT_EQ(value->length, expected.length);
    EXPECT_EQ(value->number, expected.number);
    EXPECT_EQ(value->text, expected.text);
    EXPECT_EQ(value->Socket().known, expected.Socket().known);
    EXPECT_THAT(value->Socket().fields, ElementsAreArray(expected.Socket().fields));
  };
  expect(0, {.read = GH_READ_FILE, .file_mode = 0100755, .text = "/usr/bin/id"});
  expect(1, {.read = GH_READ_NUMBER, .number = static_cast<uint64_t>(-2)});
  expect(2, {.read = GH_READ_SOCKADDR_UN, .family = 1, .text = "/x"});
  expect(5, {.read = GH_READ_USER_BUFFER, .length = 9, .text = "a\1b"});
  expect(3, {.read = GH_READ_PATH, .file_mode = 040755, .text = "/tmp"});
  expect(4, {.read = GH_READ_STRING, .unreadable = GH_UNREADABLE_FAULT});
  expect(GH_SUBJECT_BINARY, {.read = GH_READ_BINARY, .text = "/bin/sh"});
  const gh_socket socket = WholeSocket();
  expect(GH_SUBJECT_RETURN,
         {.read = GH_READ_SOCK, .text = {reinterpret_cast<const char*>(&socket), sizeof(socket)}});
}

TEST(DecodeTest, WhatTheEventDoesNotTellIsNotFound) {
  const auto bytes = PolicyBytes({NumberBytes(1, 5)});
  const auto record = Decode(bytes);
  ASSERT_TRUE(record) << record.error().Message();
  EXPECT_EQ(std::get<PolicyRecord>(*record).Find(0), nullptr);
  EXPECT_EQ(std::get<PolicyRecord>(*record).Find(GH_SUBJECT_TOLD), nullptr);
  const auto empty = Decode(PolicyBytes({}));
  ASSERT_TRUE(empty) << empty.error().Message();
  EXPECT_EQ(std::get<PolicyRecord>(*empty).Find(0), nullptr);
}

TEST(DecodeTest, BytesBehindTheRecordAreIgnored) {
  auto bytes = ExecBytes();
  bytes.resize(bytes.size() + 24);
  const auto record = Decode(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(std::get<ExecRecord>(*record).cwd, "/tmp");
}

TEST(DecodeTest, EveryTruncationIsRefused) {
  const auto exit = Bytes(gh_event_exit{}, GH_EVENT_EXIT);
  for (const auto& whole : {ExecBytes(), exit, WholePolicy()}) {
    ASSERT_TRUE(Decode(whole));
    for (size_t size = 0; size < whole.size(); ++size) {
      auto bytes = whole;
      bytes.resize(size);
      EXPECT_FALSE(Decode(bytes)) << size;  // the header's size tells
      if (size < sizeof(gh_event_header)) continue;
      const auto claimed = static_cast<uint32_t>(size);
      std::memcpy(bytes.data(), &claimed, sizeof(claimed));
      EXPECT_FALSE(Decode(bytes)) << size << " with a header that agrees";
    }
  }
}

TEST(DecodeTest, LengthsThatLieAreRefused) {
  const auto refused = [](const gh_event_exec& layout, std::string_view part) {
    return Refusal(Bytes(layout, GH_EVENT_EXEC, {part}));
  };
  gh_event_exec exec = ExecLayout("/bin/sh", "", "");
  exec.args_len = 1;
  EXPECT_THAT(refused(exec, "/bin/sh"), HasSubstr("args of 1 bytes, but 0 are left"));
  exec.args_len = 0xffffffff;
  EXPECT_THAT(refused(exec, "/bin/sh"), HasSubstr("over the limit of 4096"));
  exec = ExecLayout("", "", "");
  exec.cwd_len = GH_PATH_MAX;
  EXPECT_THAT(refused(exec, std::string(GH_PATH_MAX, 'a')), HasSubstr("over the limit of 4095"));
}

TEST(DecodeTest, LengthsOfValuesThatLieAreRefused) {
  std::string file = FileBytes(0, "/a");
  file.pop_back();
  EXPECT_THAT(Refusal(PolicyBytes({file})), HasSubstr("value of 2 bytes, but 1 are left"));
  EXPECT_THAT(Refusal(PolicyBytes({FileBytes(0, std::string(GH_PATH_MAX, 'a'))})),
              HasSubstr("over the limit of 4095"));
  EXPECT_EQ(Refusal(PolicyBytes({FileBytes(0, std::string(GH_PATH_MAX - 1, 'a'))})), "decoded");
  EXPECT_THAT(Refusal(Bytes(PolicyLayout(1), GH_EVENT_POLICY, {"1234567"})),
              HasSubstr("7 bytes, but 12 are the least"));
  EXPECT_THAT(Refusal(Bytes(PolicyLayout(1), GH_EVENT_POLICY, {FileBytes(0, "/a") + "!"})),
              HasSubstr("1 bytes behind its values"));
  EXPECT_THAT(Refusal(Bytes(PolicyLayout(0), GH_EVENT_POLICY, {FileBytes(0, "/a")})),
              HasSubstr("14 bytes behind its values"));
}

// A record without values and with stacks.
std::vector<std::byte> StackBytes(gh_u8 flags, int n_kernel, int n_user,
                                  const std::vector<uint64_t>& addresses) {
  gh_event_policy layout = PolicyLayout(0);
  layout.flags = flags;
  gh_event_stacks stacks{};
  stacks.n_kernel = static_cast<gh_s16>(n_kernel);
  stacks.n_user = static_cast<gh_s16>(n_user);
  stacks.start_stack = 77;
  std::string all(sizeof(stacks) + addresses.size() * 8, '\0');
  std::memcpy(all.data(), &stacks, sizeof(stacks));
  if (!addresses.empty()) {
    std::memcpy(all.data() + sizeof(stacks), addresses.data(), addresses.size() * 8);
  }
  return Bytes(layout, GH_EVENT_POLICY, {all});
}

TEST(DecodeTest, StacksAreBehindTheValues) {
  constexpr gh_u8 kBoth = GH_POLICY_KERNEL_STACK | GH_POLICY_USER_STACK;
  const auto bytes = StackBytes(kBoth, 2, 1, {1, 2, 3});
  const auto record = Decode(bytes);
  ASSERT_TRUE(record) << record.error().Message();
  const auto& both = std::get<PolicyRecord>(*record);
  EXPECT_TRUE(both.kernel_stack.is_told && both.user_stack.is_told);
  EXPECT_THAT(both.kernel_stack.Addresses(), ::testing::ElementsAre(1, 2));
  EXPECT_THAT(both.user_stack.Addresses(), ::testing::ElementsAre(3));
  EXPECT_EQ(both.start_stack, 77u);

  const auto one_bytes = StackBytes(GH_POLICY_USER_STACK, 0, -14, {});
  const auto one_record = Decode(one_bytes);
  ASSERT_TRUE(one_record) << one_record.error().Message();
  const auto& one = std::get<PolicyRecord>(*one_record);
  EXPECT_FALSE(one.kernel_stack.is_told);
  EXPECT_TRUE(one.user_stack.is_told);
  EXPECT_EQ(one.user_stack.error, 14);
  EXPECT_THAT(one.user_stack.Addresses(), ::testing::IsEmpty());
}

TEST(DecodeTest, StacksThatLieAreRefused) {
  EXPECT_THAT(Refusal(StackBytes(GH_POLICY_KERNEL_STACK, 3, 0, {1, 2})),
              HasSubstr("stack of 24 bytes, but 16 are left"));
  EXPECT_THAT(Refusal(StackBytes(GH_POLICY_KERNEL_STACK, 1, 0, {1, 2})),
              HasSubstr("8 bytes behind its values"));
  EXPECT_THAT(Refusal(StackBytes(GH_POLICY_KERNEL_STACK, 128, 0, std::vector<uint64_t>(128))),
              HasSubstr("over the limit of 1016"));
  EXPECT_THAT(Refusal(StackBytes(0, 0, 0, {})), HasSubstr("16 bytes behind its values"));
  gh_event_policy none = PolicyLayout(0);
  none.flags = GH_POLICY_USER_STACK;
  EXPECT_THAT(Refusal(Bytes(none, GH_EVENT_POLICY, {})),
              HasSubstr("0 bytes, but 16 are the least"));
}

TEST(DecodeTest, NumbersHaveEightBytes) {
  const auto refused = [](gh_unreadable unreadable, size_t bytes) {
    return Refusal(PolicyBytes(
        {ValueBytes({.read = GH_READ_NUMBER, .unreadable = static_cast<gh_u8>(unreadable)},
                    std::string(bytes, '\1'))}));
  };
  EXPECT_EQ(refused(GH_READABLE, 8), "decoded");
  EXPECT_THAT(refused(GH_READABLE, 0), HasSubstr("a number of 0 bytes"));
  EXPECT_THAT(refused(GH_READABLE, 4), HasSubstr("a number of 4 bytes"));
  EXPECT_THAT(refused(GH_READABLE, 9), HasSubstr("a number of 9 bytes"));
  EXPECT_EQ(refused(GH_UNREADABLE_NO_SCRATCH, 0), "decoded");
  EXPECT_THAT(refused(GH_UNREADABLE_NO_SCRATCH, 7), HasSubstr("a number of 7 bytes"));
}

TEST(DecodeTest, EveryWayToReadASocketIsKnown) {
  for (const gh_u8 read : kSocketReads) {
    const auto bytes = PolicyBytes({SocketBytes({.read = read}, WholeSocket())});
    const auto record = Decode(bytes);
    ASSERT_TRUE(record) << record.error().Message();
    const ValueRecord& value = std::get<PolicyRecord>(*record).values[0];
    EXPECT_EQ(value.read, read);
    EXPECT_EQ(value.Socket().known, WholeSocket().known);
    EXPECT_THAT(value.Socket().fields, ElementsAreArray(WholeSocket().fields));
    EXPECT_EQ(value.number, 0u);
  }
}

TEST(DecodeTest, NothingIsKnownOfAnUnreadableSocket) {
  const ValueHeader header{.read = GH_READ_SKB, .unreadable = GH_UNREADABLE_FAULT};
  for (const std::string& value : {ValueBytes(header, ""), SocketBytes(header, WholeSocket())}) {
    const auto bytes = PolicyBytes({value});
    const auto record = Decode(bytes);
    ASSERT_TRUE(record) << record.error().Message();
    const ValueRecord& read = std::get<PolicyRecord>(*record).values[0];
    EXPECT_EQ(read.unreadable, GH_UNREADABLE_FAULT);
    EXPECT_EQ(read.Socket().known, 0u);
    EXPECT_THAT(read.Socket().fields, Each(0u));
  }
}

TEST(DecodeTest, SocketsHaveTheSizeOfTheirLayout) {
  for (const gh_u8 read : kSocketReads) {
    const auto refused = [&](gh_unreadable unreadable, size_t bytes) {
      return Refusal(
          PolicyBytes({ValueBytes({.read = read, .unreadable = static_cast<gh_u8>(unreadable)},
                                  std::string(bytes, '\0'))}));
    };
    EXPECT_EQ(refused(GH_READABLE, 136), "decoded");
    EXPECT_THAT(refused(GH_READABLE, 0), HasSubstr("a socket of 0 bytes"));
    EXPECT_THAT(refused(GH_READABLE, 8), HasSubstr("a socket of 8 bytes"));
    EXPECT_THAT(refused(GH_READABLE, 135), HasSubstr("a socket of 135 bytes"));
    EXPECT_THAT(refused(GH_READABLE, 137), HasSubstr("a socket of 137 bytes"));
    EXPECT_EQ(refused(GH_UNREADABLE_FAULT, 0), "decoded");
    EXPECT_THAT(refused(GH_UNREADABLE_FAULT, 8), HasSubstr("a socket of 8 bytes"));
  }
}

TEST(DecodeTest, CredentialsHaveTheSizeOfTheirLayout) {
  for (const gh_u8 read : {GH_READ_CRED, GH_READ_USER_NAMESPACE}) {
    const auto bytes_of = [&](gh_unreadable unreadable, std::string_view bytes) {
      return PolicyBytes(
          {ValueBytes({.read = read, .unreadable = static_cast<gh_u8>(unreadable)}, bytes)});
    };
    gh_cred cred{};
    cred.uid = 7;
    cred.inheritable = 1;
    const auto bytes =
        bytes_of(GH_READABLE, std::string_view(reinterpret_cast<const char*>(&cred), sizeof(cred)));
    const auto record = Decode(bytes);
    ASSERT_TRUE(record) << record.error().Message();
    EXPECT_EQ(std::get<PolicyRecord>(*record).values[0].Cred().uid, 7U);
    EXPECT_EQ(std::get<PolicyRecord>(*record).values[0].Cred().inheritable, 1U);
    const std::string long_bytes(81, '\0');
    EXPECT_THAT(Refusal(bytes_of(GH_READABLE, "")), HasSubstr("credentials of 0 bytes"));
    EXPECT_THAT(Refusal(bytes_of(GH_READABLE, long_bytes)), HasSubstr("credentials of 81 bytes"));
    EXPECT_EQ(Refusal(bytes_of(GH_UNREADABLE_FAULT, "")), "decoded");
  }
}

TEST(DecodeTest, ObjectsHaveTheSizeOfTheirLayout) {
  for (const gh_u8 read :
       {GH_READ_BPF_ATTR, GH_READ_BPF_PROG, GH_READ_BPF_MAP, GH_READ_PERF_EVENT}) {
    const auto bytes_of = [&](gh_unreadable unreadable, std::string_view bytes) {
      return PolicyBytes({ValueBytes({.subject = GH_SUBJECT_TOLD - 1,
                                      .read = read,
                                      .unreadable = static_cast<gh_u8>(unreadable)},
                                     bytes)});
    };
    gh_object object{};
    object.entries = 7;
    const auto bytes = bytes_of(
        GH_READABLE, std::string_view(reinterpret_cast<const char*>(&object), sizeof(object)));
    const auto record = Decode(bytes);
    ASSERT_TRUE(record) << record.error().Message();
    EXPECT_EQ(std::get<PolicyRecord>(*record).values[0].Object().entries, 7U);
    EXPECT_THAT(Refusal(bytes_of(GH_READABLE, "")), HasSubstr("an object of 0 bytes"));
    EXPECT_EQ(Refusal(bytes_of(GH_UNREADABLE_FAULT, "")), "decoded");
  }
}

TEST(DecodeTest, UnknownFieldsOfASocketAreRefused) {
  gh_socket socket{};
  for (const gh_unreadable unreadable : {GH_READABLE, GH_UNREADABLE_FAULT}) {
    const auto refused = [&](gh_u32 known) {
      socket.known = known;
      return Refusal(PolicyBytes({SocketBytes(
          {.read = GH_READ_SOCKADDR, .unreadable = static_cast<gh_u8>(unreadable)}, socket)}));
    };
    EXPECT_EQ(refused(1U << (GH_FIELD_COUNT - 1)), "decoded");
    EXPECT_THAT(refused(1U << GH_FIELD_COUNT | 2),
                HasSubstr("unknown fields of a socket among 0x10002"));
    EXPECT_THAT(refused(1U << 31), HasSubstr("unknown fields of a socket among 0x80000000"));
  }
}

TEST(DecodeTest, EveryReasonForAnUnreadableValueIsKnown) {
  for (int reason = GH_READABLE; reason <= GH_UNREADABLE_TOO_MANY; ++reason) {
    const auto bytes = PolicyBytes(
        {ValueBytes({.read = GH_READ_FILE, .unreadable = static_cast<gh_u8>(reason)}, "")});
    const auto record = Decode(bytes);
    ASSERT_TRUE(record) << record.error().Message();
    EXPECT_EQ(std::get<PolicyRecord>(*record).values[0].unreadable, reason);
  }
}

TEST(DecodeTest, EveryHookIsKnown) {
  gh_event_policy policy = PolicyLayout(0);
  policy.hook = GH_HOOK_MAX;
  const auto record = Decode(Bytes(policy, GH_EVENT_POLICY));
  ASSERT_TRUE(record) << record.error().Message();
  EXPECT_EQ(std::get<PolicyRecord>(*record).hook, GH_HOOK_MAX);
}

TEST(DecodeTest, UnknownNumbersAreRefused) {
  EXPECT_THAT(Refusal(Bytes(gh_event_exit{}, 99)), HasSubstr("unknown type 99"));
  const auto refused = [](const testing::ValueHeader& layout) {
    return Refusal(PolicyBytes({ValueBytes(layout, "/a")}));
  };
  EXPECT_THAT(refused({.subject = GH_SUBJECT_TOLD, .read = GH_READ_FILE}),
              HasSubstr(fmt::format("unknown subject {}", int{GH_SUBJECT_TOLD})));
  for (const gh_read read : {GH_READ_COUNT, GH_READ_PROCESS}) {  // the latter is never told
    EXPECT_THAT(refused({.read = read}),
                HasSubstr(fmt::format("unknown way {} to read a value", static_cast<int>(read))));
  }
  EXPECT_THAT(refused({.read = GH_READ_FILE, .unreadable = GH_UNREADABLE_TOO_MANY + 1}),
              HasSubstr("unknown reason 7"));
  EXPECT_THAT(refused({.read = GH_READ_BINARY}), HasSubstr("subject 0 read in way"));
  EXPECT_THAT(refused({.subject = GH_SUBJECT_BINARY, .read = GH_READ_FILE}),
              HasSubstr("read in way"));
}

TEST(DecodeTest, EachSubjectIsToldOnce) {
  EXPECT_THAT(Refusal(PolicyBytes({NumberBytes(1, 5), FileBytes(0, "/a"), FileBytes(1, "/b")})),
              HasSubstr("subject 1 twice"));
  EXPECT_THAT(Refusal(PolicyBytes(std::vector<std::string>(GH_SUBJECT_TOLD + 1, "value"))),
              HasSubstr(fmt::format("{} values, but {} are the most", GH_SUBJECT_TOLD + 1,
                                    int{GH_SUBJECT_TOLD})));
}

TEST(DecodeTest, HostileBytesNeverLeadOutside) {
  std::mt19937 random(20'260'102);
  const auto whole = WholePolicy();
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = round % 2 == 0 ? whole : ExecBytes();
    for (int flips = 0; flips < 4; ++flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto record = Decode(bytes);
    if (!record) continue;
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const auto inside = [&](std::string_view part) {
      return part.data() >= begin && part.data() + part.size() <= begin + bytes.size();
    };
    if (const auto* exec = std::get_if<ExecRecord>(&*record)) {
      EXPECT_TRUE(inside(exec->binary) && inside(exec->args) && inside(exec->cwd));
    } else if (const auto* policy = std::get_if<PolicyRecord>(&*record)) {
      for (const ValueRecord& value : std::span(policy->values).first(policy->n_values)) {
        EXPECT_TRUE(value.text.empty() || inside(value.text));
      }
    }
  }
}

}  // namespace
}  // namespace gatehouse::event
