// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_pipeline.h"

#include <ctime>
#include <utility>

namespace gatehouse::daemon {
namespace {

constexpr std::chrono::milliseconds kPollTimeout{100};
/// How long to wait before reading again after a failure, so that it cannot spin.
constexpr std::chrono::milliseconds kPollRetry{1000};
constexpr uint64_t kNsPerSecond = 1'000'000'000;

uint64_t BootNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

std::shared_ptr<const event::WorkloadInfo> RegistryLookup::Find(bind::WorkloadId id) const {
  const workload::WorkloadPtr workload = registry_.FindRecent(id);
  if (!workload) return nullptr;
  return translated_.Get(id, workload, [](const workload::Workload& from) {
    return std::make_shared<const event::WorkloadInfo>(event::WorkloadInfo{
        .ns = from.ns,
        .pod = from.pod,
        .pod_uid = from.pod_uid,
        .container = from.container,
        .container_id = from.container_id,
        .image = from.image,
        .labels = {from.labels.begin(), from.labels.end()},
        .cgroup = from.IsPod() ? std::string() : from.cgroup,
        .owner_kind = from.owner.kind,
        .owner = from.owner.name,
    });
  });
}

std::shared_ptr<const event::InstanceInfo> DirectoryLookup::Find(bind::InstanceId id) const {
  const bind::InstanceInfoPtr instance = directory_.Find(id);
  if (!instance) return nullptr;
  return translated_.Get(id, instance, [](const bind::InstanceInfo& from) {
    return std::make_shared<const event::InstanceInfo>(
        event::InstanceInfo{.policy_name = from.key.name, .hooks = from.hooks});
  });
}

EventPipeline::EventPipeline(kernel::Kernel& kernel, const workload::Registry& workloads,
                             const bind::InstanceDirectory& instances,
                             const EventPipelineOptions& options)
    : kernel_(kernel),
      workloads_(workloads),
      instances_(instances),
      cache_({.node_name = options.node_name}, clock_, proc_),
      enricher_({.node_name = options.node_name,
                 .cluster_name = options.cluster_name,
                 .node_labels = options.node_labels,
                 .stack_addresses = options.stack_addresses},
                cache_, clock_, workloads_, instances_, symbols_),
      assembler_([this](const event::Whole& record) { Tell(record); }) {}

Result<std::unique_ptr<EventPipeline>> EventPipeline::Start(
    kernel::Kernel& kernel, const workload::Registry& workloads,
    const bind::InstanceDirectory& instances, EventPipelineOptions options) {
  std::unique_ptr<EventPipeline> pipeline(new EventPipeline(kernel, workloads, instances, options));
  if (options.file) {
    GH_ASSIGN(pipeline->file_,
              exporting::FileExporter::Start(pipeline->dispatcher_, std::move(*options.file), {}));
  }
  if (options.network_actions) pipeline->network_actions_ = std::make_unique<NetworkActions>();
  pipeline->reader_ = std::thread([raw = pipeline.get()] { raw->Run(); });
  return pipeline;
}

EventPipeline::~EventPipeline() { Stop(); }

void EventPipeline::Stop() {
  if (!reader_.joinable()) return;
  stopping_ = true;
  reader_.join();
  dispatcher_.Close();
  file_.reset();
}

void EventPipeline::ReopenFile() {
  if (file_) file_->Reopen();
}

void EventPipeline::Take(std::span<const std::byte> record) {
  ++received_;
  if (!assembler_.Take(record)) ++undecodable_;
}

void EventPipeline::Tell(const event::Whole& record) {
  dispatcher_.Publish(enricher_.Enrich(record));
  const auto* const policy = std::get_if<event::PolicyRecord>(&record);
  if (policy != nullptr && network_actions_) Ask(*policy);
}

void EventPipeline::Ask(const event::PolicyRecord& record) {
  if ((record.flags & GH_POLICY_MONITOR) != 0) return;
  const auto instance = instances_.Find(record.instance);
  if (!instance || !instance->hooks || record.hook_index >= instance->hooks->size()) return;
  for (const policy::NetworkAction& action :
       (*instance->hooks)[record.hook_index].network_actions) {
    if (action.selector == record.rule) network_actions_->Ask(action);
  }
}

void EventPipeline::Run() {
  cache_.FillFromProc();
  for (;;) {
    // Read before the poll: records that come before Stop are still taken.
    const bool last = stopping_;
    const auto count = kernel_.PollEvents(last ? std::chrono::milliseconds(0) : kPollTimeout,
                                          [this](auto record) { Take(record); });
    {
      const std::lock_guard lock(error_mutex_);
      poll_error_ = count ? std::string() : count.error().Message();
    }
    assembler_.Expire(BootNs());
    if (last) assembler_.Flush();
    cache_.Expire(BootNs());
    if (last) return;
    if (!count) std::this_thread::sleep_for(kPollRetry);
  }
}

EventCounts EventPipeline::counts() const {
  EventCounts counts;
  counts.received = received_;
  counts.undecodable = undecodable_;
  {
    const std::lock_guard lock(error_mutex_);
    counts.poll_error = poll_error_;
  }
  if (file_) counts.file = file_->stats();
  counts.processes = cache_.stats();
  if (network_actions_) counts.network_actions = network_actions_->counts();
  counts.subscribers = dispatcher_.stats();
  return counts;
}

}  // namespace gatehouse::daemon
