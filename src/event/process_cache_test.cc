// SPDX-License-Identifier: Apache-2.0
#include "event/process_cache.h"

#include <gtest/gtest.h>

#include "event/fakes.h"
#include "event/text.h"

namespace gatehouse::event {
namespace {

using std::string_literals::operator""s;
using std::string_view_literals::operator""sv;
using testing::kBootWallNs;
using testing::kSecondNs;
using testing::MakeProcess;

constexpr bind::WorkloadId kWorkload = 5;
constexpr ProcessKey kNone{};
constexpr ProcessKey kShell{100, 50 * kSecondNs, 4};

class ProcessCacheTest : public ::testing::Test {
 protected:
  ExecRecord Exec(uint64_t time_ns, ProcessKey key, ProcessKey parent, std::string_view binary,
                  std::string_view args = "x", bind::WorkloadId workload = bind::kHostWorkload) {
    return {.time_ns = time_ns,
            .process = MakeProcess(key, parent, workload),
            .binary = binary,
            .args = args,
            .cwd = "/root"};
  }
  const Process& StartShell() {
    return cache_.OnExec(Exec(51 * kSecondNs, kShell, kNone, "/bin/bash", "bash\0-i"sv));
  }
  static std::string ExecId(uint64_t start_ns, uint32_t pid) {
    return MakeExecId("n1", start_ns, pid);
  }

  testing::FakeClock clock_;
  testing::FakeProc proc_;
  ProcessCache cache_{{.node_name = "n1", .capacity = 16}, clock_, proc_};
};

TEST_F(ProcessCacheTest, ExecIdIsBase64OfNodeStartAndPid) {
  EXPECT_EQ(MakeExecId("node-a", 13'548'674'321'373, 52'699),
            Base64("node-a:13548674321373:52699"));
}

TEST_F(ProcessCacheTest, ExecAfterForkIsAChildOfItsParent) {
  const std::string shell_id = StartShell().exec_id;
  const ProcessKey key{101, 60 * kSecondNs, 5};
  ExecRecord record = Exec(61 * kSecondNs, key, kShell, "/bin/ls", "ls\0-l"sv);
  record.flags = GH_EXEC_ARGS_CUT;
  record.cwd = "/";
  const Process& ls = cache_.OnExec(record);
  EXPECT_EQ(ls.key, key);
  EXPECT_EQ(ls.binary, "/bin/ls");
  EXPECT_EQ(ls.arguments, "-l");
  EXPECT_EQ(ls.cwd, "/");
  EXPECT_EQ(ls.flags, "execve truncArgs rootcwd clone");
  EXPECT_EQ(ls.uid, 1000u);
  EXPECT_EQ(ls.auid, 0xffffffffu);
  EXPECT_EQ(ls.exec_id, ExecId(61 * kSecondNs, 101));
  EXPECT_EQ(ls.parent_exec_id, shell_id);
  EXPECT_EQ(ls.start_wall_ns, kBootWallNs + static_cast<int64_t>(61 * kSecondNs));
  EXPECT_EQ(ls.References(), 1u);
  const Process* shell = cache_.Parent(ls);
  ASSERT_NE(shell, nullptr);
  EXPECT_EQ(shell->binary, "/bin/bash");
  EXPECT_EQ(shell->References(), 2u);
}

TEST_F(ProcessCacheTest, SecondExecveIsAChildOfTheFirst) {
  StartShell();
  ProcessKey key{101, 60 * kSecondNs, 5};
  const std::string first_id = cache_.OnExec(Exec(61 * kSecondNs, key, kShell, "/bin/sh")).exec_id;
  key.exec_seq = 6;
  const Process& second = cache_.OnExec(Exec(62 * kSecondNs, key, kShell, "/bin/ls"));
  EXPECT_EQ(second.flags, "execve");
  EXPECT_EQ(second.parent_exec_id, first_id);
  EXPECT_NE(second.exec_id, first_id);
  const Process* first = cache_.Parent(second);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->binary, "/bin/sh");
  EXPECT_TRUE(first->ended);
  EXPECT_EQ(first->References(), 1u);
}

TEST_F(ProcessCacheTest, UnreadablePartsAreFlagged) {
  ExecRecord record = Exec(61 * kSecondNs, {101, 60 * kSecondNs, 5}, kNone, "", "");
  record.flags = GH_EXEC_BINARY_UNREADABLE | GH_EXEC_ARGS_FAULT | GH_EXEC_CWD_UNREADABLE;
  EXPECT_EQ(cache_.OnExec(record).flags, "execve errorFilename errorArgs errorCWD clone");
}

TEST_F(ProcessCacheTest, BytesBecomeText) {
  const Process& process = cache_.OnExec(Exec(1, {101, 1, 5}, kNone, "/tmp/\xff", "a\0\xfe"sv));
  EXPECT_EQ(process.binary, "/tmp/\\xff");
  EXPECT_EQ(process.arguments, "\\xfe");
}

TEST_F(ProcessCacheTest, ResolveFindsWhatExecPut) {
  StartShell();
  ProcessRecord record = MakeProcess(kShell, kNone, kWorkload);
  const Process& found = cache_.Resolve(record);
  EXPECT_EQ(found.binary, "/bin/bash");
  EXPECT_EQ(found.workload, kWorkload);  // it may have moved to another cgroup
  EXPECT_EQ(cache_.stats().entries, 1u);
}

TEST_F(ProcessCacheTest, ForkWithoutExecveRunsItsParentsProgram) {
  const std::string shell_id = StartShell().exec_id;
  const ProcessKey child{102, 70 * kSecondNs, kShell.exec_seq};
  const Process& fork = cache_.Resolve(MakeProcess(child, kShell));
  EXPECT_TRUE(fork.forked);
  EXPECT_EQ(fork.key.pid, 102u);
  EXPECT_EQ(fork.binary, "/bin/bash");
  EXPECT_EQ(fork.arguments, "-i");
  EXPECT_EQ(fork.flags, "clone");
  EXPECT_EQ(fork.exec_id, ExecId(70 * kSecondNs, 102));
  EXPECT_EQ(fork.parent_exec_id, shell_id);
  EXPECT_EQ(fork.start_wall_ns, kBootWallNs + static_cast<int64_t>(70 * kSecondNs));
  EXPECT_EQ(cache_.stats().forks, 1u);

  // Its first execve has the parent's execution as parent, not its own life before.
  const Process& ls =
      cache_.OnExec(Exec(71 * kSecondNs, {102, 70 * kSecondNs, 5}, kShell, "/bin/ls"));
  EXPECT_EQ(ls.flags, "execve clone");
  EXPECT_EQ(ls.parent_exec_id, shell_id);
}

TEST_F(ProcessCacheTest, ForkBeforeItsParentsNextExecve) {
  StartShell();
  ProcessKey later = kShell;
  later.exec_seq = 5;
  cache_.OnExec(Exec(80 * kSecondNs, later, kNone, "/bin/other"));
  const Process& fork = cache_.Resolve(MakeProcess({102, 70 * kSecondNs, 4}, later));
  EXPECT_EQ(fork.binary, "/bin/bash");
}

TEST_F(ProcessCacheTest, ForkOfAProcessThatOnlyProcKnows) {
  proc_.Add({.pid = 100,
             .start_ticks = kShell.start_ns / kTickNs,
             .binary = "/bin/bash",
             .args = "bash\0-i"s,
             .cwd = "/"});
  const Process& fork = cache_.Resolve(MakeProcess({102, 70 * kSecondNs, 4}, kShell));
  EXPECT_TRUE(fork.forked);
  EXPECT_EQ(fork.binary, "/bin/bash");
  EXPECT_EQ(cache_.stats().from_proc, 1u);
}

TEST_F(ProcessCacheTest, LostExecEventIsReadFromProc) {
  StartShell();
  const ProcessKey key{101, 60 * kSecondNs + 1'234, 5};
  proc_.Add({.pid = 101,
             .parent_pid = 100,
             .start_ticks = key.start_ns / kTickNs,
             .uid = 3,
             .auid = 4,
             .binary = "/bin/lost",
             .args = "lost\0a b"s,
             .cwd = "/var"});
  proc_.Add({.pid = 100, .start_ticks = kShell.start_ns / kTickNs});
  const Process& lost = cache_.Resolve(MakeProcess(key, kShell, kWorkload));
  EXPECT_EQ(lost.binary, "/bin/lost");
  EXPECT_EQ(lost.arguments, "\"a b\"");
  EXPECT_EQ(lost.cwd, "/var");
  EXPECT_EQ(lost.flags, "procFS");
  EXPECT_EQ(lost.uid, 3u);
  EXPECT_EQ(lost.auid, 4u);
  EXPECT_EQ(lost.workload, kWorkload);
  EXPECT_EQ(lost.exec_id, ExecId(key.start_ns / kTickNs * kTickNs, 101));
  ASSERT_NE(cache_.Parent(lost), nullptr);
  EXPECT_EQ(cache_.Parent(lost)->binary, "/bin/bash");
  EXPECT_EQ(cache_.stats().from_proc, 1u);
  cache_.Resolve(MakeProcess(key, kShell, kWorkload));
  EXPECT_EQ(cache_.stats().from_proc, 1u);  // once
}

TEST_F(ProcessCacheTest, PidThatWasGivenAnewIsNotTaken) {
  proc_.Add({.pid = 101, .start_ticks = 9'999, .binary = "/bin/stranger"});
  const ProcessKey key{101, 60 * kSecondNs, 5};
  const Process& process = cache_.Resolve(MakeProcess(key, kShell));
  EXPECT_EQ(process.binary, "");
  EXPECT_EQ(process.flags, "miss");
  EXPECT_EQ(process.exec_id, ExecId(60 * kSecondNs, 101));
  EXPECT_EQ(process.parent_exec_id, ExecId(kShell.start_ns, 100));
  EXPECT_EQ(process.uid, 1000u);
  EXPECT_EQ(cache_.stats().unknown, 1u);
}

TEST_F(ProcessCacheTest, RecordOfAnOlderExecutionIsNotTakenForTheNewOne) {
  StartShell();
  proc_.Add({.pid = 100, .start_ticks = kShell.start_ns / kTickNs, .binary = "/bin/bash"});
  ProcessKey older = kShell;
  older.exec_seq = 3;
  EXPECT_EQ(cache_.Resolve(MakeProcess(older, kNone)).binary, "");
  // ... and does not become the task's latest.
  ProcessKey newer = kShell;
  newer.exec_seq = 5;
  EXPECT_EQ(cache_.Parent(cache_.OnExec(Exec(90 * kSecondNs, newer, kNone, "/bin/x")))->binary,
            "/bin/bash");
}

TEST_F(ProcessCacheTest, FillTakesInRunningProcesses) {
  proc_.Add({.pid = 1, .start_ticks = 1, .ns_pid = 1, .binary = "/sbin/init", .args = "init"});
  proc_.Add({.pid = 100,
             .parent_pid = 1,
             .start_ticks = kShell.start_ns / kTickNs,
             .uid = 7,
             .auid = 8,
             .ns_pid = 100,
             .binary = "/bin/bash",
             .args = "bash\0-i"s,
             .cwd = "/"});
  cache_.FillFromProc();
  EXPECT_EQ(cache_.stats().entries, 2u);

  const Process& shell = cache_.Resolve(MakeProcess(kShell, {1, 12'345'678, 1}, kWorkload));
  EXPECT_EQ(shell.binary, "/bin/bash");
  EXPECT_EQ(shell.flags, "procFS rootcwd");
  EXPECT_EQ(shell.uid, 7u);
  EXPECT_EQ(shell.key, kShell);  // taken from the record
  EXPECT_EQ(shell.exec_id, ExecId(kShell.start_ns / kTickNs * kTickNs, 100));
  EXPECT_FALSE(shell.in_init_tree);
  const Process* init = cache_.Parent(shell);
  ASSERT_NE(init, nullptr);
  EXPECT_EQ(init->binary, "/sbin/init");
  EXPECT_EQ(init->parent_exec_id, ExecId(1, 0));
  EXPECT_EQ(cache_.stats().entries, 2u);
  EXPECT_EQ(cache_.stats().from_proc, 0u);
}

TEST_F(ProcessCacheTest, ExecOfAFilledProcessIsASecondExecve) {
  proc_.Add({.pid = 100, .start_ticks = kShell.start_ns / kTickNs, .binary = "/bin/bash"});
  cache_.FillFromProc();
  ProcessKey next = kShell;
  next.exec_seq = 9;
  const Process& process = cache_.OnExec(Exec(90 * kSecondNs, next, kNone, "/bin/ls"));
  EXPECT_EQ(process.flags, "execve");
  EXPECT_EQ(cache_.Parent(process)->binary, "/bin/bash");
}

TEST_F(ProcessCacheTest, InitTreeBeginsAtTheFirstProcessOfAPidNamespace) {
  const ProcessKey init{200, 60 * kSecondNs, 5};
  const ProcessKey child{201, 61 * kSecondNs, 6};
  const ProcessKey entered{202, 62 * kSecondNs, 5};
  proc_.Add({.pid = 200, .start_ticks = init.start_ns / kTickNs, .ns_pid = 1});
  proc_.Add({.pid = 202, .start_ticks = entered.start_ns / kTickNs, .ns_pid = 17});
  StartShell();
  const Process& first = cache_.OnExec(Exec(60 * kSecondNs, init, kShell, "/app", "", kWorkload));
  EXPECT_TRUE(first.in_init_tree);
  EXPECT_EQ(first.flags, "execve clone inInitTree");
  EXPECT_TRUE(cache_.OnExec(Exec(61 * kSecondNs, child, init, "/job", "", kWorkload)).in_init_tree);
  EXPECT_FALSE(
      cache_.OnExec(Exec(62 * kSecondNs, entered, kShell, "/sh", "", kWorkload)).in_init_tree);
}

TEST_F(ProcessCacheTest, EndedProcessesAreKeptForAWhile) {
  StartShell();
  const Process& ended =
      cache_.OnExit({.time_ns = 90 * kSecondNs, .process = MakeProcess(kShell, kNone)});
  EXPECT_EQ(ended.binary, "/bin/bash");
  EXPECT_TRUE(ended.ended);
  EXPECT_EQ(ended.References(), 0u);
  cache_.Expire(91 * kSecondNs);
  EXPECT_EQ(cache_.Resolve(MakeProcess(kShell, kNone)).binary, "/bin/bash");
  cache_.Expire(93 * kSecondNs);
  EXPECT_EQ(cache_.stats().entries, 0u);
}

TEST_F(ProcessCacheTest, EndedParentsStayForTheirChildren) {
  StartShell();
  const ProcessKey child{101, 60 * kSecondNs, 5};
  cache_.OnExec(Exec(61 * kSecondNs, child, kShell, "/bin/ls"));
  cache_.OnExit({.time_ns = 62 * kSecondNs, .process = MakeProcess(kShell, kNone)});
  cache_.Expire(100 * kSecondNs);
  EXPECT_EQ(cache_.stats().entries, 2u);
  const Process& ls =
      cache_.OnExit({.time_ns = 101 * kSecondNs, .process = MakeProcess(child, kShell)});
  ASSERT_NE(cache_.Parent(ls), nullptr);
  EXPECT_EQ(cache_.Parent(ls)->binary, "/bin/bash");
  cache_.Expire(104 * kSecondNs);
  EXPECT_EQ(cache_.stats().entries, 0u);
}

TEST_F(ProcessCacheTest, ExitOfAForkIsTheFork) {
  StartShell();
  const Process& ended = cache_.OnExit(
      {.time_ns = 71 * kSecondNs, .process = MakeProcess({102, 70 * kSecondNs, 4}, kShell)});
  EXPECT_EQ(ended.flags, "clone");
  EXPECT_TRUE(ended.ended);
}

TEST_F(ProcessCacheTest, FullCacheDropsTheLeastRecentlyUsed) {
  StartShell();
  for (uint32_t i = 0; i < 40; ++i) {
    cache_.OnExec(Exec(60 * kSecondNs + i, {200 + i, 60 * kSecondNs, 5}, kNone, "/bin/x"));
    cache_.Resolve(MakeProcess(kShell, kNone));  // in use
  }
  EXPECT_EQ(cache_.stats().entries, 16u);
  EXPECT_EQ(cache_.stats().evicted, 25u);
  EXPECT_EQ(cache_.Resolve(MakeProcess(kShell, kNone)).binary, "/bin/bash");
  EXPECT_EQ(cache_.Resolve(MakeProcess({200, 60 * kSecondNs, 5}, kNone)).flags, "miss");
}

TEST_F(ProcessCacheTest, EvictedParentLeavesItsIdBehind) {
  const std::string shell_id = StartShell().exec_id;
  const ProcessKey child{101, 60 * kSecondNs, 5};
  cache_.OnExec(Exec(61 * kSecondNs, child, kShell, "/bin/ls"));
  for (uint32_t i = 0; i < 40; ++i) {
    cache_.Resolve(MakeProcess(child, kShell));
    cache_.OnExec(Exec(62 * kSecondNs, {200 + i, 62 * kSecondNs, 5}, kNone, "/bin/x"));
  }
  const Process& ls = cache_.Resolve(MakeProcess(child, kShell));
  EXPECT_EQ(ls.parent_exec_id, shell_id);
  EXPECT_EQ(cache_.Parent(ls), nullptr);
}

TEST_F(ProcessCacheTest, SameExecTwiceIsOneEntry) {
  StartShell();
  StartShell();
  EXPECT_EQ(cache_.stats().entries, 1u);
  EXPECT_EQ(cache_.Resolve(MakeProcess(kShell, kNone)).References(), 1u);
}

TEST_F(ProcessCacheTest, ManyGenerationsAreRemovedTogether) {
  ProcessKey parent = kNone;
  for (uint32_t i = 0; i < 10; ++i) {
    const ProcessKey key{300 + i, (60 + i) * kSecondNs, 5 + i};
    cache_.OnExec(Exec((60 + i) * kSecondNs, key, parent, "/bin/x"));
    if (i > 0) {
      cache_.OnExit({.time_ns = (60 + i) * kSecondNs, .process = MakeProcess(parent, kNone)});
    }
    parent = key;
  }
  cache_.Expire(100 * kSecondNs);
  EXPECT_EQ(cache_.stats().entries, 10u);
  cache_.OnExit({.time_ns = 101 * kSecondNs, .process = MakeProcess(parent, kNone)});
  cache_.Expire(104 * kSecondNs);
  EXPECT_EQ(cache_.stats().entries, 0u);
}

}  // namespace
}  // namespace gatehouse::event
