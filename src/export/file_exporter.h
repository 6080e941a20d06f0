// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "export/dispatcher.h"
#include "export/file.h"

namespace gatehouse::exporting {

struct FileExporterStats {
  uint64_t written = 0;  ///< events
  uint64_t written_bytes = 0;
  uint64_t failed = 0;      ///< events that could not be written
  uint64_t queue_lost = 0;  ///< events that found the queue full
  std::string last_error;   ///< empty after a write that worked
};

/// Writes events as JSON lines to a file, with a thread of its own.
class FileExporter {
 public:
  /// Opens the file and begins. `dispatcher` must outlive the exporter. Errors: as
  /// RotatingFile::Open.
  [[nodiscard]] static Result<std::unique_ptr<FileExporter>> Start(Dispatcher& dispatcher,
                                                                   FileOptions options,
                                                                   EventFilter filter,
                                                                   size_t queue_events = 65'536);
  FileExporter(const FileExporter&) = delete;
  FileExporter& operator=(const FileExporter&) = delete;
  /// Writes what is queued, then ends the thread.
  ~FileExporter();

  /// The file is opened anew with the next event. Any thread.
  void Reopen() { reopen_ = true; }
  /// Any thread.
  [[nodiscard]] FileExporterStats stats() const;

 private:
  FileExporter(RotatingFile file, std::shared_ptr<Subscription> subscription);
  void Run();

  RotatingFile file_;  ///< of the thread
  std::shared_ptr<Subscription> subscription_;
  std::atomic<bool> reopen_ = false;
  mutable std::mutex mutex_;
  FileExporterStats stats_;
  std::thread thread_;
};

}  // namespace gatehouse::exporting
