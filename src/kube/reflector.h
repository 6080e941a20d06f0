// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "kube/backoff.h"
#include "kube/exchange.h"
#include "kube/json_splitter.h"
#include "kube/store.h"

namespace gatehouse::kube {

/// A kind of objects, and which of them.
struct Resource {
  std::string path;                 ///< `/api/v1/pods`
  std::string field_selector = {};  ///< `spec.nodeName=node-1`; "": all of them
  /// The list may come from the server's memory and be a moment old: cheap for the server, also
  /// with a selector. Else it is read in pages, as its storage has it.
  bool from_cache = false;
};

/// Times, for tests to change.
struct Timing {
  Clock::duration backoff_first = std::chrono::milliseconds(500);
  Clock::duration backoff_max = std::chrono::seconds(30);
  /// Until a resource that the server does not have, or that we may not read, is asked for again.
  Clock::duration absent = std::chrono::seconds(30);
  /// A connection without a byte for so long is given up. Servers send a bookmark every minute.
  std::chrono::milliseconds idle_max = std::chrono::seconds(150);
  /// A list, or a write, altogether.
  std::chrono::milliseconds total_max = std::chrono::seconds(120);
  /// After which the server ends a watch: at least, and at most twice as long.
  std::chrono::seconds watch = std::chrono::seconds(300);
};

enum class ReflectorState {
  kStarting,   ///< no list is complete yet
  kWatching,   ///< as it should be
  kAbsent,     ///< the server has no such resource (404): its definition is not installed
  kForbidden,  ///< it does not let us (401, 403)
  kAway,       ///< no connection, or no answer of use
};
[[nodiscard]] const char* ReflectorStateName(ReflectorState state);  // "starting", "watching", …

struct Health {
  std::string resource;  ///< its path
  ReflectorState state = ReflectorState::kStarting;
  Clock::time_point since;  ///< in this state
  bool synced = false;      ///< a list has been complete
  size_t objects = 0;
  uint64_t lists = 0;       ///< completed
  uint64_t watches = 0;     ///< begun
  uint64_t events = 0;      ///< of watches, without bookmarks
  uint64_t unreadable = 0;  ///< objects that are not as they should be; each is left as it was
  std::string last_error;   ///< whenever it was; empty: never
  Clock::time_point last_error_at;
};

/// Keeps `objects` as the server has them: a list, then a watch from there on; when the watch ends,
/// the next from where it ended; when the server does not remember that far back (410), a new list.
/// While the server is away, or has no such resource, nothing is removed.
class Reflector : public Exchange {
 public:
  Reflector(Resource resource, Timing timing, Random random, std::unique_ptr<Objects> objects,
            Clock::time_point now);
  ~Reflector() override;

  [[nodiscard]] std::optional<Clock::time_point> due() const override { return due_; }
  [[nodiscard]] Request Begin(Clock::time_point now) override;
  void Answered(int status, Clock::time_point now) override;
  [[nodiscard]] bool Receive(std::string_view bytes, Clock::time_point now) override;
  void End(const Outcome& outcome, Clock::time_point now) override;

  /// Any thread.
  [[nodiscard]] Health health() const;

 private:
  enum class Phase { kList, kWatch };

  [[nodiscard]] std::string ListTarget();
  [[nodiscard]] std::string WatchTarget();
  [[nodiscard]] bool TakeListed(std::string_view text);
  [[nodiscard]] bool TakeEvent(std::string_view text);
  void TakeObject(const Result<void>& taken);
  void EndList(Clock::time_point now);
  void EndWatch(const Outcome& outcome, Clock::time_point now);
  /// Begins with a new list; `consistent`: as the storage has it.
  void StartOver(bool consistent);
  void Failed(const Outcome& outcome, const std::string& error, Clock::time_point now);
  void SetState(ReflectorState state, Clock::time_point now);
  void NoteError(const std::string& error, Clock::time_point now);

  const Resource resource_;
  const Timing timing_;
  Random random_;
  Backoff backoff_;
  std::unique_ptr<Objects> objects_;

  std::optional<Clock::time_point> due_;
  Phase phase_ = Phase::kList;
  std::string resource_version_;  // of the last list, event or bookmark
  std::string continue_;          // of the list's next page; "": its first
  bool consistent_ = false;       // the next list is not to come from the cache
  bool list_begun_ = false;

  // Of the request under way:
  std::optional<JsonSplitter> splitter_;
  int status_ = 0;
  std::string error_;       // what was wrong with the answer; we ended it
  int event_code_ = 0;      // of an event ERROR
  std::string error_body_;  // of an answer that is no success, its beginning
  bool progress_ = false;   // of a watch: it said something
  Clock::time_point begun_;

  mutable std::mutex mutex_;
  Health health_;  // under mutex_
};

}  // namespace gatehouse::kube
