// SPDX-License-Identifier: Apache-2.0
// Descriptors: a program without a name, or reached by another one than its own.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

/// A file in memory with the bytes of `program`.
int Memfd(const std::string& name, const std::string& program) {
  const int file = memfd_create(name.c_str(), MFD_CLOEXEC);
  std::ifstream input(program, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(input)), {});
  EXPECT_EQ(write(file, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return file;
}

TEST_P(Way, Memfd) {
  const int file = Memfd("tool", other());
  ExpectUnlisted(Try([&] { return ExecDescriptor(file); }), kEvilStatus, {"/memfd:tool (deleted)"});
  ExpectUnlisted(Try("/proc/self/fd/" + std::to_string(file)), kEvilStatus,
                 {"/memfd:tool (deleted)"});
  close(file);
}

TEST_P(Way, MemfdNamedAsAllowed) {
  for (const std::string& name :
       {allowed(), std::string("/../..") + allowed(), std::string(249, 'x')}) {
    const int file = Memfd(name, other());
    ExpectUnlisted(Try([&] { return ExecDescriptor(file); }), kEvilStatus,
                   {"/memfd:" + name + " (deleted)"});
    close(file);
  }
}

TEST_P(Way, MemfdListed) {
  // Whoever lists a memfd's name lists every content: the name is free to choose.
  Enforce({"/memfd:tool (deleted)"});
  const int file = Memfd("tool", other());
  const Attempt attempt = Try([&] { return ExecDescriptor(file); });
  ExpectListed(attempt, kEvilStatus, {"/memfd:tool (deleted)"});
  close(file);
}

TEST_P(Way, ProcSelfFd) {
  for (const int flags : {O_RDONLY, O_PATH}) {
    const int good = open(allowed().c_str(), flags | O_CLOEXEC);
    const int evil = open(denied().c_str(), flags | O_CLOEXEC);
    ExpectRuns(Try("/proc/self/fd/" + std::to_string(good)), kGoodStatus, {allowed()});
    const Attempt attempt = Try("/proc/self/fd/" + std::to_string(evil));
    ExpectStopped(attempt, {denied()});
    close(good);
    close(evil);
  }
}

TEST_P(Way, ProcSelfExe) {
  Enforce({allow_list() ? allowed() : Path("listed by nobody")});
  ExpectRuns(Try(allowed(), {allowed(), "exec", "/proc/self/exe"}), kGoodStatus,
             {allowed(), allowed()});
}

TEST_P(Way, ProcSelfExeFromOutside) {
  // This test program executes itself. It was started in another mount namespace than it lives in
  // now.
  const Attempt attempt = Try([] {
    Must(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO), "quiet");
    return Exec("/proc/self/exe", {"self", "--help"});
  });
  ExpectUnlisted(attempt, 0, {GH_UNREADABLE_UNREACHABLE});
}

TEST_P(Way, ProcSelfExeDeleted) {
  Enforce({allow_list() ? allowed() : allowed() + " (deleted)"});
  const Attempt attempt = Try(allowed(), {allowed(), "unlink-exec", "/proc/self/exe"});
  EXPECT_EQ(attempt.outcome, by_signal() ? Killed(SIGKILL) : Allowed(kInnerDeniedStatus));
  EXPECT_EQ(attempt.seen, (std::vector<Seen>{allowed(), allowed() + " (deleted)"}));
  ExpectDenial(attempt, allowed() + " (deleted)");
}

TEST_P(Way, ProcSelfRootAndCwd) {
  const auto in_directory = [&](const std::string& program) {
    return Try([&] {
      Must(chdir(directory().c_str()), "chdir");
      return Exec(program);
    });
  };
  ExpectRuns(in_directory("/proc/self/cwd/allowed"), kGoodStatus, {allowed()});
  ExpectStopped(in_directory("/proc/self/cwd/denied"), {denied()});
  ExpectStopped(in_directory("/proc/self/root/" + denied()), {denied()});
}

TEST_P(Way, ProcMapFiles) {
  const int file = open(denied().c_str(), O_RDONLY | O_CLOEXEC);
  const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const auto begin = reinterpret_cast<uintptr_t>(mapped);
  std::ostringstream link;
  link << "/proc/self/map_files/" << std::hex << begin << "-" << begin + size;
  ExpectStopped(Try(link.str()), {denied()});
  munmap(mapped, size);
  close(file);
}

TEST_P(Way, ExecveatEmptyPath) {
  for (const int flags : {O_RDONLY, O_PATH}) {
    const int good = open(allowed().c_str(), flags | O_CLOEXEC);
    const int evil = open(denied().c_str(), flags | O_CLOEXEC);
    ExpectRuns(Try([&] { return ExecDescriptor(good); }), kGoodStatus, {allowed()});
    ExpectStopped(Try([&] { return ExecDescriptor(evil); }), {denied()});
    close(good);
    close(evil);
  }
}

TEST_P(Way, ExecveatDirectory) {
  fs::create_directory(Path("sub"));
  fs::create_symlink("../denied", Path("sub/allowed"));
  const int sub = open(Path("sub").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  ExpectRuns(Try([&] { return ExecAt(sub, "../allowed", 0); }), kGoodStatus, {allowed()});
  ExpectStopped(Try([&] { return ExecAt(sub, "../denied", 0); }), {denied()});
  ExpectStopped(Try([&] { return ExecAt(sub, "allowed", 0); }), {denied()});
  // An absolute name: the directory does not count.
  ExpectStopped(Try([&] { return ExecAt(sub, denied(), 0); }), {denied()});
  const Attempt attempt = Try([&] { return ExecAt(sub, "allowed", AT_SYMLINK_NOFOLLOW); });
  EXPECT_EQ(attempt.outcome, Denied(ELOOP));
  close(sub);
}

TEST_P(Way, OpenByHandle) {
  alignas(file_handle) char storage[sizeof(file_handle) + MAX_HANDLE_SZ];
  auto* handle = reinterpret_cast<file_handle*>(storage);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  ASSERT_EQ(name_to_handle_at(AT_FDCWD, denied().c_str(), handle, &mount_id, 0), 0)
      << strerror(errno);
  const int mount = open(directory().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int file = open_by_handle_at(mount, handle, O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0) << strerror(errno);
  ExpectStopped(Try([&] { return ExecDescriptor(file); }), {denied()});
  close(file);
  close(mount);
}

TEST_P(Way, InheritedDescriptor) {
  // Opened before the process came into the workload; what counts is who executes, and when.
  const int file = open(denied().c_str(), O_RDONLY);
  ExpectStopped(Try([&] { return InChild(0, [&] { return ExecDescriptor(file); }); }), {denied()});
  close(file);
}

}  // namespace
}  // namespace gatehouse::bypass
