// SPDX-License-Identifier: Apache-2.0
#include "bind/instances.h"

#include <mutex>
#include <utility>

namespace gatehouse::bind {
namespace {

constexpr size_t kRetiredKept = 4096;

}  // namespace

InstanceInfoPtr InstanceDirectory::Find(InstanceId id) const {
  const std::shared_lock lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void InstanceDirectory::Add(InstanceInfoPtr info) {
  const std::unique_lock lock(mutex_);
  const InstanceId id = info->id;
  by_id_.emplace(id, std::move(info));
}

void InstanceDirectory::Retire(InstanceId id) {
  const std::unique_lock lock(mutex_);
  retired_.push_back(id);
  if (retired_.size() > kRetiredKept) {
    by_id_.erase(retired_.front());
    retired_.pop_front();
  }
}

void InstanceDirectory::Forget(InstanceId id) {
  const std::unique_lock lock(mutex_);
  by_id_.erase(id);
}

}  // namespace gatehouse::bind
