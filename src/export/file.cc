// SPDX-License-Identifier: Apache-2.0
#include "export/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace gatehouse::exporting {
namespace {

constexpr int64_t kCheckIntervalMs = 1'000;

int64_t NowMs() {
  constexpr int64_t kMsPerSecond = 1'000;
  constexpr int64_t kNsPerMs = 1'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * kMsPerSecond + now.tv_nsec / kNsPerMs;
}

}  // namespace

RotatingFile::RotatingFile(FileOptions options) : options_(std::move(options)) {
  if (is_standard_output()) options_.rotate_bytes = 0;
}

RotatingFile::RotatingFile(RotatingFile&& other) noexcept
    : options_(std::move(other.options_)),
      fd_(std::exchange(other.fd_, -1)),
      device_(other.device_),
      inode_(other.inode_),
      size_bytes_(other.size_bytes_),
      checked_ms_(other.checked_ms_) {}

RotatingFile& RotatingFile::operator=(RotatingFile&& other) noexcept {
  if (this == &other) return *this;
  CloseNow();
  options_ = std::move(other.options_);
  fd_ = std::exchange(other.fd_, -1);
  device_ = other.device_;
  inode_ = other.inode_;
  size_bytes_ = other.size_bytes_;
  checked_ms_ = other.checked_ms_;
  return *this;
}

RotatingFile::~RotatingFile() { CloseNow(); }

Result<RotatingFile> RotatingFile::Open(FileOptions options) {
  RotatingFile file(std::move(options));
  GH_TRY(file.OpenNow());
  return file;
}

Result<void> RotatingFile::Write(std::string_view lines, uint64_t* written_bytes) {
  while (!lines.empty()) {
    if (fd_ >= 0 && ReplacedByOthers()) CloseNow();
    if (fd_ < 0) GH_TRY(OpenNow());
    const size_t room = Room(lines);
    if (room == 0) {
      GH_TRY(Rotate());
      continue;
    }
    GH_TRY(Append(lines.substr(0, room)));
    if (written_bytes != nullptr) *written_bytes += room;
    lines.remove_prefix(room);
  }
  return {};
}

size_t RotatingFile::Room(std::string_view lines) const {
  const uint64_t limit = options_.rotate_bytes;
  if (limit == 0 || size_bytes_ + lines.size() <= limit) return lines.size();
  const uint64_t left = limit > size_bytes_ ? limit - size_bytes_ : 0;
  const size_t end = lines.substr(0, left).rfind('\n');
  if (end != std::string_view::npos) return end + 1;
  if (size_bytes_ > 0) return 0;
  return std::min(lines.find('\n'), lines.size() - 1) + 1;
}

Result<void> RotatingFile::Append(std::string_view lines) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      // Half a line would spoil the next one. If it cannot be cut off, a new file is begun after
      // it.
      if (rest.size() < lines.size() && !is_standard_output() &&
          ::ftruncate(fd_, static_cast<off_t>(size_bytes_)) != 0) {
        size_bytes_ = options_.rotate_bytes;
      }
      return FailErrno(options_.path, "cannot write events", error,
                       "make room, or name another file with --event-log");
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  size_bytes_ += lines.size();
  return {};
}

void RotatingFile::Reopen() { CloseNow(); }

Result<void> RotatingFile::OpenNow() {
  const int fd =
      is_standard_output()
          ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
          : ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                   options_.mode);
  if (fd < 0) {
    return FailErrno(options_.path, "cannot open it for events", errno,
                     "check the directory and its rights");
  }
  struct stat status{};
  if (::fstat(fd, &status) != 0) {
    const int error = errno;
    ::close(fd);
    return FailErrno(options_.path, "cannot tell its size", error);
  }
  CloseNow();
  fd_ = fd;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  size_bytes_ = static_cast<uint64_t>(status.st_size);
  checked_ms_ = NowMs();
  return {};
}

Result<void> RotatingFile::Rotate() {
  const auto backup = [&](unsigned number) { return fmt::format("{}.{}", options_.path, number); };
  // A backup that is missing leaves a gap in the numbers; that is no reason to stop.
  for (unsigned number = options_.backups; number > 1; --number) {
    (void)std::rename(backup(number - 1).c_str(), backup(number).c_str());
  }
  const int done = options_.backups > 0 ? std::rename(options_.path.c_str(), backup(1).c_str())
                                        : ::unlink(options_.path.c_str());
  if (done != 0 && errno != ENOENT) {
    return FailErrno(options_.path, "cannot rotate it", errno,
                     "check the directory and its rights");
  }
  return OpenNow();
}

bool RotatingFile::ReplacedByOthers() {
  if (is_standard_output()) return false;
  const int64_t now_ms = NowMs();
  if (now_ms - checked_ms_ < kCheckIntervalMs) return false;
  checked_ms_ = now_ms;
  struct stat status{};
  if (::stat(options_.path.c_str(), &status) != 0) return true;
  if (status.st_dev != device_ || status.st_ino != inode_) return true;
  size_bytes_ = static_cast<uint64_t>(status.st_size);  // someone may have cut it
  return false;
}

void RotatingFile::CloseNow() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace gatehouse::exporting
