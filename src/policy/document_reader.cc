// SPDX-License-Identifier: Apache-2.0
#include "policy/document_reader.h"

#include <system_error>
#include <utility>

namespace gatehouse::policy {
namespace {

constexpr size_t kSlotsPerThread = 4;
/// Text that is being read, or read and not yet taken. A longer document is read when all before it
/// are done with, so that no more than one such tree is in memory.
constexpr size_t kBytesAhead = 1u << 20;

}  // namespace

DocumentReader::DocumentReader(std::string_view text, const ParseLimits& limits,
                               Diagnostics& diagnostics, size_t helpers)
    : limits_(limits),
      diagnostics_(diagnostics),
      nodes_left_(limits.nodes),
      splitter_(text),
      next_(splitter_.Next()),
      slots_(helpers == 0 ? 1 : (helpers + 1) * kSlotsPerThread) {
  try {
    for (size_t i = 0; i < helpers; ++i) helpers_.emplace_back([this] { Help(); });
  } catch (const std::system_error&) {
    return;  // Next reads what nobody else does
  }
}

DocumentReader::~DocumentReader() {
  {
    const Lock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  helpers_.clear();  // joins, before anything that they use goes
}

DocumentReader::Slot* DocumentReader::Claim() {
  const bool alone = claimed_ == taken_;
  if (!next_ || claimed_ - taken_ == slots_.size()) return nullptr;
  if (!alone && bytes_ + next_->text.size() > kBytesAhead) return nullptr;
  Slot& slot = SlotOf(claimed_++);
  slot.document.raw = *next_;
  slot.done = false;
  bytes_ += next_->text.size();
  next_ = splitter_.Next();
  return &slot;
}

void DocumentReader::Read(Slot& slot, Lock& lock) {
  lock.unlock();
  slot.nodes_left = limits_.nodes;
  slot.document.outcome =
      slot.document.tree.Read(slot.document.raw, limits_, slot.nodes_left, slot.diagnostics);
  lock.lock();
  slot.done = true;
  changed_.notify_all();
}

void DocumentReader::Help() {
  Lock lock(mutex_);
  while (!stopped_) {
    if (Slot* slot = Claim()) {
      Read(*slot, lock);
    } else {
      changed_.wait(lock);
    }
  }
}

const ReadDocument* DocumentReader::Next() {
  Lock lock(mutex_);
  if (std::exchange(holds_, false)) {
    bytes_ -= SlotOf(taken_++).document.raw.text.size();
    changed_.notify_all();
  }
  while (taken_ == claimed_ || !SlotOf(taken_).done) {
    if (Slot* slot = Claim()) {
      Read(*slot, lock);
    } else if (taken_ == claimed_) {
      return nullptr;
    } else {
      changed_.wait(lock);
    }
  }
  holds_ = true;
  lock.unlock();
  Slot& slot = SlotOf(taken_);
  Settle(slot);
  return &slot.document;
}

void DocumentReader::Settle(Slot& slot) {
  ReadDocument& document = slot.document;
  const size_t nodes = limits_.nodes - slot.nodes_left;
  if (nodes > nodes_left_) {
    // Too many with those before it: read again, to end where they are used up.
    (void)slot.diagnostics.Take();
    document.outcome = document.tree.Read(document.raw, limits_, nodes_left_, slot.diagnostics);
  } else {
    nodes_left_ -= nodes;
  }
  for (Diagnostic& fault : slot.diagnostics.Take()) {
    diagnostics_.Add(fault.position, std::move(fault.path), std::move(fault.cause),
                     std::move(fault.remedy));
  }
}

}  // namespace gatehouse::policy
