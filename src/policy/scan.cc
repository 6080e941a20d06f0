// SPDX-License-Identifier: Apache-2.0
#include "policy/scan.h"

#include <fmt/format.h>

namespace gatehouse::policy {

bool DocumentScanner::Next(ScannedDocument& into) {
  into.outcome = YamlOutcome::kNothing;
  into.diagnostics.clear();
  if (at_limit_) return false;
  const std::optional<RawDocument> raw = splitter_.Next();
  if (!raw) return false;
  into.raw = *raw;
  Diagnostics diagnostics(file_);
  if (++documents_ > limits_.documents) {
    diagnostics.Add({raw->first_line, 1}, "",
                    fmt::format("more than {} documents", limits_.documents),
                    "split the text into several files");
    at_limit_ = true;
  } else {
    into.outcome = into.tree.Read(*raw, limits_, nodes_left_, diagnostics);
    at_limit_ = into.outcome == YamlOutcome::kFailed && nodes_left_ == 0;
  }
  into.diagnostics = diagnostics.Take();
  return true;
}

ScanAhead::ScanAhead(DocumentScanner& scanner) : scanner_(scanner), thread_([this] { Scan(); }) {}

ScanAhead::~ScanAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ScanAhead::Scan() {
  for (size_t number = 0;; ++number) {
    {
      // One place of the ring is left to the document that Next gave out last.
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_ || number + 1 < taken_ + kAhead; });
      if (stopped_) return;
    }
    const bool there = scanner_.Next(ring_.at(number % kAhead));
    {
      const std::lock_guard lock(mutex_);
      if (there) {
        scanned_ = number + 1;
      } else {
        ended_ = true;
      }
    }
    changed_.notify_all();
    if (!there) return;
  }
}

ScannedDocument* ScanAhead::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return taken_ < scanned_ || ended_; });
  if (taken_ == scanned_) return nullptr;
  ScannedDocument* const next = &ring_.at(taken_ % kAhead);
  ++taken_;
  lock.unlock();
  changed_.notify_all();
  return next;
}

}  // namespace gatehouse::policy
