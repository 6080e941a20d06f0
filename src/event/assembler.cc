// SPDX-License-Identifier: Apache-2.0
#include "event/assembler.h"

#include <algorithm>
#include <utility>

namespace gatehouse::event {

Result<void> Assembler::Take(std::span<const std::byte> bytes) {
  GH_ASSIGN(const Record record, Decode(bytes));
  if (const auto* const part = std::get_if<PartRecord>(&record)) {
    Add(*part);
  } else if (const auto* const end = std::get_if<EndRecord>(&record)) {
    End(*end);
  } else if (const auto* const policy = std::get_if<PolicyRecord>(&record)) {
    if ((policy->flags & (GH_POLICY_PARTS | GH_POLICY_HASH)) != 0) {
      Add(bytes, *policy);
    } else {
      tell_(*policy);
    }
  } else if (const auto* const exec = std::get_if<ExecRecord>(&record)) {
    tell_(*exec);
  } else {
    tell_(std::get<ExitRecord>(record));
  }
  return {};
}

void Assembler::Add(std::span<const std::byte> bytes, const PolicyRecord& record) {
  while (!began_.empty() && (operations_.size() >= kThreadsMax || bytes_ >= kBytesMax)) {
    Drop(operations_.find(began_.front()));
  }
  // All events of an operation are told before any part of it.
  const auto before = operations_.find(record.thread());
  if (before != operations_.end() && !before->second.buffers.empty()) Drop(before);
  const auto [found, is_new] = operations_.try_emplace(record.thread());
  if (is_new) began_.push_back(record.thread());
  Operation& operation = found->second;
  operation.events.push_back(
      {.bytes = {bytes.begin(), bytes.end()},
       .time_ns = record.time_ns,
       .awaits = static_cast<uint8_t>(record.flags & (GH_POLICY_PARTS | GH_POLICY_HASH))});
  operation.bytes += bytes.size();
  bytes_ += bytes.size();
}

void Assembler::Add(const PartRecord& part) {
  const auto found = operations_.find(part.thread);
  if (found == operations_.end() || bytes_ >= kBytesMax) return;
  std::string& whole = found->second.buffers[part.subject];
  constexpr size_t kWholeMax = size_t{GH_PARTS_MAX} * GH_PART_BYTES;
  if (part.at != whole.size() || part.at + part.bytes.size() > kWholeMax) return;  // one was lost
  whole.append(part.bytes);
  found->second.bytes += part.bytes.size();
  bytes_ += part.bytes.size();
}

void Assembler::End(const EndRecord& end) {
  const auto found = operations_.find(end.thread);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  bool waits = false;
  for (Waiting& event : operation.events) {
    const bool of_another = event.time_ns < end.since_ns;  // whose end was lost
    event.awaits = of_another ? 0 : static_cast<uint8_t>(event.awaits & ~end.ends);
    if (event.awaits != 0) {
      waits = true;
      continue;
    }
    Tell(event, of_another ? nullptr : &operation.buffers,
         !of_another && end.ends == GH_POLICY_HASH ? &end.hash : nullptr);
  }
  std::erase_if(operation.events, [](const Waiting& event) { return event.awaits == 0; });
  if (!waits) Drop(found);
}

void Assembler::Tell(const Waiting& event, const Buffers* buffers, const FileHash* hash) {
  const Result<Record> decoded = Decode(event.bytes);
  if (!decoded) return;  // it was, when it came
  PolicyRecord record = std::get<PolicyRecord>(*decoded);
  for (ValueRecord& value : std::span(record.values).first(record.n_values)) {
    if (buffers == nullptr) break;
    const auto whole = buffers->find(value.subject);
    if (whole == buffers->end() || whole->second.size() <= value.text.size()) continue;
    value.text = whole->second;
    value.length = std::max(value.length, static_cast<uint32_t>(value.text.size()));
  }
  if (hash != nullptr) record.hash = *hash;
  tell_(record);
}

/// Tells what waits there, and forgets it.
void Assembler::Drop(Operations::iterator found) {
  const Operation operation = std::move(found->second);
  std::erase(began_, found->first);
  bytes_ -= operation.bytes;
  operations_.erase(found);
  for (const Waiting& event : operation.events) Tell(event, &operation.buffers, nullptr);
}

void Assembler::Expire(uint64_t now_ns) {
  while (!began_.empty()) {
    const auto found = operations_.find(began_.front());
    if (found->second.events.front().time_ns + kWaitNs > now_ns) return;
    Drop(found);
  }
}

void Assembler::Flush() {
  while (!began_.empty()) Drop(operations_.find(began_.front()));
}

}  // namespace gatehouse::event
