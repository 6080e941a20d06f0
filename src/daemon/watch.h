// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace gatehouse::daemon {

/// What tells one version of a file from the next without reading it.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Reads a whole regular file (through symlinks) of at most `max_bytes`, and the stamp of what was
/// read.
[[nodiscard]] Result<std::pair<std::string, FileStamp>> ReadFile(const std::string& path,
                                                                 uint64_t max_bytes);

/// The regular files of a directory, symlinks followed, that hold policies: `*.yaml` and `*.yml`
/// that do not begin with a dot (editors' and ConfigMaps' own files). By file name. Fails if the
/// directory cannot be read; a single file that goes away meanwhile is left out.
[[nodiscard]] Result<std::map<std::string, FileStamp>> ListPolicyFiles(
    const std::string& directory);

/// Tells when the content of a directory has changed and nobody is in the middle of writing it.
/// inotify(7). One thread.
class DirectoryWatch {
 public:
  explicit DirectoryWatch(std::string directory);
  ~DirectoryWatch();
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;

  /// Starts to watch, or starts again when the directory had gone. On error nothing is watched.
  [[nodiscard]] Result<void> Start();
  [[nodiscard]] bool active() const { return descriptor_ >= 0; }
  /// For poll(2); readable when there is something to drain. -1 before the first Start.
  [[nodiscard]] int fd() const { return inotify_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  /// Takes in what has happened; true if a file was completed, moved or deleted, or if events were
  /// lost. Does not wait. If the directory itself has gone, active() is false afterwards.
  [[nodiscard]] bool Drain();

  /// True for a file that has been modified and not been closed since.
  [[nodiscard]] bool BeingWritten(const std::string& name) const { return open_.contains(name); }

 private:
  void Stop();

  const std::string directory_;
  int inotify_ = -1;
  int descriptor_ = -1;
  std::set<std::string> open_;
};

}  // namespace gatehouse::daemon
