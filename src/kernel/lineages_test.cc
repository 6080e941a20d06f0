// SPDX-License-Identifier: Apache-2.0
#include "kernel/lineages.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
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

/// A process that runs `file` and waits for the end of its input; ends with this object.
class Waiting {
 public:
  explicit Waiting(const std::vector<std::string>& words) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    write_ = ends[1];
    int started[2];  // closed by the execve
    if (pipe2(started, O_CLOEXEC) != 0) abort();
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[0], STDIN_FILENO);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    close(ends[0]);
    close(started[1]);
    char byte = 0;
    if (read(started[0], &byte, 1) != 0) abort();
    close(started[0]);
  }
  ~Waiting() {
    close(write_);
    waitpid(pid_, nullptr, 0);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  [[nodiscard]] std::string proc() const { return "/proc/" + std::to_string(pid_); }

 private:
  pid_t pid_ = 0;
  int write_ = -1;
};

TEST(Lineages, TheScriptOfARunningProcessIsWhatItWasStartedAs) {
  const fs::path directory =
      fs::canonical(testing::TempDir()) / ("gatehouse-script-" + std::to_string(getpid()));
  fs::create_directories(directory);
  const fs::path script = directory / "script", link = directory / "link";
  std::ofstream(script) << "#!/bin/sh\nread line\n";
  fs::permissions(script, fs::perms::owner_all);
  fs::create_symlink(script, link);
  EXPECT_EQ(ScriptOf(Waiting({script}).proc()), script);
  EXPECT_EQ(ScriptOf(Waiting({link}).proc()), script) << "resolved";
  EXPECT_EQ(ScriptOf(Waiting({"/bin/sh", script}).proc()), "") << "an argument";
  EXPECT_EQ(ScriptOf(Waiting({"/bin/cat"}).proc()), "");
  EXPECT_EQ(ScriptOf("/proc/0"), "");
  fs::remove_all(directory);
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
  EXPECT_TRUE(asked(GH_SUBJECT_SCRIPT_EXECUTED));
}

}  // namespace
}  // namespace gatehouse::kernel
