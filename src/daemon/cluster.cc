// SPDX-License-Identifier: Apache-2.0
#include "daemon/cluster.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace gatehouse::daemon {
namespace {

using workload::Inventory;

/// What a policy of the cluster is called where policies say where they are from.
std::string PathOf(kube::PolicyKind kind, const std::string& key) {
  return std::string("kubernetes/") + kube::PolicyPlural(kind) + "/" + key;
}

std::string PathOf(const kube::PolicyObject& object) {
  return PathOf(object.kind,
                object.key.ns.empty() ? object.key.name : object.key.ns + "/" + object.key.name);
}

/// By the clock on the wall.
std::chrono::system_clock::time_point OnTheWall(kube::Clock::time_point time) {
  const auto ago = kube::Clock::now() - time;
  return std::chrono::system_clock::now() -
         std::chrono::duration_cast<std::chrono::system_clock::duration>(ago);
}

constexpr size_t kMessageBytesMax = kube::kReportMessageBytesMax;

}  // namespace

ClusterSource::ClusterSource(kube::Config config, std::string node, Agent& agent,
                             Containers& containers,
                             std::function<void(const std::string& line)> log)
    : node_(std::move(node)),
      agent_(agent),
      containers_(containers),
      log_(std::move(log)),
      cluster_(std::move(config)) {
  cluster_.Watch<kube::NodeFacts>(kube::Node(node_), &kube::ConvertNode, [this](auto changes) {
    const std::lock_guard lock(mutex_);
    if (!changes.put.empty()) node_facts_ = std::move(changes.put.back());
  });
  cluster_.Watch<workload::NamespaceFacts>(
      kube::Namespaces(), &kube::ConvertNamespace,
      [this](auto changes) { TakeNamespaces(std::move(changes)); });
  cluster_.Watch<workload::PodFacts>(kube::PodsOf(node_), &kube::ConvertPod,
                                     [this](auto changes) { TakePods(std::move(changes)); });
  for (const kube::PolicyKind kind : kube::kPolicyKinds) {
    cluster_.Watch<kube::PolicyObject>(
        kube::Policies(kind), kube::PolicyConverter(kind, node_),
        [this, kind](auto changes) { TakePolicies(kind, std::move(changes)); });
  }
  cluster_.Start();
}

void ClusterSource::TakePods(kube::Changes<workload::PodFacts> changes) {
  containers_.Change([&](Inventory& inventory) {
    for (const std::string& key : changes.removed) {
      const auto found = uids_.find(key);
      if (found == uids_.end()) continue;
      inventory.RemovePod(found->second);
      uids_.erase(found);
    }
    for (workload::PodFacts& pod : changes.put) {
      std::string& uid = uids_[pod.ns + "/" + pod.name];
      if (!uid.empty() && uid != pod.uid) inventory.RemovePod(uid);
      uid = pod.uid;
      inventory.Put(std::move(pod));
    }
  });
}

void ClusterSource::TakeNamespaces(kube::Changes<workload::NamespaceFacts> changes) {
  containers_.Change([&](Inventory& inventory) {
    for (const std::string& name : changes.removed) inventory.RemoveNamespace(name);
    for (workload::NamespaceFacts& facts : changes.put) inventory.Put(std::move(facts));
  });
}

void ClusterSource::TakePolicies(kube::PolicyKind kind, kube::Changes<kube::PolicyObject> changes) {
  std::vector<FileChange> files;
  for (const std::string& key : changes.removed) files.push_back({PathOf(kind, key), {}});
  for (kube::PolicyObject& object : changes.put) {
    files.push_back({PathOf(object), std::exchange(object.text, {})});
  }
  const std::vector<ApplyResult> results = agent_.SyncFiles(files);
  const std::lock_guard lock(mutex_);
  for (const std::string& key : changes.removed) {
    std::erase_if(policies_, [&](const auto& known) {
      return known.first.first == kind && PathOf(known.second.object) == PathOf(kind, key);
    });
  }
  for (size_t i = 0; i < changes.put.size(); ++i) {
    const ApplyResult& result = results.at(changes.removed.size() + i);
    kube::PolicyObject& object = changes.put[i];
    Known& known = policies_[{kind, object.key}];
    known.reported = object.reported;
    known.refusal = result.applied ? std::string() : result.Message(kMessageBytesMax);
    if (!result.applied) log_(PathOf(object) + ": " + known.refusal);
    known.object = std::move(object);
  }
}

kube::PolicyReport ClusterSource::ReportOn(const Known& known, const PolicyView* view) const {
  kube::PolicyReport report{.generation = known.object.generation};
  if (!known.refusal.empty() || view == nullptr) {
    report.state = kube::PolicyState::kRefused;
    report.message = known.refusal;
    return report;
  }
  switch (view->status.state) {
    case bind::State::kConflict:
      report.state = kube::PolicyState::kConflict;
      break;
    case bind::State::kRefused:
      report.state = kube::PolicyState::kRefused;
      break;
    case bind::State::kSkipped:
      report.state = kube::PolicyState::kSkipped;
      break;
    default:
      break;
  }
  report.message = view->status.error;
  return report;
}

void ClusterSource::Report() {
  const std::vector<PolicyView> views = agent_.ListPolicies();
  const std::lock_guard lock(mutex_);
  if (!node_facts_) return;
  std::map<policy::Key, const PolicyView*> by_key;
  for (const PolicyView& view : views) by_key[view.status.key] = &view;
  std::vector<kube::PolicyInReport> all;
  for (auto& [key, known] : policies_) {
    const auto found = by_key.find(key.second);
    const PolicyView* const view = found == by_key.end() ? nullptr : found->second;
    kube::PolicyReport report = ReportOn(known, view);
    all.push_back({key.first, key.second, report});
    // Nodes on which nothing is about it say nothing in it.
    const bool concerned = report.state != kube::PolicyState::kAccepted ||
                           (view != nullptr && view->status.workloads > 0);
    if (!concerned || known.reported == report) continue;
    if (kube::WantsReport(known.object, report)) {
      cluster_.Write(kube::ReportOnPolicy(node_, key.first, key.second, report));
    }
    known.reported = std::move(report);
  }
  const auto same = [](const kube::PolicyInReport& a, const kube::PolicyInReport& b) {
    return a.kind == b.kind && a.key == b.key && a.report == b.report;
  };
  if (std::ranges::equal(all, told_, same)) return;
  cluster_.Write(kube::ReportOfNode(*node_facts_, all));
  told_ = std::move(all);
}

std::vector<SourceHealth> ClusterSource::health() const {
  std::vector<SourceHealth> all;
  for (const kube::Health& health : cluster_.health()) {
    all.push_back({.kind = "kubernetes",
                   .name = health.resource,
                   .state = kube::ReflectorStateName(health.state),
                   .since = OnTheWall(health.since),
                   .objects = health.objects,
                   .refused = health.unreadable,
                   .last_error = health.last_error,
                   .last_error_at = OnTheWall(health.last_error_at)});
  }
  return all;
}

}  // namespace gatehouse::daemon
