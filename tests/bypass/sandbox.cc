// SPDX-License-Identifier: Apache-2.0
#include "sandbox.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>

namespace gatehouse::bypass {
namespace {

constexpr uid_t kNobody = 65534;

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

int Must(long result, const char* what) {
  if (result >= 0) return static_cast<int>(result);
  std::fprintf(stderr, "cannot prepare the attempt: %s: %s\n", what, std::strerror(errno));
  _exit(kBrokenStatus);
}

int Guarded(const std::function<int()>& execute) {
  try {
    return execute();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cannot prepare the attempt: %s\n", error.what());
    _exit(kBrokenStatus);
  }
}

int Exec(const std::string& program, std::vector<std::string> arguments,
         std::vector<std::string> environment) {
  if (arguments.empty()) arguments.push_back(program);
  execve(program.c_str(), Pointers(arguments).data(), Pointers(environment).data());
  return errno;
}

int ExecAt(int directory, const std::string& program, int flags,
           std::vector<std::string> arguments) {
  std::vector<char*> environment{nullptr};
  syscall(SYS_execveat, directory, program.c_str(), Pointers(arguments).data(), environment.data(),
          flags);
  return errno;
}

int ExecDescriptor(int descriptor) { return ExecAt(descriptor, "", AT_EMPTY_PATH); }

void EndAs(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
    if (errno != EINTR) Must(-1, "waitpid");
  }
  if (WIFSIGNALED(status)) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WEXITSTATUS(status));
}

int InChild(const std::function<pid_t()>& fork_child, const std::function<int()>& execute) {
  int report[2];  // closed by a successful execve; carries errno otherwise
  Must(pipe2(report, O_CLOEXEC), "pipe");
  const pid_t child = fork_child();
  if (child == 0) {
    const int error = Guarded(execute);
    (void)!write(report[1], &error, sizeof(error));
    _exit(kBrokenStatus);
  }
  close(report[1]);
  int error = 0;
  if (read(report[0], &error, sizeof(error)) == sizeof(error)) return error;
  EndAs(child);
}

int InChild(unsigned flags, const std::function<int()>& execute) {
  const auto fork_child = [flags] {
    return static_cast<pid_t>(
        Must(syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0), "clone"));
  };
  return InChild(fork_child, execute);
}

bool Write(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  close(file);
  errno = error;
  return written;
}

void WriteFile(const std::string& path, const std::string& text, mode_t mode) {
  const int file =
      Must(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode), path.c_str());
  Must(write(file, text.data(), text.size()), path.c_str());
  Must(fchmod(file, mode), path.c_str());
  close(file);
}

void NewMountNamespace() {
  Must(unshare(CLONE_NEWNS), "unshare");
  Must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
}

void NewUserAndMountNamespace() {
  Must(setgid(kNobody), "setgid");
  Must(setuid(kNobody), "setuid");
  Must(prctl(PR_SET_DUMPABLE, 1), "dumpable");  // else /proc/self belongs to root
  Must(unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
  Must(Write("/proc/self/uid_map", "0 65534 1") ? 0 : -1, "uid_map");
  Must(Write("/proc/self/setgroups", "deny") ? 0 : -1, "setgroups");
  Must(Write("/proc/self/gid_map", "0 65534 1") ? 0 : -1, "gid_map");
  Must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
}

void MountTmpfs(const std::string& directory) {
  Must(mount("tmpfs", directory.c_str(), "tmpfs", 0, "mode=755"), "mount tmpfs");
}

void Bind(const std::string& from, const std::string& to) {
  Must(mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr), "bind mount");
}

}  // namespace gatehouse::bypass
