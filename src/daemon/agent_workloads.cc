// SPDX-License-Identifier: Apache-2.0
// The half of Agent that is about workloads.
#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "daemon/agent.h"

namespace gatehouse::daemon {
namespace {

using workload::Source;
using workload::Workload;
using workload::WorkloadPtr;

bool SameIdentity(const Workload& a, const Workload& b) {
  return a.ns == b.ns && a.pod == b.pod && a.pod_uid == b.pod_uid && a.container == b.container &&
         a.container_id == b.container_id && a.image == b.image && a.labels == b.labels &&
         a.owner == b.owner && a.sandbox == b.sandbox && a.source == b.source;
}

tl::unexpected<Error> FromFile(const Workload& workload) {
  return Fail(ErrorCode::kRefused, "workload/" + workload.cgroup,
              "it comes from the workloads file", "change it there");
}

}  // namespace

/// Takes back what was done to the registry, last first, unless it is kept.
class Agent::RegistryUndo {
 public:
  explicit RegistryUndo(workload::Registry& registry) : registry_(registry) {}
  ~RegistryUndo() {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) (*step)();
  }
  RegistryUndo(const RegistryUndo&) = delete;
  RegistryUndo& operator=(const RegistryUndo&) = delete;

  void Added(bind::WorkloadId id) {
    steps_.emplace_back([this, id] { (void)registry_.Remove(id); });
  }
  void Changed(WorkloadPtr before) {
    steps_.emplace_back([this, before = std::move(before)] { registry_.Restore(before); });
  }
  void Keep() { steps_.clear(); }

 private:
  workload::Registry& registry_;
  std::vector<std::function<void()>> steps_;
};

/// Ties a workload to the cgroup that is there now; another one of the same path is gone.
Result<void> Agent::Track(const Workload& workload) {
  Untrack(workload.id);
  GH_ASSIGN(const uint64_t cgroup_id, kernel_.Track(workload.id, workload.cgroup));
  tracked_.insert_or_assign(workload.id, cgroup_id);
  return {};
}

/// Whether it is the cgroup that is there now, and not one before it of the same path.
bool Agent::IsTied(const Workload& workload) const {
  const auto tracked = tracked_.find(workload.id);
  return tracked != tracked_.end() && options_.cgroup_id(workload.cgroup) == tracked->second;
}

void Agent::Untrack(bind::WorkloadId id) {
  if (tracked_.erase(id) > 0) kernel_.Untrack(id);
}

/// The cgroups of those removed are untied first: the image must not forget a workload that the
/// kernel still finds. On error nothing has changed.
Result<void> Agent::ChangeWorkloads(const std::vector<WorkloadPtr>& put,
                                    const std::vector<WorkloadPtr>& removed) {
  auto transaction = resolver_.Begin();
  for (const WorkloadPtr& workload : put) transaction.PutWorkload(workload);
  std::vector<WorkloadPtr> untied;
  for (const WorkloadPtr& workload : removed) {
    transaction.RemoveWorkload(workload->id);
    if (tracked_.contains(workload->id)) untied.push_back(workload);
    Untrack(workload->id);
  }
  auto published = Publish(transaction);
  if (!published) {
    // A cgroup that cannot be tied again is found by ReconcileCgroups.
    for (const WorkloadPtr& workload : untied) (void)Track(*workload);
  }
  return published;
}

Result<WorkloadView> Agent::Register(Workload workload, bool replace) {
  GH_ASSIGN(workload.cgroup, workload::NormalizeCgroup(workload.cgroup, registry_.cgroup_root()));
  RegistryUndo undo(registry_);
  const WorkloadPtr before = registry_.Find(workload.cgroup);
  if (before) {
    if (before->source == Source::kFile) return FromFile(*before);
    if (!replace) {
      return Fail(ErrorCode::kExists, "workload/" + before->cgroup, "is registered already",
                  "delete it first: gatehouse workload delete " + before->cgroup);
    }
    workload.id = before->id;
    GH_ASSIGN(const WorkloadPtr after, registry_.Update(std::move(workload)));
    undo.Changed(before);
    if (!IsTied(*after)) GH_TRY(Track(*after));
    GH_TRY(ChangeWorkloads({after}, {}));
    undo.Keep();
    return View(after);
  }
  GH_ASSIGN(const WorkloadPtr added, registry_.Add(std::move(workload)));
  undo.Added(added->id);
  GH_TRY(ChangeWorkloads({added}, {}));
  if (auto tracked = Track(*added); !tracked) {
    // Less than before: there is nothing to run out of.
    (void)ChangeWorkloads({}, {added});
    return tl::unexpected(std::move(tracked).error());
  }
  undo.Keep();
  return View(added);
}

Result<WorkloadView> Agent::AddWorkload(Workload workload, bool replace) {
  const std::lock_guard lock(mutex_);
  workload.source = Source::kApi;
  return Register(std::move(workload), replace);
}

Result<void> Agent::DeleteWorkload(std::string_view cgroup) {
  GH_ASSIGN(const std::string path, workload::NormalizeCgroup(cgroup, registry_.cgroup_root()));
  const std::lock_guard lock(mutex_);
  const WorkloadPtr workload = registry_.Find(path);
  if (!workload) {
    return Fail(ErrorCode::kNotFound, "workload/" + path, "there is no such workload",
                "gatehouse workload list shows all");
  }
  if (workload->source == Source::kFile) return FromFile(*workload);
  GH_TRY(ChangeWorkloads({}, {workload}));
  GH_TRY(registry_.Remove(workload->id));
  return {};
}

Result<void> Agent::SyncWorkloads(std::vector<Workload> workloads) {
  const std::lock_guard lock(mutex_);
  RegistryUndo undo(registry_);
  std::vector<WorkloadPtr> put;
  std::vector<WorkloadPtr> added;
  std::set<std::string> named;
  for (Workload& workload : workloads) {
    GH_ASSIGN(workload.cgroup, workload::NormalizeCgroup(workload.cgroup, registry_.cgroup_root()));
    workload.source = Source::kFile;
    if (!named.insert(workload.cgroup).second) {
      return Fail(ErrorCode::kExists, "workload/" + workload.cgroup, "is in the file twice",
                  "leave one of them out");
    }
    const WorkloadPtr before = registry_.Find(workload.cgroup);
    if (!before) {
      GH_ASSIGN(const WorkloadPtr now, registry_.Add(std::move(workload)));
      undo.Added(now->id);
      added.push_back(now);
      put.push_back(now);
      continue;
    }
    if (before->source != Source::kFile) {
      return Fail(ErrorCode::kExists, "workload/" + before->cgroup,
                  std::string("is registered already, by ") + SourceName(before->source),
                  "delete it first: gatehouse workload delete " + before->cgroup);
    }
    if (SameIdentity(*before, workload)) continue;
    workload.id = before->id;
    GH_ASSIGN(const WorkloadPtr now, registry_.Update(std::move(workload)));
    undo.Changed(before);
    put.push_back(now);
  }
  std::vector<WorkloadPtr> removed;
  for (const WorkloadPtr& workload : registry_.List()) {
    if (workload->source == Source::kFile && !named.contains(workload->cgroup)) {
      removed.push_back(workload);
    }
  }
  GH_TRY(ChangeWorkloads(put, removed));
  undo.Keep();
  for (const WorkloadPtr& workload : removed) (void)registry_.Remove(workload->id);
  for (const WorkloadPtr& workload : added) {
    // One that does not exist yet, or cannot be tied, is tried again by ReconcileCgroups, which
    // reports.
    if (options_.cgroup_id(workload->cgroup)) (void)Track(*workload);
  }
  return {};
}

/// Puts one into the registry, for ChangeWorkloads; null: an operator has given it another
/// identity, or nothing is new.
Result<WorkloadPtr> Agent::Note(Workload workload, RegistryUndo& undo) {
  GH_ASSIGN(workload.cgroup, workload::NormalizeCgroup(workload.cgroup, registry_.cgroup_root()));
  workload.source = Source::kRuntime;
  const WorkloadPtr before = registry_.Find(workload.cgroup);
  if (!before) {
    GH_ASSIGN(WorkloadPtr added, registry_.Add(std::move(workload)));
    undo.Added(added->id);
    return added;
  }
  if (before->source != Source::kRuntime || SameIdentity(*before, workload)) return nullptr;
  workload.id = before->id;
  GH_ASSIGN(WorkloadPtr after, registry_.Update(std::move(workload)));
  undo.Changed(before);
  return after;
}

Result<void> Agent::ApplyContainers(const std::vector<Workload>& put,
                                    const std::vector<WorkloadPtr>& removed,
                                    std::vector<Error>& failures) {
  RegistryUndo undo(registry_);
  std::vector<WorkloadPtr> noted;
  for (const Workload& workload : put) {
    Result<WorkloadPtr> one = Note(workload, undo);
    if (!one) {
      failures.push_back(std::move(one).error());
    } else if (*one) {
      noted.push_back(std::move(*one));
    }
  }
  GH_TRY(ChangeWorkloads(noted, removed));
  undo.Keep();
  for (const WorkloadPtr& workload : removed) (void)registry_.Remove(workload->id);
  for (const WorkloadPtr& workload : noted) {
    if (IsTied(*workload)) continue;
    // One whose cgroup is not there any more, or not yet, is looked for by ReconcileCgroups.
    if (auto tracked = Track(*workload); !tracked) failures.push_back(std::move(tracked).error());
  }
  return {};
}

std::vector<Error> Agent::SyncContainers(const workload::Inventory::Changes& changes) {
  const std::lock_guard lock(mutex_);
  std::vector<WorkloadPtr> removed;
  for (const std::string& cgroup : changes.removed) {
    WorkloadPtr known = registry_.Find(cgroup);
    if (known && known->source == Source::kRuntime) removed.push_back(std::move(known));
  }
  std::vector<Error> failures;
  if (ApplyContainers(changes.put, removed, failures)) return failures;
  // Something is wrong with one of them, and should not concern the others.
  failures.clear();
  if (auto applied = ApplyContainers({}, removed, failures); !applied) {
    failures.push_back(std::move(applied).error());
  }
  for (const Workload& workload : changes.put) {
    if (auto applied = ApplyContainers({workload}, {}, failures); !applied) {
      failures.push_back(std::move(applied).error());
    }
  }
  return failures;
}

Reconciled Agent::ReconcileCgroups() {
  struct Suspect {
    WorkloadPtr workload;
    uint64_t tracked = 0;  // cgroup id, 0: untied
  };
  std::vector<Suspect> suspects;
  {
    const std::lock_guard lock(mutex_);
    for (WorkloadPtr& workload : registry_.List()) {
      const auto tracked = tracked_.find(workload->id);
      const uint64_t id = tracked == tracked_.end() ? 0 : tracked->second;
      suspects.push_back({std::move(workload), id});
    }
  }
  // Looking at thousands of directories takes milliseconds that no other operation should wait for.
  std::erase_if(suspects, [this](const Suspect& suspect) {
    return options_.cgroup_id(suspect.workload->cgroup).value_or(0) == suspect.tracked;
  });
  Reconciled reconciled;
  if (suspects.empty()) return reconciled;
  const std::lock_guard lock(mutex_);
  for (const Suspect& suspect : suspects) {
    if (registry_.Find(suspect.workload->id) != suspect.workload) continue;  // changed meanwhile
    if (auto settled = Reconcile(suspect.workload); !settled) {
      reconciled.failures.push_back(std::move(settled).error());
    } else if (!registry_.Find(suspect.workload->id)) {
      reconciled.ended.push_back(suspect.workload->cgroup);
    }
  }
  return reconciled;
}

Result<void> Agent::Reconcile(const WorkloadPtr& workload) {
  if (IsTied(*workload)) return {};
  const std::optional<uint64_t> present = options_.cgroup_id(workload->cgroup);
  if (!present && workload->source == Source::kRuntime) {
    GH_TRY(ChangeWorkloads({}, {workload}));
    GH_TRY(registry_.Remove(workload->id));
    return {};
  }
  if (present) return Track(*workload);
  Untrack(workload->id);
  return {};
}

WorkloadView Agent::View(WorkloadPtr workload) const {
  WorkloadView view;
  const bind::WorkloadId id = workload ? workload->id : bind::kHostWorkload;
  if (const auto tracked = tracked_.find(id); tracked != tracked_.end()) {
    view.cgroup_id = tracked->second;
  }
  for (const bind::InstanceId instance : resolver_.Group(id)) {
    if (auto info = resolver_.instances().Find(instance)) view.policies.push_back(std::move(info));
  }
  view.workload = std::move(workload);
  return view;
}

Result<void> Agent::LetEnter(pid_t pid) {
  const std::lock_guard lock(mutex_);
  return kernel_.LetEnter(pid);
}

Result<WorkloadView> Agent::TieWorkload(const std::string& cgroup) {
  const std::lock_guard lock(mutex_);
  WorkloadPtr workload = registry_.Find(cgroup);
  if (!workload) {
    return Fail(ErrorCode::kNotFound, "workload/" + cgroup, "there is no such workload",
                "gatehouse workload list shows all");
  }
  if (!IsTied(*workload)) GH_TRY(Track(*workload));
  return View(std::move(workload));
}

std::vector<WorkloadView> Agent::ListWorkloads() const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkloadView> views;
  for (WorkloadPtr& workload : registry_.List()) views.push_back(View(std::move(workload)));
  return views;
}

}  // namespace gatehouse::daemon
