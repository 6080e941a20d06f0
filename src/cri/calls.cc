// SPDX-License-Identifier: Apache-2.0
#include "cri/calls.h"

namespace gatehouse::cri {

Calls::~Calls() {
  for (const auto& [tag, call] : calls_) call->context.TryCancel();
  void* tag = nullptr;
  bool ok = false;
  // A stream still has to be finished, which no queue allows that is shutting down.
  while (!calls_.empty() && queue_.Next(&tag, &ok)) Take(tag, ok, /*quiet=*/true);
  alarm_.Cancel();
  queue_.Shutdown();
  while (queue_.Next(&tag, &ok)) {
  }
}

void Calls::Next(Clock::time_point deadline) {
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
    Take(tag, ok, /*quiet=*/false);
  }
}

void Calls::Wake() {
  const std::lock_guard lock(wake_mutex_);
  if (std::exchange(waking_, true)) return;
  alarm_.Set(&queue_, Clock::now(), &alarm_);
}

void Calls::Take(void* tag, bool ok, bool quiet) {
  if (tag == &alarm_) {
    const std::lock_guard lock(wake_mutex_);
    waking_ = false;
    return;
  }
  const auto found = calls_.find(tag);
  // What is called may make further calls: that moves what calls_ holds, but not the call itself.
  if (found->second->Completed(ok, quiet)) calls_.erase(tag);
}

}  // namespace gatehouse::cri
