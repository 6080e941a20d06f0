// SPDX-License-Identifier: Apache-2.0
#include "export/file_exporter.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "export/json.h"

namespace gatehouse::exporting {
namespace {

constexpr size_t kBatchEvents = 256;  // one write for so many
constexpr std::chrono::milliseconds kIdle{1'000};

}  // namespace

Result<std::unique_ptr<FileExporter>> FileExporter::Start(Dispatcher& dispatcher,
                                                          FileOptions options, EventFilter filter,
                                                          size_t queue_events) {
  std::string name = "file " + options.path;
  GH_ASSIGN(RotatingFile file, RotatingFile::Open(std::move(options)));
  auto subscription = dispatcher.Subscribe(std::move(name), queue_events, std::move(filter));
  return std::unique_ptr<FileExporter>(new FileExporter(std::move(file), std::move(subscription)));
}

FileExporter::FileExporter(RotatingFile file, std::shared_ptr<Subscription> subscription)
    : file_(std::move(file)), subscription_(std::move(subscription)), thread_([this] { Run(); }) {}

FileExporter::~FileExporter() {
  subscription_->Close();
  thread_.join();
}

void FileExporter::Run() {
  std::string lines;
  while (!subscription_->Finished()) {
    const auto events = subscription_->Next(kBatchEvents, kIdle);
    if (reopen_.exchange(false)) file_.Reopen();
    if (events.empty()) continue;
    lines.clear();
    for (const auto& event : events) AppendJsonLine(*event, &lines);
    uint64_t bytes = 0;
    const Result<void> done = file_.Write(lines, &bytes);
    const auto written = static_cast<uint64_t>(
        std::ranges::count(std::string_view(lines).substr(0, bytes), '\n'));  // one for each event
    const std::lock_guard lock(mutex_);
    stats_.written += written;
    stats_.written_bytes += bytes;
    stats_.failed += events.size() - written;
    stats_.last_error = done ? "" : done.error().Message();
  }
}

FileExporterStats FileExporter::stats() const {
  const uint64_t lost = subscription_->stats().lost;
  const std::lock_guard lock(mutex_);
  FileExporterStats stats = stats_;
  stats.queue_lost = lost;
  return stats;
}

}  // namespace gatehouse::exporting
