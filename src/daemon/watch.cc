// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace gatehouse::daemon {
namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM |
                             IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

/// Room for many events of one read; one alone takes at most sizeof(inotify_event) + NAME_MAX + 1.
constexpr size_t kBufferBytes = size_t{64} << 10;

constexpr int64_t kNsPerSecond = 1'000'000'000;

FileStamp StampOf(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = static_cast<uint64_t>(status.st_size),
          .mtime_ns = status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec,
          .ctime_ns = status.st_ctim.tv_sec * kNsPerSecond + status.st_ctim.tv_nsec};
}

bool IsPolicyFile(const std::string& name) {
  if (name.empty() || name.front() == '.') return false;
  return name.ends_with(".yaml") || name.ends_with(".yml");
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

Result<std::pair<std::string, FileStamp>> ReadFile(const std::string& path, uint64_t max_bytes) {
  // O_NONBLOCK: a FIFO put in the place of a file must not stop the daemon.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return errno == ENOENT ? Fail(ErrorCode::kNotFound, path, "there is no such file")
                           : FailErrno(path, "cannot be opened", errno, "check its owner and mode");
  }
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return FailErrno(path, "cannot be read", errno);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kInvalid, path, "is not a regular file", "name a file");
  }
  std::string text;
  text.reserve(static_cast<size_t>(status.st_size));
  std::array<char, kBufferBytes> buffer;
  for (;;) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno(path, "cannot be read", errno);
    if (count == 0) break;
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > max_bytes) {
      return Fail(ErrorCode::kInvalid, path,
                  "is larger than " + std::to_string(max_bytes) + " bytes",
                  "split it into several files");
    }
  }
  return std::pair{std::move(text), StampOf(status)};
}

Result<std::map<std::string, FileStamp>> ListPolicyFiles(const std::string& directory) {
  std::map<std::string, FileStamp> files;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename();
    struct stat status{};
    if (!IsPolicyFile(name) || stat(entries->path().c_str(), &status) != 0) continue;
    if (S_ISREG(status.st_mode)) files.emplace(name, StampOf(status));
  }
  if (error) {
    return FailErrno(directory, "the directory cannot be read", error.value(),
                     "check that it exists, and its owner and mode");
  }
  return files;
}

DirectoryWatch::DirectoryWatch(std::string directory) : directory_(std::move(directory)) {}

DirectoryWatch::~DirectoryWatch() {
  if (inotify_ >= 0) close(inotify_);
}

Result<void> DirectoryWatch::Start() {
  if (inotify_ < 0) inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (inotify_ < 0) {
    return FailErrno(directory_, "inotify is not available", errno,
                     "raise fs.inotify.max_user_instances");
  }
  Stop();
  descriptor_ = inotify_add_watch(inotify_, directory_.c_str(), kEvents);
  if (descriptor_ < 0) {
    return FailErrno(directory_, "the directory cannot be watched", errno,
                     errno == ENOSPC ? "raise fs.inotify.max_user_watches"
                                     : "check that it exists, and its owner and mode");
  }
  return {};
}

void DirectoryWatch::Stop() {
  if (descriptor_ >= 0) inotify_rm_watch(inotify_, descriptor_);
  descriptor_ = -1;
  open_.clear();
}

bool DirectoryWatch::Drain() {
  bool changed = false;
  alignas(inotify_event) std::array<char, kBufferBytes> buffer;
  for (;;) {
    const ssize_t count = read(inotify_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return changed;
    for (size_t at = 0; at < static_cast<size_t>(count);) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += sizeof(inotify_event) + event->len;
      const bool lost = (event->mask & IN_Q_OVERFLOW) != 0;
      if (event->wd != descriptor_ && !lost) continue;  // of a watch that was given up
      const std::string name = event->len > 0 ? std::string(event->name) : std::string();
      if (lost) open_.clear();
      if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
        Stop();
        changed = true;
      } else if ((event->mask & (IN_MODIFY | IN_CREATE)) != 0) {
        // A symlink, a hard link or a directory is complete when it is created; files are written
        // to.
        struct stat status{};
        const std::string path = directory_ + "/" + name;
        const bool file = lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
        if (file && ((event->mask & IN_MODIFY) != 0 || status.st_nlink == 1)) {
          open_.insert(name);
        } else {
          changed = true;
        }
      } else {
        if ((event->mask & IN_ATTRIB) == 0) open_.erase(name);
        changed = true;
      }
    }
  }
}

}  // namespace gatehouse::daemon
