// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <unordered_map>
#include <vector>

#include "bind/delta.h"
#include "bind/record.h"
#include "workload/registry.h"

/// Ways to find the few (policy, workload) pairs that can match among the many that cannot. They
/// only narrow the search: whoever uses them still asks bind/selector.h.
namespace gatehouse::bind {

/// A fact about a workload that a selector can demand: the hash of a kind of key, a key and a
/// value. Two facts that share a hash make a search wider, not wrong.
using Trait = uint64_t;

/// All traits of a workload: its labels, namespace, container name, repository.
[[nodiscard]] std::vector<Trait> TraitsOf(const workload::Workload& workload);

/// Workloads by trait.
class WorkloadIndex {
 public:
  void Add(const workload::Workload& workload);
  void Remove(const workload::Workload& workload);

  /// Calls `visit` with a superset of the workloads that are candidates for `record`, the host left
  /// out. An id may come twice.
  void ForEach(const Record& record, const std::function<void(WorkloadId)>& visit) const;

 private:
  std::unordered_map<Trait, std::vector<WorkloadId>> by_trait_;  // ascending
  std::set<WorkloadId> all_;
};

/// Policies and bindings by a trait that they demand.
class RecordIndex {
 public:
  /// `record` must stay where it is until Remove.
  void Add(const Record& record);
  void Remove(const Record& record);

  /// Calls `visit` with a superset of the records that match `workload` (null: the host). A record
  /// may come twice.
  void ForEach(const workload::Workload* workload,
               const std::function<void(const Record&)>& visit) const;

 private:
  std::unordered_map<Trait, std::vector<const Record*>> by_trait_;
  std::unordered_map<const Record*, std::vector<Trait>> traits_of_;  // where each was put
  std::set<const Record*> rest_;  // demand nothing that is indexed
};

}  // namespace gatehouse::bind
