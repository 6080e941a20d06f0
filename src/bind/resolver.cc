// SPDX-License-Identifier: Apache-2.0
#include "bind/resolver.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "bind/overlap.h"
#include "bind/selector.h"

namespace gatehouse::bind {
namespace {

constexpr uint32_t kConflictsNamed = 3;  // workloads that a conflict's text names

std::string Quoted(std::string_view name) { return '"' + std::string(name) + '"'; }

/// `conflicts with "b", "c" on workload "w": why`.
std::string DescribeConflict(const Overlap& overlap, const Record& binding,
                             const workload::Workload& workload) {
  std::string others;
  for (const Record* other : overlap.conflicting) {
    if (other == &binding) continue;
    others += (others.empty() ? "" : ", ") + Quoted(other->key.ToString());
  }
  return "conflicts with " + others + " on workload " + Quoted(workload.Name()) + ": " +
         std::string(overlap.reason);
}

}  // namespace

Resolver::Transaction Resolver::Begin() { return Transaction(*this); }

RecordPtr Resolver::SetRecord(const policy::Key& key, RecordPtr record) {
  RecordPtr old;
  if (const auto found = records_.find(key); found != records_.end()) {
    old = *found;
    records_.erase(found);
    if (old->kind != Kind::kTemplate) record_index_.Remove(*old);
    if (old->kind == Kind::kBinding) {
      const auto bindings = bindings_of_.find(old->template_name);
      bindings->second.erase(key);
      if (bindings->second.empty()) bindings_of_.erase(bindings);
    }
  }
  if (record) {
    if (record->kind != Kind::kTemplate) record_index_.Add(*record);
    if (record->kind == Kind::kBinding) bindings_of_[record->template_name].insert(key);
    records_.insert(std::move(record));
  }
  return old;
}

workload::WorkloadPtr Resolver::SetWorkload(WorkloadId id, workload::WorkloadPtr workload) {
  workload::WorkloadPtr old;
  if (const auto found = workloads_.find(id); found != workloads_.end()) {
    old = std::move(found->second);
    workloads_.erase(found);
    workload_index_.Remove(*old);
  }
  if (workload) {
    workload_index_.Add(*workload);
    workloads_.emplace(id, std::move(workload));
  }
  return old;
}

const Record* Resolver::FindRecord(const policy::Key& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : found->get();
}

const Record* Resolver::FindTemplate(const Record& binding) const {
  const Record* record = FindRecord({binding.template_name, ""});
  return record != nullptr && record->kind == Kind::kTemplate ? record : nullptr;
}

const workload::Workload* Resolver::FindWorkload(WorkloadId id) const {
  const auto found = workloads_.find(id);
  return found == workloads_.end() ? nullptr : found->second.get();
}

std::vector<const Record*> Resolver::RecordsAbout(const workload::Workload* workload) const {
  std::vector<const Record*> about;
  record_index_.ForEach(workload, [&](const Record& record) {
    if (IsAbout(record, workload)) about.push_back(&record);
  });
  std::ranges::sort(about, [](const Record* a, const Record* b) { return a->key < b->key; });
  about.erase(std::ranges::unique(about).begin(), about.end());
  return about;
}

Resolver::Candidates Resolver::CandidatesOn(const workload::Workload* workload) const {
  Candidates candidates;
  for (const Record* record : RecordsAbout(workload)) {
    if (!record->IsActive()) continue;
    if (record->kind == Kind::kPolicy) {
      candidates.policies.push_back(record);
      continue;
    }
    const Record* tmpl = FindTemplate(*record);
    if (tmpl != nullptr && tmpl->IsActive() && ValuesFor(*record, *tmpl)) {
      candidates.bindings[tmpl].push_back(record);
    }
  }
  return candidates;
}

std::vector<WorkloadId> Resolver::WorkloadsOf(const Record& record) const {
  std::vector<WorkloadId> ids;
  if (IsAbout(record, nullptr)) ids.push_back(kHostWorkload);
  workload_index_.ForEach(record, [&](WorkloadId id) {
    if (IsAbout(record, workloads_.at(id).get())) ids.push_back(id);
  });
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  return ids;
}

std::vector<PolicyStatus> Resolver::List() const {
  std::vector<PolicyStatus> all;
  all.reserve(records_.size());
  for (const RecordPtr& record : records_) all.push_back(StatusOf(*record));
  return all;
}

Result<PolicyStatus> Resolver::Status(const policy::Key& key) const {
  const Record* record = FindRecord(key);
  if (record != nullptr) return StatusOf(*record);
  return Fail(ErrorCode::kNotFound, "policy/" + key.ToString(), "there is none of that name");
}

std::vector<Setting> Resolver::About(WorkloadId workload) const {
  const workload::Workload* known = FindWorkload(workload);
  std::vector<Setting> settings;
  if (known == nullptr && workload != kHostWorkload) return settings;
  std::map<policy::Key, const Record*> templates;
  for (const Record* record : RecordsAbout(known)) {
    const Record* tmpl = record->kind == Kind::kBinding ? FindTemplate(*record) : nullptr;
    if (tmpl != nullptr) templates.emplace(tmpl->key, tmpl);
    settings.push_back({record->key, record->enabled, ModeOf(*record, tmpl), record->for_node});
  }
  for (const auto& [key, tmpl] : templates) {
    settings.push_back({key, tmpl->enabled, ModeOf(*tmpl, nullptr), tmpl->for_node});
  }
  return settings;
}

std::vector<InstanceId> Resolver::Group(WorkloadId workload) const {
  const auto found = outcomes_.find(workload);
  return found == outcomes_.end() ? std::vector<InstanceId>() : found->second.group;
}

PolicyStatus Resolver::StatusOf(const Record& record) const {
  PolicyStatus status;
  status.key = record.key;
  status.kind = record.kind;
  status.template_name = record.template_name;
  const Record* tmpl = record.kind == Kind::kBinding ? FindTemplate(record) : nullptr;
  status.mode = ModeOf(record, tmpl);
  if (record.spec) status.hooks = record.spec->infos;

  if (const auto tally = tallies_.find(record.version); tally != tallies_.end()) {
    status.instances = tally->second.instances;
    for (const InstanceId id : status.instances) status.workloads += instances_.at(id).workloads;
    status.conflicts = tally->second.conflicts;
    status.overridden = tally->second.overridden;
  }

  if (!record.enabled) {
    status.state = State::kDisabled;
  } else if (!record.for_node || (tmpl != nullptr && !tmpl->for_node)) {
    status.state = State::kSkipped;
  } else if (record.kind != Kind::kBinding) {
    status.state = State::kEnabled;
  } else if (tmpl == nullptr || !tmpl->enabled) {
    status.state = State::kPending;
    status.error = "template " + Quoted(record.template_name) +
                   (tmpl == nullptr ? " does not exist" : " is disabled");
  } else if (const auto values = ValuesFor(record, *tmpl); !values) {
    status.state = State::kRefused;
    status.error = values.error().Message();
  } else if (status.conflicts > 0) {
    status.state = State::kConflict;
    status.error = ConflictText(record, status.conflicts);
  }
  return status;
}

std::string Resolver::ConflictText(const Record& binding, uint32_t conflicts) const {
  const Record* tmpl = FindTemplate(binding);
  std::string text;
  uint32_t named = 0;
  for (const WorkloadId id : WorkloadsOf(binding)) {
    if (named == std::min(kConflictsNamed, conflicts)) break;
    const workload::Workload& workload = *workloads_.at(id);
    const Overlap overlap = ResolveOverlap(CandidatesOn(&workload).bindings.at(tmpl));
    if (overlap.conflicting.empty()) continue;
    text += (text.empty() ? "" : "; ") + DescribeConflict(overlap, binding, workload);
    ++named;
  }
  if (conflicts > named)
    text += "; and on " + std::to_string(conflicts - named) + " more workloads";
  return text;
}

}  // namespace gatehouse::bind
