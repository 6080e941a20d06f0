// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace gatehouse::exporting {

/// FileOptions::path of standard output.
inline constexpr const char* kStandardOutput = "-";

struct FileOptions {
  std::string path;                   ///< kStandardOutput: not ours to rename, cut or look for
  uint64_t rotate_bytes = 10u << 20;  ///< a file is renamed before it grows over this; 0: never
  unsigned backups = 5;               ///< path.1 (newest) to path.N; 0: the old file is deleted
  mode_t mode = 0600;                 ///< of new files
};

/// A file of lines that is rotated by size, by us or by someone else (logrotate): before a write it
/// looks, at most once a second, whether the path still names the open file, and opens it anew if
/// not. Thread: one.
class RotatingFile {
 public:
  /// Appends to a file that exists. Errors: the directory is missing, no rights.
  [[nodiscard]] static Result<RotatingFile> Open(FileOptions options);

  RotatingFile(RotatingFile&& other) noexcept;
  RotatingFile& operator=(RotatingFile&& other) noexcept;
  ~RotatingFile();

  /// Appends whole lines, and rotates between two of them before the file would grow over its
  /// limit; only a line longer than that makes a larger file, of its own. Adds to `written_bytes`
  /// (may be null) what is in files afterwards. On error these are the first of the lines; of what
  /// follows, a part that was written is taken back if the file system allows. The next Write tries
  /// anew, with a new file if need be.
  [[nodiscard]] Result<void> Write(std::string_view lines, uint64_t* written_bytes = nullptr);
  /// Opens the path anew before the next write, e.g. on SIGHUP.
  void Reopen();

  [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }

 private:
  explicit RotatingFile(FileOptions options);
  [[nodiscard]] bool is_standard_output() const { return options_.path == kStandardOutput; }
  [[nodiscard]] Result<void> OpenNow();
  [[nodiscard]] Result<void> Rotate();
  /// How many bytes of `lines`, whole lines, the open file may take; 0: it is full.
  [[nodiscard]] size_t Room(std::string_view lines) const;
  [[nodiscard]] Result<void> Append(std::string_view lines);
  [[nodiscard]] bool ReplacedByOthers();
  void CloseNow();

  FileOptions options_;
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  uint64_t size_bytes_ = 0;
  int64_t checked_ms_ = 0;  ///< CLOCK_MONOTONIC_COARSE
};

}  // namespace gatehouse::exporting
