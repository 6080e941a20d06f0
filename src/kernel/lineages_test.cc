// SPDX-License-Identifier: Apache-2.0
#include "kernel/lineages.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace gatehouse::kernel {
namespace {

using testing::ElementsAre;
namespace fs = std::filesystem;

RunningProcess Process(uint32_t pid, uint32_t parent, std::string program) {
  RunningProcess process;
  process.pid = pid;
  process.parent = parent;
  process.program = std::move(program);
  return process;
}

TEST(Lineages, AProcessDescendsFromItsAncestorsProgramsEachOnce) {
  const std::vector<RunningProcess> all = {Process(1, 0, "/init"), Process(5, 1, "/shell"),
                                           Process(6, 5, "/shell"), Process(7, 6, "/tool"),
                                           Process(8, 7, "")};
  EXPECT_THAT(ProgramsOf(all[3], all), ElementsAre("/tool", "/shell", "/init"));
  EXPECT_THAT(ProgramsOf(all[4], all), ElementsAre("/tool", "/shell", "/init"));
  EXPECT_THAT(ProgramsOf(all[0], all), ElementsAre("/init"));
}

TEST(Lineages, AreNoLongerThanTheKernelKeeps) {
  std::vector<RunningProcess> all;
  for (uint32_t pid = 1; pid <= GH_PROGRAMS_MAX + 5; ++pid) {
    all.push_back(Process(pid, pid - 1, "/p" + std::to_string(pid)));
  }
  EXPECT_EQ(ProgramsOf(all.back(), all).size(), size_t{GH_PROGRAMS_MAX});
  // Two that are each other's parent, as between two reads a pid can be given again.
  const std::vector<RunningProcess> odd = {Process(1, 2, "/a"), Process(2, 1, "/b")};
  EXPECT_THAT(ProgramsOf(odd[0], odd), ElementsAre("/a", "/b"));
}

TEST(Lineages, ProcessesAreReadAsProcShowsThem) {
  const fs::path proc = testing::TempDir() + "gatehouse-lineages-" + std::to_string(getpid());
  fs::create_directories(proc / "42" / "ns");
  fs::create_directories(proc / "43");
  fs::create_directories(proc / "sys");
  std::ofstream(proc / "42" / "stat")
      << "42 (a b) S 7 5 6 7 -8 9 10 11 12 13 14 15 16 17 18 19 20 21 1234 23\n";
  std::ofstream(proc / "42" / "status")
      << "Name:\ta b\nCapInh:\t0000000000000001\nCapPrm:\t0000000000000021\nCapEff:\t"
         "0000000000000020\n";
  fs::create_symlink("/usr/bin/tool", proc / "42" / "exe");
  std::ofstream(proc / "42" / "ns" / "mnt") << "";
  const std::vector<RunningProcess> processes = ReadProcesses(proc);
  ASSERT_EQ(processes.size(), 1u) << "43 ended meanwhile";
  const RunningProcess& process = processes[0];
  EXPECT_EQ(process.pid, 42u);
  EXPECT_EQ(process.parent, 7u);
  EXPECT_EQ(process.program, "/usr/bin/tool");
  EXPECT_EQ(process.lineage.start_ticks, 1234u);
  EXPECT_THAT(process.lineage.capabilities, ElementsAre(0x20, 0x1, 0x21));
  EXPECT_NE(process.lineage.namespaces[GH_NAMESPACE_MNT], 0u);
  EXPECT_EQ(process.lineage.namespaces[GH_NAMESPACE_NET], 0u);
  fs::remove_all(proc);
}

TEST(Lineages, AreAskedForByWhatLooksAtThem) {
  const auto asked = [](int subject, int set = 0) {
    compile::HookProgram hook;
    hook.inputs.push_back({.subject = static_cast<uint8_t>(subject + set),
                           .read = GH_READ_PROCESS,
                           .bytes = 0,
                           .is_signed = false});
    return Lineages::IsAskedBy(hook);
  };
  EXPECT_FALSE(asked(GH_SUBJECT_BINARY));
  EXPECT_FALSE(asked(GH_SUBJECT_CAPABILITIES_0, GH_CAPABILITIES_PERMITTED));
  EXPECT_TRUE(asked(GH_SUBJECT_NAMESPACE_CHANGES));
  EXPECT_TRUE(asked(GH_SUBJECT_CAPABILITY_CHANGES_0, GH_CAPABILITIES_PERMITTED));
  EXPECT_TRUE(asked(GH_SUBJECT_PARENT_DESCENT));
}

}  // namespace
}  // namespace gatehouse::kernel
