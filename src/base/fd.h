// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <string>
#include <utility>

namespace gatehouse {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Opens what a process whose root directory is `root` sees at the absolute `path`, to read it;
/// without waiting, and whatever it is. What the process can change leads to nothing else than what
/// it sees (RESOLVE_IN_ROOT of openat2(2)). Not valid: there is nothing that can be opened.
[[nodiscard]] Fd OpenInRoot(const Fd& root, const std::string& path);

}  // namespace gatehouse
