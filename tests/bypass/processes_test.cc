// SPDX-License-Identifier: Apache-2.0
// Processes: who executes, and how it came to it.
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

TEST_P(Way, AllowedExecutesDenied) {
  const Attempt attempt = Try(allowed(), {"allowed", "exec", denied()});
  EXPECT_EQ(attempt.outcome, by_signal() ? Killed(SIGKILL) : Allowed(kInnerDeniedStatus));
  EXPECT_EQ(attempt.seen, (std::vector<Seen>{allowed(), denied()}));
  ExpectDenial(attempt, denied());
}

TEST_P(Way, Thread) {
  // A thread that is not the leader becomes the process.
  const auto by_thread = [&](const std::string& program) {
    return Try([&] {
      int error = 0;
      std::thread([&] { error = Exec(program); }).join();
      return error;
    });
  };
  ExpectRuns(by_thread(allowed()), kGoodStatus, {allowed()});
  ExpectStopped(by_thread(denied()), {denied()});
}

TEST_P(Way, Vfork) {
  const auto by_vfork = [&](const std::string& program) {
    return Try([&] {
      volatile int error = 0;
      char* arguments[] = {const_cast<char*>(program.c_str()), nullptr};
      const pid_t child = vfork();  // NOLINT(bugprone-unsafe-functions): it is what is tried
      if (child == 0) {
        execv(arguments[0], arguments);
        error = errno;
        _exit(0);
      }
      if (error != 0) return static_cast<int>(error);
      EndAs(child);
    });
  };
  ExpectRuns(by_vfork(allowed()), kGoodStatus, {allowed()});
  ExpectStopped(by_vfork(denied()), {denied()});
}

TEST_P(Way, PosixSpawn) {
  const auto by_spawn = [&](const std::string& program) {
    return Try([&] {
      char* arguments[] = {const_cast<char*>(program.c_str()), nullptr};
      pid_t child = 0;
      const int error = posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, nullptr);
      if (error != 0) return error;
      EndAs(child);
    });
  };
  ExpectRuns(by_spawn(allowed()), kGoodStatus, {allowed()});
  ExpectStopped(by_spawn(denied()), {denied()});
}

TEST_P(Way, SetuidProgram) {
  const auto by_nobody = [&](const std::string& program) {
    fs::permissions(program, fs::perms(04755));
    return Try([&] {
      Must(setuid(kNobody), "setuid");
      return Exec(program);
    });
  };
  ExpectRuns(by_nobody(allowed()), kGoodStatus, {allowed()});
  ExpectStopped(by_nobody(denied()), {denied()});
}

TEST_P(Way, FileCapabilities) {
  vfs_cap_data capabilities{};
  capabilities.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  capabilities.data[0].permitted = 1U << CAP_SYS_ADMIN;
  const auto by_nobody = [&](const std::string& program) {
    EXPECT_EQ(
        setxattr(program.c_str(), "security.capability", &capabilities, sizeof(capabilities), 0), 0)
        << strerror(errno);
    return Try([&] {
      Must(setuid(kNobody), "setuid");
      return Exec(program);
    });
  };
  ExpectRuns(by_nobody(allowed()), kGoodStatus, {allowed()});
  ExpectStopped(by_nobody(denied()), {denied()});
}

TEST_P(Way, IgnoredSignals) {
  const Attempt attempt = Try([&] {
    for (int number = 1; number < SIGRTMAX; ++number) signal(number, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    return Exec(denied());
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, PidNamespaceInit) {
  // The first process of a container ignores signals, but not SIGKILL from the kernel.
  const auto as_init = [&](const std::string& program) {
    return Try([&] { return InChild(CLONE_NEWPID, [&] { return Exec(program); }); });
  };
  ExpectRuns(as_init(allowed()), kGoodStatus, {allowed()});
  ExpectStopped(as_init(denied()), {denied()});
}

TEST_P(Way, AllNamespaces) {
  const unsigned all = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                       CLONE_NEWUTS | CLONE_NEWCGROUP;
  ExpectStopped(Try([&] { return InChild(all, [&] { return Exec(denied()); }); }), {denied()});
}

TEST_P(Way, TracedExec) {
  // A tracer sees the attempt and cannot turn it into another.
  const Attempt attempt = Try([&] {
    return InChild(0, [&] {
      const pid_t tracer = getpid();
      const pid_t traced = Must(fork(), "fork");
      if (traced == 0) {
        Must(ptrace(PTRACE_SEIZE, tracer, nullptr, PTRACE_O_TRACEEXEC), "seize");
        for (int status = 0; waitpid(tracer, &status, __WALL) == tracer && WIFSTOPPED(status);) {
          ptrace(PTRACE_CONT, tracer, nullptr, nullptr);
        }
        _exit(0);
      }
      usleep(100'000);
      return Exec(denied());
    });
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, TracedCode) {
  // A tracer changes the code of an allowed program: exit(55) where it begins.
  const Attempt attempt = Try([&] {
    const pid_t child = Must(fork(), "fork");
    if (child == 0) {
      Must(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), "traceme");
      return Exec(allowed());
    }
    int status = 0;
    Must(waitpid(child, &status, 0), "waitpid");
    if (!WIFSTOPPED(status)) _exit(kBrokenStatus);
    user_regs_struct registers{};
    Must(ptrace(PTRACE_GETREGS, child, nullptr, &registers), "getregs");
    // mov $60,%al (exit; rax is 0 after execve); syscall
    constexpr long kExit = 0x050f3cb0;
    registers.rax = 0;
    registers.rdi = 55;
    Must(ptrace(PTRACE_SETREGS, child, nullptr, &registers), "setregs");
    Must(ptrace(PTRACE_POKETEXT, child, registers.rip, kExit), "poketext");
    Must(ptrace(PTRACE_DETACH, child, nullptr, nullptr), "detach");
    EndAs(child);
  });
  ExpectRuns(attempt, 55, {allowed()});
}

TEST_P(Way, MappedCode) {
  // Code that a running program maps or writes is executed by the processor, not by execve.
  const Attempt attempt = Try([&] {
    constexpr unsigned char kExit66[] = {0xbf, 66, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05};
    WriteFile(denied(), std::string(std::begin(kExit66), std::end(kExit66)), 0755);
    const int file = Must(open(denied().c_str(), O_RDONLY), "open");
    void* code = mmap(nullptr, sizeof(kExit66), PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    Must(code == MAP_FAILED ? -1 : 0, "mmap");
    reinterpret_cast<void (*)()>(code)();
    return 0;
  });
  ExpectRuns(attempt, 66, {});
}

}  // namespace
}  // namespace gatehouse::bypass
