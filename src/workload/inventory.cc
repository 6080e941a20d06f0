// SPDX-License-Identifier: Apache-2.0
#include "workload/inventory.h"

#include <algorithm>
#include <utility>

namespace gatehouse::workload {
namespace {

void Fill(std::string& into, const std::string& from) {
  if (into.empty()) into = from;
}

const PodFacts::Container* FindContainer(const PodFacts& pod, const ContainerFacts& facts) {
  const auto same = [&](const PodFacts::Container& container) {
    return facts.name.empty() ? container.id == facts.id : container.name == facts.name;
  };
  const auto found = std::ranges::find_if(pod.containers, same);
  return found == pod.containers.end() ? nullptr : &*found;
}

}  // namespace

ContainerFacts Inventory::Merge(const Told& told) {
  ContainerFacts merged;
  for (const auto& [teller, facts] : told) {
    Fill(merged.id, facts.id);
    Fill(merged.cgroup, facts.cgroup);
    Fill(merged.name, facts.name);
    Fill(merged.image, facts.image);
    Fill(merged.pod_uid, facts.pod_uid);
    Fill(merged.pod, facts.pod);
    Fill(merged.ns, facts.ns);
    if (merged.labels.empty()) merged.labels = facts.labels;
    merged.sandbox = merged.sandbox || facts.sandbox;
  }
  return merged;
}

/// What the cluster says of a pod counts for more than what the runtime was told when it was made.
Workload Inventory::WorkloadOf(const ContainerFacts& facts) const {
  Workload workload{.cgroup = facts.cgroup,
                    .ns = facts.ns,
                    .pod = facts.pod,
                    .pod_uid = facts.pod_uid,
                    .container = facts.name,
                    .container_id = facts.id,
                    .image = facts.image,
                    .labels = facts.labels,
                    .sandbox = facts.sandbox};
  const auto pod = pods_.find(facts.pod_uid);
  if (pod != pods_.end()) {
    workload.ns = pod->second.ns;
    workload.pod = pod->second.name;
    workload.labels = pod->second.labels;
    workload.owner = pod->second.owner;
    if (const PodFacts::Container* const container = FindContainer(pod->second, facts)) {
      workload.container = container->name;
      Fill(workload.image, container->image);
    }
  }
  std::erase_if(workload.labels, [](const auto& label) {
    return label.first == kNamespaceLabel || label.first.starts_with(kNamespaceLabelsPrefix);
  });
  if (const auto labels = namespaces_.find(workload.ns); labels != namespaces_.end()) {
    for (const auto& [key, value] : labels->second) {
      workload.labels.emplace(std::string(kNamespaceLabelsPrefix) + key, value);
    }
  }
  return workload;
}

void Inventory::Put(Teller teller, ContainerFacts facts) {
  const std::string id = facts.id;
  if (const auto before = cgroups_.find(facts.cgroup);
      before != cgroups_.end() && before->second != id) {
    Erase(std::string(before->second));
  }
  Told& told = containers_[id];
  if (!told.empty()) Unlink(id, Merge(told));
  told.insert_or_assign(teller, std::move(facts));
  Link(id, Merge(told));
}

void Inventory::Link(const std::string& id, const ContainerFacts& facts) {
  touched_.insert(facts.cgroup);
  cgroups_.insert_or_assign(facts.cgroup, id);
  of_pod_[facts.pod_uid].insert(id);
}

void Inventory::Unlink(const std::string& id, const ContainerFacts& facts) {
  touched_.insert(facts.cgroup);
  const auto cgroup = cgroups_.find(facts.cgroup);
  if (cgroup != cgroups_.end() && cgroup->second == id) cgroups_.erase(cgroup);
  const auto pod = of_pod_.find(facts.pod_uid);
  pod->second.erase(id);
  if (pod->second.empty()) of_pod_.erase(pod);
}

void Inventory::Erase(const std::string& id) {
  const auto found = containers_.find(id);
  if (found == containers_.end()) return;
  Unlink(id, Merge(found->second));
  containers_.erase(found);
}

void Inventory::Forget(const std::string& cgroup) {
  const auto found = cgroups_.find(cgroup);
  if (found != cgroups_.end()) Erase(std::string(found->second));
}

void Inventory::TouchPod(const std::string& uid) {
  const auto containers = of_pod_.find(uid);
  if (containers == of_pod_.end()) return;
  for (const std::string& id : containers->second) {
    touched_.insert(Merge(containers_.at(id)).cgroup);
  }
}

void Inventory::TouchNamespace(const std::string& name) {
  if (const auto pods = pods_of_namespace_.find(name); pods != pods_of_namespace_.end()) {
    for (const std::string& uid : pods->second) TouchPod(uid);
  }
  // Those whose pod is not known, the runtime names.
  for (const auto& [cgroup, workload] : taken_) {
    if (workload.ns == name) touched_.insert(cgroup);
  }
}

void Inventory::Put(PodFacts pod) {
  RemovePod(pod.uid);
  const std::string uid = pod.uid;
  pods_of_namespace_[pod.ns].insert(uid);
  pods_.insert_or_assign(uid, std::move(pod));
  TouchPod(uid);
}

void Inventory::RemovePod(const std::string& uid) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) return;
  const auto others = pods_of_namespace_.find(found->second.ns);
  others->second.erase(uid);
  if (others->second.empty()) pods_of_namespace_.erase(others);
  pods_.erase(found);
  TouchPod(uid);
}

void Inventory::Put(NamespaceFacts facts) {
  TouchNamespace(facts.name);
  namespaces_.insert_or_assign(std::move(facts.name), std::move(facts.labels));
}

void Inventory::RemoveNamespace(const std::string& name) {
  if (namespaces_.erase(name) > 0) TouchNamespace(name);
}

void Inventory::Repeat(const std::string& cgroup) {
  taken_.erase(cgroup);
  touched_.insert(cgroup);
}

Inventory::Changes Inventory::Take() {
  Changes changes;
  for (const std::string& cgroup : std::exchange(touched_, {})) {
    const auto id = cgroups_.find(cgroup);
    const auto before = taken_.find(cgroup);
    if (id == cgroups_.end()) {
      if (before == taken_.end()) continue;
      changes.removed.push_back(cgroup);
      taken_.erase(before);
      continue;
    }
    Workload workload = WorkloadOf(Merge(containers_.at(id->second)));
    if (before != taken_.end() && before->second == workload) continue;
    taken_.insert_or_assign(cgroup, workload);
    changes.put.push_back(std::move(workload));
  }
  return changes;
}

}  // namespace gatehouse::workload
