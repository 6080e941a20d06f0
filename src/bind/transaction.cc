// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

#include "bind/overlap.h"
#include "bind/resolver.h"
#include "bind/selector.h"

namespace gatehouse::bind {
namespace {

policy::Mode ModeOf(const std::vector<const Record*>& members, const Record* tmpl) {
  const bool all_monitor = std::ranges::all_of(members, [&](const Record* member) {
    return ModeOf(*member, tmpl) == policy::Mode::kMonitor;
  });
  return all_monitor ? policy::Mode::kMonitor : policy::Mode::kEnforce;
}

/// The values of a template's variables: by variable, the union over all `bindings`.
Result<std::vector<compile::ValueSetPtr>> MergedValues(const std::vector<const Record*>& bindings,
                                                       const Record& tmpl,
                                                       compile::ValueSets& sets) {
  std::vector<std::vector<compile::ValueSetPtr>> by_variable(tmpl.spec->variables.size());
  for (const Record* binding : bindings) {
    GH_ASSIGN(std::vector<compile::ValueSetPtr> values, ValuesFor(*binding, tmpl));
    for (size_t i = 0; i < values.size(); ++i) by_variable[i].push_back(std::move(values[i]));
  }
  std::vector<compile::ValueSetPtr> merged;
  merged.reserve(by_variable.size());
  for (const auto& values : by_variable) merged.push_back(sets.Union(values));
  return merged;
}

InstanceInfoPtr MakeInfo(InstanceId id, const Record* tmpl,
                         const std::vector<const Record*>& members, policy::Mode mode) {
  auto info = std::make_shared<InstanceInfo>();
  info->id = id;
  info->key = members.front()->key;
  for (const Record* member : members) {
    info->members.push_back(member->key);
    if (member != members.front()) info->key.name += "+" + member->key.name;
  }
  if (tmpl != nullptr) info->template_name = tmpl->key.name;
  info->mode = mode;
  info->hooks = (tmpl != nullptr ? tmpl : members.front())->spec->infos;
  return info;
}

tl::unexpected<Error> NoSuchPolicy(const policy::Key& key) {
  return Fail(ErrorCode::kNotFound, "policy/" + key.ToString(), "there is none of that name");
}

}  // namespace

Resolver::Transaction::Transaction(Resolver& resolver) : resolver_(resolver) {
  assert(!resolver_.in_transaction_);
  resolver_.in_transaction_ = true;
}

Resolver::Transaction::~Transaction() {
  resolver_.in_transaction_ = false;
  if (committed_) return;
  for (const auto& [id, instance] : new_instances_) resolver_.directory_.Forget(id);
  for (; !undo_.empty(); undo_.pop_back()) {
    if (auto* record = std::get_if<UndoRecord>(&undo_.back())) {
      resolver_.SetRecord(record->first, std::move(record->second));
    } else {
      auto& [id, workload] = std::get<UndoWorkload>(undo_.back());
      resolver_.SetWorkload(id, std::move(workload));
    }
  }
}

Result<Record> Resolver::Transaction::Make(const policy::Document& document) {
  auto record = MakeRecord(document, resolver_.sets_, resolver_.last_infos_);
  if (record && resolver_.options_.node_labels) {
    record->for_node = IsForNode(document, *resolver_.options_.node_labels);
  }
  if (record && record->spec) resolver_.last_infos_ = record->spec->infos;
  return record;
}

Result<void> Resolver::Transaction::Add(const policy::Document& document) {
  if (const Record* old = resolver_.FindRecord(document.key())) {
    return Fail(ErrorCode::kExists, "policy/" + document.key().ToString(),
                std::string("a ") + KindName(old->kind) + " of that name exists already",
                "replace it, delete it first, or choose another name");
  }
  GH_ASSIGN(Record record, Make(document));
  GH_TRY(CheckHost(record));
  Set(document.key(), std::move(record));
  return {};
}

Result<void> Resolver::Transaction::Replace(const policy::Document& document) {
  const Record* old = resolver_.FindRecord(document.key());
  if (old == nullptr) return NoSuchPolicy(document.key());
  GH_ASSIGN(Record record, Make(document));
  if (record.kind == old->kind) {
    record.enabled = old->enabled;
    record.runtime_mode = old->runtime_mode;
  }
  GH_TRY(CheckHost(record));
  Set(document.key(), std::move(record));
  return {};
}

Result<void> Resolver::Transaction::Remove(const policy::Key& key) {
  if (resolver_.FindRecord(key) == nullptr) return NoSuchPolicy(key);
  Set(key, std::nullopt);
  return {};
}

Result<void> Resolver::Transaction::Configure(const policy::Key& key, std::optional<bool> enabled,
                                              std::optional<policy::Mode> mode) {
  const Record* old = resolver_.FindRecord(key);
  if (old == nullptr) return NoSuchPolicy(key);
  Record record = *old;
  if (enabled) record.enabled = *enabled;
  if (mode) record.runtime_mode = mode;
  if (record.enabled == old->enabled && record.runtime_mode == old->runtime_mode) return {};
  GH_TRY(CheckHost(record));
  Set(key, std::move(record));
  return {};
}

Result<void> Resolver::Transaction::CheckHost(const Record& record) const {
  if (resolver_.options_.allow_host_enforcement || record.kind != Kind::kPolicy) return {};
  const bool enforces = record.IsActive() &&
                        record.spec->Enforces(LeftOutOn(*record.spec, nullptr)) &&
                        ModeOf(record, nullptr) == policy::Mode::kEnforce;
  if (!enforces || !MatchesHost(record.selector, record.key.ns)) return {};
  return Fail(ErrorCode::kRefused, "policy/" + record.key.ToString(),
              "it would deny or kill on the whole host, as its selector does not exclude it",
              "give it a podSelector or containerSelector, set policy-mode to monitor, or start "
              "the daemon with --allow-host-enforcement");
}

void Resolver::Transaction::PutWorkload(workload::WorkloadPtr workload) {
  assert(!staged_);
  const WorkloadId id = workload->id;
  undo_.emplace_back(UndoWorkload(id, resolver_.SetWorkload(id, std::move(workload))));
  dirty_.insert(id);
}

void Resolver::Transaction::RemoveWorkload(WorkloadId id) {
  assert(!staged_);
  undo_.emplace_back(UndoWorkload(id, resolver_.SetWorkload(id, nullptr)));
  dirty_.insert(id);
}

void Resolver::Transaction::Set(const policy::Key& key, std::optional<Record> record) {
  assert(!staged_);
  RecordPtr next;
  if (record) {
    record->version = resolver_.next_version_++;
    next = std::make_shared<const Record>(std::move(*record));
    Touch(*next);
  }
  RecordPtr old = resolver_.SetRecord(key, std::move(next));
  if (old) Touch(*old);
  undo_.emplace_back(UndoRecord(key, std::move(old)));
}

void Resolver::Transaction::Touch(const Record& record) {
  if (record.kind != Kind::kTemplate) {
    const std::vector<WorkloadId> workloads = resolver_.WorkloadsOf(record);
    dirty_.insert(workloads.begin(), workloads.end());
    return;
  }
  const auto bindings = resolver_.bindings_of_.find(record.key.name);
  if (bindings == resolver_.bindings_of_.end()) return;
  for (const policy::Key& key : bindings->second) Touch(*resolver_.FindRecord(key));
}

Result<Delta> Resolver::Transaction::Stage() {
  assert(!staged_);
  staged_ = true;
  Delta delta;
  for (const WorkloadId id : dirty_) {
    const workload::Workload* workload = resolver_.FindWorkload(id);
    Outcome next;
    if (id == kHostWorkload || workload != nullptr) {
      GH_ASSIGN(next, Resolve(workload));
    }
    const auto old = resolver_.outcomes_.find(id);
    const std::vector<InstanceId> old_group =
        old == resolver_.outcomes_.end() ? std::vector<InstanceId>() : old->second.group;
    if (next.group != old_group) {
      for (const InstanceId instance : old_group) --uses_[instance];
      for (const InstanceId instance : next.group) ++uses_[instance];
      delta.groups.emplace_back(id, next.group);
    }
    outcomes_.emplace(id, std::move(next));
  }
  for (const auto& [id, instance] : new_instances_) delta.added.emplace_back(id, instance.program);
  for (const auto& [id, change] : uses_) {
    const auto instance = resolver_.instances_.find(id);
    if (instance != resolver_.instances_.end() && instance->second.workloads + change == 0) {
      removed_.push_back(id);
    }
  }
  delta.removed = removed_;
  return delta;
}

Result<Resolver::Outcome> Resolver::Transaction::Resolve(const workload::Workload* workload) {
  struct Applied {
    const Record* tmpl;
    std::vector<const Record*> members;  // by key
  };
  Outcome outcome;
  std::vector<Applied> applied;
  Candidates candidates = resolver_.CandidatesOn(workload);
  applied.reserve(candidates.policies.size() + candidates.bindings.size());
  for (const Record* policy : candidates.policies) applied.push_back({nullptr, {policy}});
  for (auto& [tmpl, bindings] : candidates.bindings) {
    Overlap overlap = ResolveOverlap(bindings);
    if (!overlap.applied.empty()) applied.push_back({tmpl, std::move(overlap.applied)});
    for (const Record* record : overlap.conflicting) outcome.conflicting.push_back(record->version);
    for (const Record* record : overlap.overridden) outcome.overridden.push_back(record->version);
  }
  std::ranges::sort(applied, [](const Applied& a, const Applied& b) {
    return a.members.front()->key < b.members.front()->key;
  });
  outcome.group.reserve(applied.size());
  for (const Applied& entry : applied) {
    const Record& what = entry.tmpl != nullptr ? *entry.tmpl : *entry.members.front();
    GH_ASSIGN(const InstanceId id,
              InstanceFor(entry.tmpl, entry.members, LeftOutOn(*what.spec, workload)));
    outcome.group.push_back(id);
  }
  GH_TRY(CheckLimit(workload, outcome.group));
  return outcome;
}

Result<InstanceId> Resolver::Transaction::InstanceFor(const Record* tmpl,
                                                      const std::vector<const Record*>& members,
                                                      compile::LeftOut left_out) {
  InstanceKey key = {{tmpl == nullptr ? 0 : tmpl->version}, std::move(left_out)};
  for (const Record* member : members) key.records.push_back(member->version);
  if (const auto found = resolver_.instance_of_.find(key); found != resolver_.instance_of_.end()) {
    return found->second;
  }
  if (const auto found = new_instance_of_.find(key); found != new_instance_of_.end()) {
    return found->second;
  }
  const policy::Mode mode = ModeOf(members, tmpl);
  std::vector<compile::ValueSetPtr> values;
  if (tmpl != nullptr) {
    GH_ASSIGN(values, MergedValues(members, *tmpl, resolver_.sets_));
  }
  const compile::LoweredSpecPtr& spec = (tmpl != nullptr ? tmpl : members.front())->spec;
  auto program = compile::Instantiate(spec, values, mode, resolver_.sets_, key.left_out);
  const InstanceId id = resolver_.next_instance_++;
  InstanceInfoPtr info = MakeInfo(id, tmpl, members, mode);
  if (!program) {
    Blame(*info);
    Error error = std::move(program).error();
    error.object = "policy/" + info->key.ToString() + ": " + error.object;
    return tl::unexpected(std::move(error));
  }
  resolver_.directory_.Add(std::move(info));
  new_instances_.emplace(id, Instance{key, std::move(*program), 0});
  new_instance_of_.emplace(std::move(key), id);
  return id;
}

const compile::Program& Resolver::Transaction::ProgramOf(InstanceId id) const {
  const auto fresh = new_instances_.find(id);
  return *(fresh != new_instances_.end() ? fresh->second : resolver_.instances_.at(id)).program;
}

Result<void> Resolver::Transaction::CheckLimit(const workload::Workload* workload,
                                               const std::vector<InstanceId>& group) {
  std::map<policy::Site, uint32_t> policies;
  uint32_t most = 0;
  for (const InstanceId id : group) {
    for (const compile::HookProgram& hook : ProgramOf(id).hooks) {
      most = std::max(most, ++policies[*hook.site]);
    }
  }
  if (most <= GH_POLICIES_PER_GATE_MAX) return {};

  const InstanceInfoPtr newest = resolver_.directory_.Find(*std::ranges::max_element(group));
  Blame(*newest);
  return Fail(ErrorCode::kRefused, "policy/" + newest->key.ToString(),
              (workload == nullptr ? "the host" : "workload \"" + workload->Name() + "\"") +
                  " would have " + std::to_string(most) + " policies on one hook, and at most " +
                  std::to_string(GH_POLICIES_PER_GATE_MAX) + " are possible",
              "narrow its selector, or delete policies that the workload does not need");
}

void Resolver::Transaction::Blame(const InstanceInfo& info) {
  at_fault_ = info.members;
  if (!info.template_name.empty()) at_fault_.push_back({info.template_name, ""});
}

void Resolver::Transaction::Commit() {
  assert(staged_ && !committed_);
  committed_ = true;
  auto& tallies = resolver_.tallies_;
  for (auto& [id, instance] : new_instances_) {
    for (const Version version : instance.key.records) {
      if (version != 0) tallies[version].instances.push_back(id);
    }
    resolver_.instance_of_.emplace(instance.key, id);
    resolver_.instances_.emplace(id, std::move(instance));
  }
  for (const auto& [id, change] : uses_) {
    uint32_t& workloads = resolver_.instances_.at(id).workloads;
    workloads = static_cast<uint32_t>(workloads + change);
  }

  std::set<Version> shrunk;
  for (auto& [id, next] : outcomes_) {
    for (const Version version : next.conflicting) ++tallies[version].conflicts;
    for (const Version version : next.overridden) ++tallies[version].overridden;
    const auto old = resolver_.outcomes_.find(id);
    if (old != resolver_.outcomes_.end()) {
      for (const Version version : old->second.conflicting) --tallies[version].conflicts;
      for (const Version version : old->second.overridden) --tallies[version].overridden;
      shrunk.insert(old->second.conflicting.begin(), old->second.conflicting.end());
      shrunk.insert(old->second.overridden.begin(), old->second.overridden.end());
      resolver_.outcomes_.erase(old);
    }
    if (!next.empty()) resolver_.outcomes_.emplace(id, std::move(next));
  }
  for (const InstanceId id : removed_) {
    const auto instance = resolver_.instances_.find(id);
    for (const Version version : instance->second.key.records) {
      std::erase(tallies[version].instances, id);
      shrunk.insert(version);
    }
    resolver_.instance_of_.erase(instance->second.key);
    resolver_.instances_.erase(instance);
    resolver_.directory_.Retire(id);
  }
  for (const Version version : shrunk) {
    if (tallies[version].empty()) tallies.erase(version);
  }
}

}  // namespace gatehouse::bind
