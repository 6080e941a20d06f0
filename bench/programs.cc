// SPDX-License-Identifier: Apache-2.0
#include "programs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

asm(".section .rodata\n"
    "bench_tiny_begin: .incbin \"" BENCH_TINY
    "\"\n"
    "bench_tiny_end:\n"
    ".previous\n");
// NOLINTNEXTLINE(readability-identifier-naming): symbols of the assembler
extern "C" const char bench_tiny_begin[], bench_tiny_end[];

namespace gatehouse::bench {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "cannot prepare the benchmark: %s: %s\n", what.c_str(),
               std::strerror(errno));
  std::abort();
}

void WriteProgram(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  const auto size = static_cast<size_t>(bench_tiny_end - bench_tiny_begin);
  if (fd < 0 || write(fd, bench_tiny_begin, size) != static_cast<ssize_t>(size)) Die(path);
  close(fd);
}

}  // namespace

Programs::Programs() {
  char name[] = "/tmp/ghXXXXXX";
  if (mkdtemp(name) == nullptr) Die(name);
  directory_ = name;
}

Programs::~Programs() {
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

std::string Programs::Make(const std::string& name) const {
  std::string path = directory_ + "/" + name;
  WriteProgram(path);
  return path;
}

std::string Programs::MakeDeep(size_t length, size_t component, char tag) const {
  std::string path = directory_;
  while (path.size() < length) {
    const size_t left = length - path.size() - 1;
    size_t take = std::min(left, component);
    if (left - take == 1) take = take > 1 ? take - 1 : take + 1;  // no room for a slash and a name
    path += "/" + std::string(take, 'd');
    if (path.size() < length && mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) Die(path);
  }
  path.back() = tag;
  WriteProgram(path);
  return path;
}

}  // namespace gatehouse::bench
