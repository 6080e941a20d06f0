// SPDX-License-Identifier: Apache-2.0
#include "bind/index.h"

#include <xxhash.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "bind/selector.h"

namespace gatehouse::bind {
namespace {

// The kind of key that a trait begins with.
constexpr char kLabel = 'l';
constexpr char kNamespace = 'n';
constexpr char kContainer = 'c';
constexpr char kRepo = 'r';

Trait MakeTrait(char kind, std::string_view value) {
  return XXH3_64bits_withSeed(value.data(), value.size(), static_cast<XXH64_hash_t>(kind));
}

Trait LabelTrait(std::string_view key, std::string_view value) {
  return XXH3_64bits_withSeed(value.data(), value.size(), MakeTrait(kLabel, key));
}

/// A workload that matches has at least one of these.
using Demand = std::vector<Trait>;

void AddDemands(const std::optional<policy::LabelSelector>& selector,
                Trait (*make)(const std::string& key, const std::string& value),
                std::vector<Demand>& demands) {
  if (!selector) return;
  for (const policy::LabelRequirement& requirement : selector->requirements) {
    if (requirement.op != policy::LabelOperator::kIn) continue;
    Demand& demand = demands.emplace_back();
    for (const std::string& value : requirement.values) {
      demand.push_back(make(requirement.key, value));
    }
  }
}

Trait PodTrait(const std::string& key, const std::string& value) {
  return key == workload::kNamespaceLabel ? MakeTrait(kNamespace, value) : LabelTrait(key, value);
}

Trait ContainerTrait(const std::string& key, const std::string& value) {
  return MakeTrait(key == kContainerNameKey ? kContainer : kRepo, value);
}

/// All demands of a record; a workload must meet every one, so any one will do to find it. None: it
/// demands nothing that is indexed.
std::vector<Demand> DemandsOf(const Record& record) {
  std::vector<Demand> demands;
  if (!record.key.ns.empty()) demands.push_back({MakeTrait(kNamespace, record.key.ns)});

  const bool by_label_alone = record.kind == Kind::kBinding && record.selector.Unconstrained();
  if (by_label_alone) {
    demands.emplace_back();
  } else if (!record.selector.host) {
    AddDemands(record.selector.pod, PodTrait, demands);
    AddDemands(record.selector.container, ContainerTrait, demands);
  }
  for (Demand& demand : demands) {
    if (record.kind == Kind::kBinding) {
      demand.push_back(LabelTrait(record.LabelKey(), record.LabelSuffix()));
    }
    std::ranges::sort(demand);
    demand.erase(std::ranges::unique(demand).begin(), demand.end());
  }
  return demands;
}

/// The demand that the fewest entries of `by_trait` meet; null if there are no demands.
template <typename ByTrait>
const Demand* Narrowest(const std::vector<Demand>& demands, const ByTrait& by_trait) {
  const Demand* narrowest = nullptr;
  size_t fewest = 0;
  for (const Demand& demand : demands) {
    size_t entries = 0;
    for (const Trait trait : demand) {
      if (const auto found = by_trait.find(trait); found != by_trait.end()) {
        entries += found->second.size();
      }
    }
    if (narrowest == nullptr || entries < fewest) {
      narrowest = &demand;
      fewest = entries;
    }
  }
  return narrowest;
}

}  // namespace

std::vector<Trait> TraitsOf(const workload::Workload& workload) {
  std::vector<Trait> traits;
  traits.reserve(workload.labels.size() + 3);
  for (const auto& [key, value] : workload.labels) traits.push_back(LabelTrait(key, value));
  if (!workload.ns.empty()) traits.push_back(MakeTrait(kNamespace, workload.ns));
  if (!workload.container.empty()) traits.push_back(MakeTrait(kContainer, workload.container));
  if (!workload.image.empty()) traits.push_back(MakeTrait(kRepo, workload.Repo()));
  return traits;
}

void WorkloadIndex::Add(const workload::Workload& workload) {
  all_.insert(workload.id);
  for (const Trait trait : TraitsOf(workload)) {
    std::vector<WorkloadId>& ids = by_trait_[trait];
    ids.insert(std::ranges::upper_bound(ids, workload.id), workload.id);
  }
}

void WorkloadIndex::Remove(const workload::Workload& workload) {
  all_.erase(workload.id);
  for (const Trait trait : TraitsOf(workload)) {
    const auto found = by_trait_.find(trait);
    std::vector<WorkloadId>& ids = found->second;
    ids.erase(std::ranges::lower_bound(ids, workload.id));
    if (ids.empty()) by_trait_.erase(found);
  }
}

void WorkloadIndex::ForEach(const Record& record,
                            const std::function<void(WorkloadId)>& visit) const {
  const std::vector<Demand> demands = DemandsOf(record);
  const Demand* demand = Narrowest(demands, by_trait_);
  if (demand == nullptr) {
    for (const WorkloadId id : all_) visit(id);
    return;
  }
  for (const Trait trait : *demand) {
    const auto found = by_trait_.find(trait);
    if (found == by_trait_.end()) continue;
    for (const WorkloadId id : found->second) visit(id);
  }
}

void RecordIndex::Add(const Record& record) {
  const std::vector<Demand> demands = DemandsOf(record);
  const Demand* demand = Narrowest(demands, by_trait_);
  if (demand == nullptr) {
    rest_.insert(&record);
    return;
  }
  for (const Trait trait : *demand) by_trait_[trait].push_back(&record);
  traits_of_.emplace(&record, *demand);
}

void RecordIndex::Remove(const Record& record) {
  if (rest_.erase(&record) > 0) return;
  const auto traits = traits_of_.find(&record);
  for (const Trait trait : traits->second) {
    const auto found = by_trait_.find(trait);
    std::erase(found->second, &record);
    if (found->second.empty()) by_trait_.erase(found);
  }
  traits_of_.erase(traits);
}

void RecordIndex::ForEach(const workload::Workload* workload,
                          const std::function<void(const Record&)>& visit) const {
  for (const Record* record : rest_) visit(*record);
  if (workload == nullptr) return;
  for (const Trait trait : TraitsOf(*workload)) {
    const auto found = by_trait_.find(trait);
    if (found == by_trait_.end()) continue;
    for (const Record* record : found->second) visit(*record);
  }
}

}  // namespace gatehouse::bind
