// SPDX-License-Identifier: Apache-2.0
// process_exec and process_exit, field by field.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr uid_t kNobody = 65534;

class BaseEvents : public KernelTest {
 protected:
  struct Events {
    std::vector<Event> execs, exits;
  };
  /// The base events of a process.
  static Events Of(pid_t pid) {
    Events events;
    for (Event& event : gatehouse().TakeEvents()) {
      if (event.process().key.pid != static_cast<uint32_t>(pid)) continue;
      auto& list = event.AsExec() != nullptr ? events.execs : events.exits;
      list.push_back(std::move(event));
    }
    return events;
  }
  static std::string Argv(const std::vector<std::string>& words) {
    std::string argv;
    for (const std::string& word : words) argv += word + std::string(1, '\0');
    argv.pop_back();
    return argv;
  }

  void SetUp() override {
    KernelTest::SetUp();
    workload_ = Workload(cgroup_.path());
  }
  const Cgroup cgroup_{"app"};
  workload::WorkloadPtr workload_;
  const std::string program_ = programs_.Add("program");
};

TEST_F(BaseEvents, EveryField) {
  struct stat directory{};
  ASSERT_EQ(stat(cgroup_.path().c_str(), &directory), 0);
  const Attempt attempt = cgroup_.Try([&] {
    if (chdir("/usr") != 0 || syscall(SYS_setuid, kNobody) != 0) return errno;
    execl(program_.c_str(), "name", "exit", "42", nullptr);
    return errno;
  });
  ASSERT_EQ(attempt.outcome, Allowed(42));
  const Events events = Of(attempt.pid);
  ASSERT_THAT(events.execs, SizeIs(1));
  ASSERT_THAT(events.exits, SizeIs(1));
  const event::ExecRecord& exec = *events.execs[0].AsExec();
  const event::ExitRecord& exit = *events.exits[0].AsExit();

  EXPECT_EQ(exec.binary, program_);
  EXPECT_EQ(std::string(exec.args), Argv({"name", "exit", "42"}));
  EXPECT_EQ(exec.cwd, "/usr");
  EXPECT_EQ(exec.flags, 0);
  EXPECT_EQ(exit.code, 42u << 8);
  EXPECT_LT(exec.time_ns, exit.time_ns);
  for (const event::ProcessRecord* process : {&exec.process, &exit.process}) {
    EXPECT_EQ(process->tid, process->key.pid);
    EXPECT_LE(process->key.start_ns, exec.time_ns);
    EXPECT_EQ(process->parent.pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(process->key.exec_seq, process->parent.exec_seq + 1)
        << "one execve more than its parent";
    EXPECT_EQ(process->uid, kNobody);
    EXPECT_EQ(process->cgroup_id, directory.st_ino);
    EXPECT_EQ(process->workload, workload_->id);
  }
  EXPECT_EQ(exec.process.key, exit.process.key);

  const tetragon::ProcessExec& exec_event = events.execs[0].enriched->process_exec();
  EXPECT_EQ(exec_event.process().binary(), program_);
  EXPECT_EQ(exec_event.process().arguments(), "exit 42");
  EXPECT_EQ(exec_event.process().cwd(), "/usr");
  EXPECT_EQ(exec_event.process().uid().value(), kNobody);
  EXPECT_THAT(exec_event.process().flags(), HasSubstr("execve"));
  EXPECT_EQ(exec_event.parent().binary(), std::filesystem::read_symlink("/proc/self/exe").string());
  const tetragon::ProcessExit& exit_event = events.exits[0].enriched->process_exit();
  EXPECT_EQ(exit_event.status(), 42);
  EXPECT_EQ(exit_event.signal(), "");
  EXPECT_EQ(exit_event.process().exec_id(), exec_event.process().exec_id());
}

TEST_F(BaseEvents, ArgumentsOfAnyBytes) {
  std::string odd = "\x01\n\t\"\\";
  for (int byte = 128; byte < 256; ++byte) odd += static_cast<char>(byte);
  const std::vector<std::string> words{"name", "", odd, " ", "last"};
  const Attempt attempt = cgroup_.Try(program_, words);
  ASSERT_EQ(attempt.outcome, Allowed());
  const Events events = Of(attempt.pid);
  ASSERT_THAT(events.execs, SizeIs(1));
  EXPECT_EQ(std::string(events.execs[0].AsExec()->args), Argv(words));
  EXPECT_THAT(events.execs[0].enriched->process_exec().process().arguments(), HasSubstr("\\xff"));
}

TEST_F(BaseEvents, LongArgumentsAreCutAndSaySo) {
  const std::vector<std::string> fits{"name", std::string(4000, 'a')},
      cut{"name", std::string(5000, 'a'), "b"};
  const Attempt short_one = cgroup_.Try(program_, fits), long_one = cgroup_.Try(program_, cut);
  std::vector<Event> events = gatehouse().TakeEvents();
  std::erase_if(events, [](const Event& event) { return event.AsExec() == nullptr; });
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].AsExec()->process.key.pid, static_cast<uint32_t>(short_one.pid));
  EXPECT_EQ(std::string(events[0].AsExec()->args), Argv(fits));
  EXPECT_EQ(events[0].AsExec()->flags, 0);
  EXPECT_EQ(events[1].AsExec()->process.key.pid, static_cast<uint32_t>(long_one.pid));
  EXPECT_EQ(std::string(events[1].AsExec()->args), Argv(cut).substr(0, GH_ARGS_MAX));
  EXPECT_EQ(events[1].AsExec()->flags, GH_EXEC_ARGS_CUT);
  EXPECT_THAT(events[1].enriched->process_exec().process().flags(), HasSubstr("truncArgs"));
}

TEST_F(BaseEvents, LongestPathsFit) {
  const std::string program = programs_.AddOfLength(4095);
  std::string directory = program.substr(0, program.rfind('/'));
  const Attempt attempt = cgroup_.Try([&] {
    if (chdir(directory.c_str()) != 0) return errno;
    execl(program.c_str(), std::string(4000, 'a').c_str(), nullptr);
    return errno;
  });
  ASSERT_EQ(attempt.outcome, Allowed());
  const Events events = Of(attempt.pid);
  ASSERT_THAT(events.execs, SizeIs(1));
  EXPECT_EQ(events.execs[0].AsExec()->binary, program);
  EXPECT_EQ(events.execs[0].AsExec()->cwd, directory);
  EXPECT_EQ(events.execs[0].AsExec()->flags, 0);
}

TEST_F(BaseEvents, DeletedDirectorySaysSo) {
  const std::string directory = programs_.path() + "/gone";
  const Attempt attempt = cgroup_.Try([&] {
    if (mkdir(directory.c_str(), 0755) != 0 || chdir(directory.c_str()) != 0 ||
        rmdir(directory.c_str()) != 0)
      return errno;
    execl(program_.c_str(), "program", nullptr);
    return errno;
  });
  const Events events = Of(attempt.pid);
  ASSERT_THAT(events.execs, SizeIs(1));
  EXPECT_EQ(events.execs[0].AsExec()->cwd, directory + " (deleted)");
}

TEST_F(BaseEvents, ChainOfExecvesIsOneProcess) {
  const std::string first = programs_.Add("first"), second = programs_.Add("second");
  const Attempt attempt = cgroup_.TryChain({first, second, program_});
  ASSERT_EQ(attempt.outcome, Allowed());
  const Events events = Of(attempt.pid);
  ASSERT_THAT(events.execs, SizeIs(3));
  ASSERT_THAT(events.exits, SizeIs(1));
  const auto& key = [&](size_t i) { return events.execs[i].process().key; };
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(key(i).start_ns, key(0).start_ns);
    EXPECT_EQ(key(i).exec_seq, key(0).exec_seq + i);
    EXPECT_EQ(events.execs[i].enriched->process_exec().process().parent_exec_id(),
              events.execs[i - 1].enriched->process_exec().process().exec_id());
  }
  EXPECT_EQ(events.execs[1].AsExec()->binary, second);
  EXPECT_EQ(events.exits[0].process().key, key(2));
  EXPECT_EQ(events.exits[0].enriched->process_exit().process().binary(), program_);
}

TEST_F(BaseEvents, DeathBySignal) {
  Must(gatehouse().Apply(OneRule("one", {Object("Equal", {program_})}, {Sigkill()})));
  const Attempt attempt = cgroup_.Try(program_);
  ASSERT_EQ(attempt.outcome, Killed(SIGKILL));
  std::vector<Event> exits;
  for (Event& event : gatehouse().TakeEvents()) {
    if (event.AsExit() != nullptr) exits.push_back(std::move(event));
  }
  ASSERT_THAT(exits, SizeIs(1));
  EXPECT_EQ(exits[0].process().key.pid, static_cast<uint32_t>(attempt.pid));
  EXPECT_EQ(exits[0].AsExit()->code & 0x7f, static_cast<uint32_t>(SIGKILL));
  EXPECT_EQ(exits[0].enriched->process_exit().signal(), "SIGKILL");
}

TEST_F(BaseEvents, ForkWithoutExecveHasAnExitAlone) {
  const Attempt attempt = cgroup_.Try([] {
    _exit(5);
    return 0;
  });
  ASSERT_EQ(attempt.outcome, Allowed(5));
  const Events events = Of(attempt.pid);
  EXPECT_THAT(events.execs, IsEmpty());
  ASSERT_THAT(events.exits, SizeIs(1));
  EXPECT_EQ(events.exits[0].AsExit()->code, 5u << 8);
  EXPECT_EQ(events.exits[0].enriched->process_exit().process().binary(),
            std::filesystem::read_symlink("/proc/self/exe").string());
}

TEST_F(BaseEvents, OfWorkloadsOnly) {
  const Cgroup other("other");
  const Attempt attempt = other.Try(program_);
  ASSERT_EQ(attempt.outcome, Allowed());
  EXPECT_THAT(Of(attempt.pid).execs, IsEmpty());
}

/// The other two settings.
TEST(BaseEventOptions, OffAndAll) {
  ProgramTree programs;
  const std::string program = programs.Add("program");
  const Cgroup cgroup("app"), other("other");
  const auto execs = [&](Gatehouse& gatehouse, pid_t inside, pid_t outside) {
    std::vector<bool> seen{false, false};
    for (int round = 0; round < 20; ++round) {
      (void)Must(gatehouse.kernel().PollEvents(
          std::chrono::milliseconds(50), [&](std::span<const std::byte> bytes) {
            const Event event = gatehouse.Read(bytes).at(0);
            if (event.AsExec() == nullptr) return;
            seen[0] = seen[0] || event.process().key.pid == static_cast<uint32_t>(inside);
            seen[1] = seen[1] || event.process().key.pid == static_cast<uint32_t>(outside);
          }));
      if (seen[0] && seen[1]) break;
    }
    return seen;
  };
  for (const auto mode : {kernel::BaseEvents::kOff, kernel::BaseEvents::kAll}) {
    kernel::Options options;
    options.base_events = mode;
    Gatehouse gatehouse(options);
    (void)Must(gatehouse.AddWorkload(cgroup.path(), {}));
    const Attempt inside = cgroup.Try(program), outside = other.Try(program);
    const bool all = mode == kernel::BaseEvents::kAll;
    EXPECT_EQ(execs(gatehouse, inside.pid, outside.pid), (std::vector<bool>{all, all}));
  }
}

}  // namespace
}  // namespace gatehouse::test
