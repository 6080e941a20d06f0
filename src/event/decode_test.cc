// SPDX-License-Identifier: Apache-2.0
#include "event/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "event/fakes.h"

namespace gatehouse::event {
namespace {

using testing::Bytes;
using testing::ExecLayout;
using ::testing::HasSubstr;

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

gh_event_policy PolicyLayout(std::string_view object) {
  gh_event_policy layout{};
  layout.header.time_ns = 44;
  layout.process = SomeProcess();
  layout.policy = 7;
  layout.hook = GH_HOOK_BPRM_CHECK;
  layout.rule = 3;
  layout.actions = GH_ACTION_POST | GH_ACTION_OVERRIDE;
  layout.error = -13;
  layout.signal = 9;
  layout.flags = GH_POLICY_MONITOR;
  layout.unreadable = GH_UNREADABLE_FAULT;
  layout.hook_index = 2;
  layout.file_mode = 0100755;
  layout.object_len = static_cast<uint32_t>(object.size());
  return layout;
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
  const auto bytes = Bytes(PolicyLayout("/usr/bin/id"), GH_EVENT_POLICY, {"/usr/bin/id"});
  const auto record = Decode(bytes);
  ASSERT_TRUE(record) << record.error().Message();
  const auto& policy = std::get<PolicyRecord>(*record);
  EXPECT_EQ(policy.time_ns, 44u);
  ExpectSomeProcess(policy.process);
  EXPECT_EQ(policy.instance, 7u);
  EXPECT_EQ(policy.hook, GH_HOOK_BPRM_CHECK);
  EXPECT_EQ(policy.rule, 3);
  EXPECT_EQ(policy.actions, GH_ACTION_POST | GH_ACTION_OVERRIDE);
  EXPECT_EQ(policy.error, -13);
  EXPECT_EQ(policy.signal, 9);
  EXPECT_EQ(policy.flags, GH_POLICY_MONITOR);
  EXPECT_EQ(policy.unreadable, GH_UNREADABLE_FAULT);
  EXPECT_EQ(policy.hook_index, 2);
  EXPECT_EQ(policy.file_mode, 0100755);
  EXPECT_EQ(policy.object, "/usr/bin/id");
}

TEST(DecodeTest, BytesBehindTheRecordAreIgnored) {
  auto bytes = ExecBytes();
  bytes.resize(bytes.size() + 24);
  const auto record = Decode(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(std::get<ExecRecord>(*record).cwd, "/tmp");
}

TEST(DecodeTest, EveryTruncationIsRefused) {
  const auto policy = Bytes(PolicyLayout("/usr/bin/id"), GH_EVENT_POLICY, {"/usr/bin/id"});
  const auto exit = Bytes(gh_event_exit{}, GH_EVENT_EXIT);
  for (const auto& whole : {ExecBytes(), exit, policy}) {
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
  const auto refused = [](const auto& layout, uint32_t type, std::string_view part) {
    const auto record = Decode(Bytes(layout, type, {part}));
    return record ? "decoded" : record.error().Message();
  };
  gh_event_exec exec = ExecLayout("/bin/sh", "", "");
  exec.args_len = 1;
  EXPECT_THAT(refused(exec, GH_EVENT_EXEC, "/bin/sh"),
              HasSubstr("args of 1 bytes, but 0 are left"));
  exec.args_len = 0xffffffff;
  EXPECT_THAT(refused(exec, GH_EVENT_EXEC, "/bin/sh"), HasSubstr("over the limit of 4096"));
  exec = ExecLayout("", "", "");
  exec.cwd_len = GH_PATH_MAX;
  const std::string path(GH_PATH_MAX, 'a');
  EXPECT_THAT(refused(exec, GH_EVENT_EXEC, path), HasSubstr("over the limit of 4095"));
  gh_event_policy policy = PolicyLayout("/a");
  policy.object_len = 3;
  EXPECT_THAT(refused(policy, GH_EVENT_POLICY, "/a"), HasSubstr("object of 3 bytes, but 2"));
}

TEST(DecodeTest, EveryReasonForAnUnreadablePathIsKnown) {
  for (int reason = GH_READABLE; reason <= GH_UNREADABLE_TOO_MANY; ++reason) {
    gh_event_policy policy = PolicyLayout("");
    policy.unreadable = static_cast<uint8_t>(reason);
    const auto record = Decode(Bytes(policy, GH_EVENT_POLICY));
    ASSERT_TRUE(record) << record.error().Message();
    EXPECT_EQ(std::get<PolicyRecord>(*record).unreadable, reason);
  }
}

TEST(DecodeTest, UnknownNumbersAreRefused) {
  auto bytes = Bytes(gh_event_exit{}, 99);
  EXPECT_THAT(Decode(bytes).error().Message(), HasSubstr("unknown type 99"));
  gh_event_policy policy = PolicyLayout("");
  policy.hook = GH_HOOK_COUNT;
  EXPECT_THAT(Decode(Bytes(policy, GH_EVENT_POLICY)).error().Message(), HasSubstr("unknown hook"));
  policy = PolicyLayout("");
  policy.unreadable = GH_UNREADABLE_TOO_MANY + 1;
  EXPECT_THAT(Decode(Bytes(policy, GH_EVENT_POLICY)).error().Message(),
              HasSubstr("unknown reason " + std::to_string(policy.unreadable)));
}

TEST(DecodeTest, HostileBytesNeverLeadOutside) {
  std::mt19937 random(20'260'102);
  const auto whole = Bytes(PolicyLayout("/usr/bin/id"), GH_EVENT_POLICY, {"/usr/bin/id"});
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
      EXPECT_TRUE(inside(policy->object));
    }
  }
}

}  // namespace
}  // namespace gatehouse::event
