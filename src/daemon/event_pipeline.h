// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/result.h"
#include "bind/instances.h"
#include "daemon/network_actions.h"
#include "event/assembler.h"
#include "event/clock.h"
#include "event/enrich.h"
#include "event/proc_source.h"
#include "event/process_cache.h"
#include "event/system_symbols.h"
#include "export/dispatcher.h"
#include "export/file_exporter.h"
#include "kernel/kernel.h"
#include "workload/registry.h"

namespace gatehouse::daemon {

/// What was made of snapshots, for as long as the same snapshot is found: most events are of few
/// workloads and policies. One thread.
template <typename Snapshot, typename Translated>
class TranslatedCache {
 public:
  using Pointer = std::shared_ptr<const Translated>;

  template <typename Translate>
  Pointer Get(uint32_t id, const Snapshot& snapshot, Translate translate) {
    if (entries_.size() >= kEntriesMax) entries_.clear();
    Entry& entry = entries_[id];
    if (entry.snapshot != snapshot) entry = {snapshot, translate(*snapshot)};
    return entry.translated;
  }

 private:
  struct Entry {
    Snapshot snapshot;
    Pointer translated;
  };
  static constexpr size_t kEntriesMax = 1024;

  std::unordered_map<uint32_t, Entry> entries_;
};

/// Identity of workloads for events, from the registry.
class RegistryLookup final : public event::WorkloadLookup {
 public:
  explicit RegistryLookup(const workload::Registry& registry) : registry_(registry) {}
  [[nodiscard]] std::shared_ptr<const event::WorkloadInfo> Find(bind::WorkloadId id) const override;

 private:
  const workload::Registry& registry_;
  mutable TranslatedCache<workload::WorkloadPtr, event::WorkloadInfo> translated_;
};

/// Names of policies for events, from the resolver's directory.
class DirectoryLookup final : public event::InstanceLookup {
 public:
  explicit DirectoryLookup(const bind::InstanceDirectory& directory) : directory_(directory) {}
  [[nodiscard]] std::shared_ptr<const event::InstanceInfo> Find(bind::InstanceId id) const override;

 private:
  const bind::InstanceDirectory& directory_;
  mutable TranslatedCache<bind::InstanceInfoPtr, event::InstanceInfo> translated_;
};

struct EventPipelineOptions {
  std::string node_name;
  std::string cluster_name;
  workload::Labels node_labels;
  std::optional<exporting::FileOptions> file;  ///< none: no event log
  bool network_actions = false;                ///< carry out GetUrl and DnsLookup
  bool stack_addresses = false;                ///< see event::EnricherOptions
};

struct EventCounts {
  uint64_t received = 0;     ///< records from the kernel
  uint64_t undecodable = 0;  ///< records that were not understood
  std::string poll_error;    ///< the last failure to read records; empty after a read that worked
  std::optional<exporting::FileExporterStats> file;
  event::ProcessCacheStats processes;
  NetworkActionCounts network_actions;
  std::vector<exporting::SubscriberStats> subscribers;  ///< the event log is one of them
};

/// From the kernel's ring buffer to files and subscribers, with one thread that reads.
class EventPipeline {
 public:
  /// Opens the event log and begins to read. Errors: those of exporting::RotatingFile::Open. What
  /// is referred to must outlive the pipeline.
  [[nodiscard]] static Result<std::unique_ptr<EventPipeline>> Start(
      kernel::Kernel& kernel, const workload::Registry& workloads,
      const bind::InstanceDirectory& instances, EventPipelineOptions options);
  EventPipeline(const EventPipeline&) = delete;
  EventPipeline& operator=(const EventPipeline&) = delete;
  /// Stops.
  ~EventPipeline();

  /// Ends every subscription, reads what the kernel has left, writes the event log. Once.
  void Stop();
  /// Opens the event log anew with the next event.
  void ReopenFile();

  [[nodiscard]] exporting::Dispatcher& dispatcher() { return dispatcher_; }
  /// Any thread.
  [[nodiscard]] EventCounts counts() const;

 private:
  EventPipeline(kernel::Kernel& kernel, const workload::Registry& workloads,
                const bind::InstanceDirectory& instances, const EventPipelineOptions& options);
  void Run();
  void Take(std::span<const std::byte> record);
  void Tell(const event::Whole& record);
  /// What the policy asks of the network.
  void Ask(const event::PolicyRecord& record);

  kernel::Kernel& kernel_;
  const event::SystemClock clock_;
  const event::ProcFilesystem proc_;
  const RegistryLookup workloads_;
  const DirectoryLookup instances_;
  event::ProcessCache cache_;
  event::SystemSymbols symbols_;
  event::Enricher enricher_;
  event::Assembler assembler_;
  exporting::Dispatcher dispatcher_;
  std::unique_ptr<exporting::FileExporter> file_;
  std::unique_ptr<NetworkActions> network_actions_;  // null: off
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> received_ = 0;
  std::atomic<uint64_t> undecodable_ = 0;
  mutable std::mutex error_mutex_;
  std::string poll_error_;
  std::thread reader_;
};

}  // namespace gatehouse::daemon
