// SPDX-License-Identifier: Apache-2.0
#include "export/dispatcher.h"

#include <algorithm>
#include <utility>

namespace gatehouse::exporting {

Subscription::Subscription(uint64_t id, std::string name, size_t capacity, EventFilter filter)
    : id_(id),
      name_(std::move(name)),
      capacity_(std::max<size_t>(capacity, 1)),
      filter_(std::move(filter)),
      since_(std::chrono::system_clock::now()) {}

std::vector<event::EventPtr> Subscription::Next(size_t max, std::chrono::milliseconds timeout) {
  std::vector<event::EventPtr> events;
  {
    std::unique_lock lock(mutex_);
    available_.wait_for(lock, timeout, [&] { return closed_ || !queue_.empty(); });
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(max, queue_.size()));
    events.assign(std::move_iterator(queue_.begin()), std::move_iterator(end));
    queue_.erase(queue_.begin(), end);
  }
  // The filter runs here, in the reader's thread: it costs the publisher nothing.
  std::erase_if(events, [&](const event::EventPtr& event) { return !filter_.Passes(*event); });
  for (event::EventPtr& event : events) event = filter_.Shape(std::move(event));
  const std::lock_guard lock(mutex_);
  delivered_ += events.size();
  return events;
}

void Subscription::Offer(const event::EventPtr& event) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (queue_.size() >= capacity_) {
      ++lost_;
      return;
    }
    queue_.push_back(event);
    if (queue_.size() > 1) return;  // the reader was told already
  }
  available_.notify_one();
}

void Subscription::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  available_.notify_all();
}

bool Subscription::Finished() const {
  const std::lock_guard lock(mutex_);
  return closed_ && queue_.empty();
}

SubscriberStats Subscription::stats() const {
  const std::lock_guard lock(mutex_);
  return {.id = id_,
          .name = name_,
          .since = since_,
          .delivered = delivered_,
          .lost = lost_,
          .queued = queue_.size()};
}

std::shared_ptr<Subscription> Dispatcher::Subscribe(std::string name, size_t capacity,
                                                    EventFilter filter) {
  const std::lock_guard lock(mutex_);
  auto subscription =
      std::make_shared<Subscription>(next_id_, std::move(name), capacity, std::move(filter));
  if (closed_) subscription->Close();
  subscriptions_.emplace(next_id_++, subscription);
  return subscription;
}

void Dispatcher::Publish(const event::EventPtr& event) {
  const std::lock_guard lock(mutex_);
  std::erase_if(subscriptions_, [&](const auto& entry) {
    const std::shared_ptr<Subscription> subscription = entry.second.lock();
    if (subscription == nullptr) return true;
    subscription->Offer(event);
    return false;
  });
}

void Dispatcher::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& [id, weak] : subscriptions_) {
    if (const auto subscription = weak.lock()) subscription->Close();
  }
}

std::vector<SubscriberStats> Dispatcher::stats() const {
  const std::lock_guard lock(mutex_);
  std::vector<SubscriberStats> all;
  for (const auto& [id, weak] : subscriptions_) {
    if (const auto subscription = weak.lock()) all.push_back(subscription->stats());
  }
  return all;
}

}  // namespace gatehouse::exporting
