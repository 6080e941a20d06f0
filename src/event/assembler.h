// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "event/decode.h"

namespace gatehouse::event {

/// Puts together the events of which parts follow in records of their own: whole buffers, the hash
/// of a file. Such an event waits for what it announced, at most kWaitNs, and is told without what
/// did not come; all others are told at once. What waits has limits, too. Thread: the one that
/// reads events.
class Assembler {
 public:
  static constexpr uint64_t kWaitNs = 1'000'000'000;
  static constexpr size_t kThreadsMax = 256;
  static constexpr size_t kBytesMax = 16U << 20;

  /// `tell` gets each event; what it points into is valid during the call.
  explicit Assembler(std::function<void(const Whole&)> tell) : tell_(std::move(tell)) {}

  /// Takes a record. Errors: those of Decode.
  [[nodiscard]] Result<void> Take(std::span<const std::byte> bytes);
  /// Tells what has waited too long at `now_ns`, CLOCK_BOOTTIME.
  void Expire(uint64_t now_ns);
  /// Tells all that waits.
  void Flush();

 private:
  struct Waiting {
    std::vector<std::byte> bytes;  ///< the record
    uint64_t time_ns = 0;
    uint8_t awaits = 0;  ///< GH_POLICY_PARTS, GH_POLICY_HASH
  };
  using Buffers = std::map<gh_subject, std::string>;
  /// What a thread told of an operation, and what of it has followed.
  struct Operation {
    std::vector<Waiting> events;
    Buffers buffers;
    size_t bytes = 0;
  };
  using Operations = std::unordered_map<uint64_t, Operation>;

  void Add(std::span<const std::byte> bytes, const PolicyRecord& record);
  void Add(const PartRecord& part);
  void End(const EndRecord& end);
  /// Either may be null: it did not come.
  void Tell(const Waiting& event, const Buffers* buffers, const FileHash* hash);
  void Drop(Operations::iterator found);

  const std::function<void(const Whole&)> tell_;
  Operations operations_;       // by thread
  std::deque<uint64_t> began_;  // threads, the one that waits longest first
  size_t bytes_ = 0;            // of all
};

}  // namespace gatehouse::event
