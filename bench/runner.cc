// SPDX-License-Identifier: Apache-2.0
#include "runner.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>

namespace gatehouse::bench {
namespace {

constexpr int kDenied = 126;  // exit status of a child whose execve failed
constexpr int kRunCpu = 1;    // the other one is for the agent

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "cannot prepare the benchmark: %s: %s\n", what.c_str(),
               std::strerror(errno));
  std::abort();
}

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

bool WriteAll(int fd, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(fd, at, size);
    if (written <= 0) return false;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

bool ReadAll(int fd, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = read(fd, at, size);
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

/// True if the program ran to its end. vfork: the address space is not copied.
bool Execute(const char* program) {
  char* const argv[] = {const_cast<char*>(program), nullptr};
  const pid_t child = vfork();  // NOLINT(bugprone-unsafe-functions): as shells do
  if (child == 0) {
    execv(program, argv);
    _exit(kDenied);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

/// The child's life: a request is a count, a length and a path.
[[noreturn]] void Serve(int socket) {
  uint32_t request[2];
  while (ReadAll(socket, request, sizeof(request))) {
    std::string program(request[1], '\0');
    if (!ReadAll(socket, program.data(), program.size())) break;
    uint32_t allowed = 0;
    std::vector<uint64_t> spawn_ns(request[0]);
    for (uint64_t& duration : spawn_ns) {
      const uint64_t begin = NowNs();
      allowed += Execute(program.c_str()) ? 1 : 0;
      duration = NowNs() - begin;
    }
    if (!WriteAll(socket, &allowed, sizeof(allowed)) ||
        !WriteAll(socket, spawn_ns.data(), spawn_ns.size() * sizeof(uint64_t))) {
      break;
    }
  }
  _exit(0);
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
}

}  // namespace

Runner::Runner(const std::string& cgroup) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) Die("socketpair");
  child_ = fork();
  if (child_ < 0) Die("fork");
  if (child_ == 0) {
    close(sockets[0]);
    if (!cgroup.empty()) {
      std::ofstream procs(cgroup + "/cgroup.procs");
      procs << getpid() << std::flush;
      if (!procs) Die(cgroup);
    }
    PinTo(kRunCpu);
    Serve(sockets[1]);
  }
  close(sockets[1]);
  socket_ = sockets[0];
}

Runner::~Runner() {
  close(socket_);
  waitpid(child_, nullptr, 0);
}

Result<Executions> Runner::Run(const std::string& program, uint32_t count) const {
  const uint32_t request[2] = {count, static_cast<uint32_t>(program.size())};
  Executions executions;
  executions.spawn_ns.resize(count);
  if (!WriteAll(socket_, request, sizeof(request)) ||
      !WriteAll(socket_, program.data(), program.size()) ||
      !ReadAll(socket_, &executions.allowed, sizeof(executions.allowed)) ||
      !ReadAll(socket_, executions.spawn_ns.data(), count * sizeof(uint64_t))) {
    return Fail(ErrorCode::kSystem, "runner", "the process that executes programs is gone");
  }
  executions.denied = count - executions.allowed;
  return executions;
}

}  // namespace gatehouse::bench
