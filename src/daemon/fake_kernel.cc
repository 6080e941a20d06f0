// SPDX-License-Identifier: Apache-2.0
#include "daemon/fake_kernel.h"

#include <algorithm>

#include "policy/file_identity.h"

namespace gatehouse::daemon {
namespace {

/// Bytes that FakeKernel::MemoryBytes says for each rule.
constexpr uint64_t kRuleBytes = sizeof(gh_rule);

/// The first id that FakeKernel::Track gives, so that it cannot be taken for a WorkloadId.
constexpr uint64_t kFirstCgroupId = 1000;

Result<void> Take(std::optional<Error>& failure) {
  if (!failure) return {};
  Error error = std::move(*failure);
  failure.reset();
  return tl::unexpected(std::move(error));
}

}  // namespace

void FakeKernel::RefuseHook(const policy::Site& site, Error reason) {
  const std::lock_guard lock(mutex_);
  refused_hooks_.insert_or_assign(site, std::move(reason));
}

void FakeKernel::RefusePath(const std::string& path, Error reason) {
  const std::lock_guard lock(mutex_);
  refused_paths_.insert_or_assign(path, std::move(reason));
}

void FakeKernel::RefuseSubject(gh_subject subject, Error reason) {
  const std::lock_guard lock(mutex_);
  refused_subjects_.insert_or_assign(subject, std::move(reason));
}

void FakeKernel::FailNextApply(Error reason) {
  const std::lock_guard lock(mutex_);
  next_apply_ = std::move(reason);
}

void FakeKernel::FailNextTrack(Error reason) {
  const std::lock_guard lock(mutex_);
  next_track_ = std::move(reason);
}

void FakeKernel::RemoveHook(const policy::Site& site) {
  RefuseHook(site, {ErrorCode::kUnsupported, site.name, "this kernel has no such function", ""});
  const std::lock_guard lock(mutex_);
  missing_.insert(site);
}

bool FakeKernel::Has(const policy::Site& site) const {
  const std::lock_guard lock(mutex_);
  return !missing_.contains(site);
}

void FakeKernel::SetNames(policy::Site::Kind kind, std::vector<std::string> names) {
  const std::lock_guard lock(mutex_);
  names_.insert_or_assign(kind, std::move(names));
}

std::vector<std::string> FakeKernel::Names(policy::Site::Kind kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(kind);
  return found == names_.end() ? std::vector<std::string>{} : found->second;
}

std::vector<Result<void>> FakeKernel::CanAttach(std::span<const policy::Site> sites) const {
  const std::lock_guard lock(mutex_);
  std::vector<Result<void>> results;
  for (const policy::Site& site : sites) {
    const auto refused = refused_hooks_.find(site);
    results.push_back(refused == refused_hooks_.end() ? Result<void>{}
                                                      : tl::unexpected(refused->second));
  }
  return results;
}

void FakeKernel::SetPlaces(std::vector<kernel::ProbePlace> places) {
  const std::lock_guard lock(mutex_);
  places_ = std::move(places);
}

Result<std::vector<kernel::ProbePlace>> FakeKernel::Places(const policy::Site& site) const {
  const std::lock_guard lock(mutex_);
  const auto refused = refused_hooks_.find(site);
  if (refused != refused_hooks_.end()) return tl::unexpected(refused->second);
  return places_;
}

void FakeKernel::SetDigest(std::string digest) {
  const std::lock_guard lock(mutex_);
  digest_ = std::move(digest);
}

Result<bool> FakeKernel::HasDigest(const std::string&, std::span<const std::string> digests) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::find(digests, digest_) != digests.end();
}

std::optional<gh_address_range> FakeKernel::FindFile(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto file = files_.find(path);
  if (file == files_.end()) return std::nullopt;
  return policy::FileIdentity(1, 2, file->second);
}

void FakeKernel::SetFile(const std::string& path, uint64_t inode) {
  const std::lock_guard lock(mutex_);
  files_[path] = inode;
}

void FakeKernel::SetHits(bind::InstanceId instance, std::vector<kernel::RuleHits> hits) {
  const std::lock_guard lock(mutex_);
  hits_.insert_or_assign(instance, std::move(hits));
}

void FakeKernel::PushEvent(std::vector<std::byte> record) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(record));
  event_arrived_.notify_all();
}

std::vector<bind::InstanceId> FakeKernel::Group(bind::WorkloadId workload) const {
  const std::lock_guard lock(mutex_);
  const auto group = groups_.find(workload);
  return group == groups_.end() ? std::vector<bind::InstanceId>{} : group->second;
}

std::vector<compile::ProgramPtr> FakeKernel::Programs(bind::WorkloadId workload) const {
  const std::lock_guard lock(mutex_);
  std::vector<compile::ProgramPtr> programs;
  if (const auto group = groups_.find(workload); group != groups_.end()) {
    for (const bind::InstanceId id : group->second) programs.push_back(instances_.at(id));
  }
  return programs;
}

std::map<bind::WorkloadId, std::string> FakeKernel::Tracked() const {
  const std::lock_guard lock(mutex_);
  return tracked_;
}

size_t FakeKernel::instance_count() const {
  const std::lock_guard lock(mutex_);
  return instances_.size();
}

uint64_t FakeKernel::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

std::vector<std::string> FakeKernel::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}

std::vector<Result<kernel::Settled>> FakeKernel::Settle(
    std::span<const kernel::Unsettled> all) const {
  const std::lock_guard lock(mutex_);
  std::vector<Result<kernel::Settled>> settled;
  for (const kernel::Unsettled& unsettled : all) {
    const policy::Argument& argument = *unsettled.argument;
    const std::string name = argument.resolved ? argument.resolved->text : "";
    if (const auto refused = refused_paths_.find(name); refused != refused_paths_.end()) {
      settled.emplace_back(tl::unexpected(refused->second));
      continue;
    }
    kernel::Settled& value = *settled.emplace_back(kernel::Settled{.type = argument.type});
    if (argument.type == policy::ArgumentType::kAuto) value.type = policy::ArgumentType::kInt32;
    if (argument.resolved) value.chain = policy::Chain{.offsets = {0}, .bytes = 4};
  }
  return settled;
}

Result<void> FakeKernel::Supports(const compile::HookProgram& hook) const {
  const std::lock_guard lock(mutex_);
  if (const auto refused = refused_hooks_.find(*hook.site); refused != refused_hooks_.end()) {
    return tl::unexpected(refused->second);
  }
  for (const compile::Input& input : hook.inputs) {
    const auto refused = refused_subjects_.find(input.subject);
    if (refused != refused_subjects_.end()) return tl::unexpected(refused->second);
  }
  return {};
}

void FakeKernel::Check(const bind::Delta& delta) {
  std::set<bind::InstanceId> present;
  for (const auto& [id, program] : instances_) present.insert(id);
  for (const auto& [id, program] : delta.added) {
    if (!present.insert(id).second) {
      violations_.push_back("instance " + std::to_string(id) + " added twice");
    }
  }
  for (const bind::InstanceId id : delta.removed) {
    if (present.erase(id) == 0) {
      violations_.push_back("instance " + std::to_string(id) + " removed, but not there");
    }
  }
  std::map<bind::WorkloadId, std::vector<bind::InstanceId>> after = groups_;
  for (const auto& [workload, ids] : delta.groups) after.insert_or_assign(workload, ids);
  for (const auto& [workload, ids] : after) {
    for (const bind::InstanceId id : ids) {
      if (!present.contains(id)) {
        violations_.push_back("workload " + std::to_string(workload) + " names instance " +
                              std::to_string(id) + ", which is not there");
      }
    }
  }
}

Result<void> FakeKernel::Apply(const bind::Delta& delta) {
  const std::lock_guard lock(mutex_);
  GH_TRY(Take(next_apply_));
  Check(delta);
  for (const auto& [id, program] : delta.added) instances_.insert_or_assign(id, program);
  for (const auto& [workload, ids] : delta.groups) {
    if (ids.empty()) {
      groups_.erase(workload);
    } else {
      groups_.insert_or_assign(workload, ids);
    }
  }
  for (const bind::InstanceId id : delta.removed) {
    instances_.erase(id);
    hits_.erase(id);
  }
  if (!delta.empty()) ++generation_;
  return {};
}

Result<uint64_t> FakeKernel::Track(bind::WorkloadId workload, const std::string& path) {
  const std::lock_guard lock(mutex_);
  GH_TRY(Take(next_track_));
  if (!tracked_.emplace(workload, path).second) {
    violations_.push_back("workload " + std::to_string(workload) + " tracked twice");
  }
  return kFirstCgroupId + workload;
}

void FakeKernel::Untrack(bind::WorkloadId workload) {
  const std::lock_guard lock(mutex_);
  if (tracked_.erase(workload) == 0) {
    violations_.push_back("workload " + std::to_string(workload) + " untracked, but not tracked");
  }
}

std::vector<kernel::RuleHits> FakeKernel::Hits(bind::InstanceId instance) const {
  const std::lock_guard lock(mutex_);
  const auto hits = hits_.find(instance);
  return hits == hits_.end() ? std::vector<kernel::RuleHits>{} : hits->second;
}

uint64_t FakeKernel::MemoryBytes(bind::InstanceId instance) const {
  const std::lock_guard lock(mutex_);
  const auto found = instances_.find(instance);
  if (found == instances_.end()) return 0;
  uint64_t rules = 0;
  for (const auto& hook : found->second->hooks) rules += hook.rules.size();
  return rules * kRuleBytes;
}

kernel::Status FakeKernel::status() const {
  const std::lock_guard lock(mutex_);
  kernel::Status status;
  status.backend = backend_;
  for (const kernel::Backend backend :
       {kernel::Backend::kLsm, kernel::Backend::kFmodRet, kernel::Backend::kSignal}) {
    kernel::BackendProbe probe;
    probe.backend = backend;
    probe.available = backend == backend_;
    if (!probe.available) probe.absent_because = "this is no kernel";
    status.probes.push_back(std::move(probe));
  }
  status.hooks = {{.name = "bprm_creds_for_exec", .program = "gate", .program_id = 1}};
  status.programs = {{.name = "gate", .id = 1}, {.name = "on_fork", .id = 2}};
  status.maps = {{.name = "arena", .id = 3, .memlock_bytes = 4096}};
  status.image.generation = generation_;
  status.image.instances = instances_.size();
  status.image.groups = groups_.size();
  status.image.workloads = tracked_.size();
  return status;
}

Result<size_t> FakeKernel::PollEvents(std::chrono::milliseconds timeout,
                                      const std::function<void(std::span<const std::byte>)>& sink) {
  std::deque<std::vector<std::byte>> events;
  {
    std::unique_lock lock(mutex_);
    event_arrived_.wait_for(lock, timeout, [this] { return !events_.empty(); });
    events.swap(events_);
  }
  for (const auto& event : events) sink(event);
  return events.size();
}

}  // namespace gatehouse::daemon
