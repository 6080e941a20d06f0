// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "event/enrich.h"
#include "export/filter.h"

namespace gatehouse::exporting {

struct SubscriberStats {
  uint64_t id = 0;
  std::string name;  ///< who reads: a peer's address, or the file
  std::chrono::system_clock::time_point since;
  uint64_t delivered = 0;
  uint64_t lost = 0;  ///< the queue was full
  uint64_t queued = 0;
};

/// One reader's bounded queue. Publish never waits for it: what does not fit is lost and counted.
class Subscription {
 public:
  Subscription(uint64_t id, std::string name, size_t capacity, EventFilter filter);

  /// Waits at most `timeout` for events; gives at most `max` that pass the filter, oldest first.
  /// Empty after the timeout, when only filtered events came, and when closed. Thread: one reader.
  [[nodiscard]] std::vector<event::EventPtr> Next(size_t max, std::chrono::milliseconds timeout);
  /// No more events come in and Next no longer waits; what is queued can still be read. Any thread.
  void Close();
  /// Closed, and everything was read.
  [[nodiscard]] bool Finished() const;
  [[nodiscard]] SubscriberStats stats() const;

 private:
  friend class Dispatcher;
  void Offer(const event::EventPtr& event);

  const uint64_t id_;
  const std::string name_;
  const size_t capacity_;
  const EventFilter filter_;
  const std::chrono::system_clock::time_point since_;
  mutable std::mutex mutex_;
  std::condition_variable available_;
  std::deque<event::EventPtr> queue_;
  bool closed_ = false;
  uint64_t lost_ = 0;
  uint64_t delivered_ = 0;
};

/// Hands each event to every subscriber. Any thread.
class Dispatcher {
 public:
  /// `capacity` is in events, at least 1. The subscription ends when the last owner lets it go, or
  /// with Close.
  [[nodiscard]] std::shared_ptr<Subscription> Subscribe(std::string name, size_t capacity,
                                                        EventFilter filter);
  /// Never waits for a reader.
  void Publish(const event::EventPtr& event);
  /// Closes all subscriptions, also those to come.
  void Close();
  /// Subscriptions that are there now.
  [[nodiscard]] std::vector<SubscriberStats> stats() const;

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, std::weak_ptr<Subscription>> subscriptions_;
  uint64_t next_id_ = 1;
  bool closed_ = false;
};

}  // namespace gatehouse::exporting
