// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "bind/delta.h"
#include "bind/index.h"
#include "bind/instances.h"
#include "bind/record.h"
#include "compile/strings.h"
#include "policy/model.h"
#include "workload/registry.h"

namespace gatehouse::bind {

enum class State {
  kEnabled,   ///< in force wherever its selector matches, which may be nowhere yet
  kDisabled,  ///< by Configure
  kSkipped,   ///< its nodeSelector is about other nodes; of a binding, its template's
  kPending,   ///< a binding without its template, or with one that is disabled
  kRefused,   ///< a binding whose values do not fit the template's variables
  kConflict,  ///< a binding that another one keeps from at least one workload, or it the other
};

/// What a policy, template or binding does at present.
struct PolicyStatus {
  policy::Key key;
  Kind kind = Kind::kPolicy;
  State state = State::kEnabled;
  std::string error;  ///< with kPending, kRefused, kConflict: the reason, with names
  policy::Mode mode = policy::Mode::kEnforce;  ///< in force: as written, or as set at run time
  std::string template_name;                   ///< of a binding
  policy::HookInfos hooks;                     ///< null for a binding
  std::vector<InstanceId> instances;           ///< ascending; of a template: of all its bindings
  uint32_t workloads = 0;                      ///< it is applied to; the host counts as one
  uint32_t conflicts = 0;                      ///< workloads where a conflict keeps it out
  uint32_t overridden = 0;  ///< workloads where a binding of higher priority is applied instead
};

/// The switches of a policy, template or binding, as they are at present.
struct Setting {
  policy::Key key;
  bool enabled = true;
  policy::Mode mode = policy::Mode::kEnforce;
  bool for_node = true;  ///< its nodeSelector matches
};

/// Which policies are in force where. Holds all policies, templates and bindings (one name space: a
/// key names one object, whatever its kind) and all workloads, and works out for each workload the
/// ordered list of instances. The outcome depends on what there is, never on the order in which it
/// came.
///
/// A policy is in force on the workloads that its selector matches (bind/selector.h). A binding is
/// a candidate on the workloads that its selector matches, if that is constrained, and on those
/// that carry the label `tetragon-<template>=<suffix>`, if the binding is called
/// `<template>-<suffix>`; where it is a candidate, bind/overlap.h decides among the bindings of the
/// same template. Disabled, skipped, pending and refused bindings are no candidates: they are in
/// nobody's way.
///
/// Templates are cluster-wide. A namespaced binding is about workloads of its namespace alone.
///
/// Mode: set at run time for the object itself, else set at run time for the template, else as
/// written. A merged instance monitors if all its members do.
///
/// Changes are made by one Transaction at a time. Thread: the control thread; instances() any.
class Resolver {
 public:
  struct Options {
    /// Takes policies that deny or kill and are about the host; see Transaction::Add.
    bool allow_host_enforcement = false;
    /// Of this node, for nodeSelector; none: every node is meant.
    std::optional<workload::Labels> node_labels = {};
  };

  /// `sets` must outlive the resolver and all its deltas.
  Resolver(compile::ValueSets& sets, Options options) : sets_(sets), options_(std::move(options)) {}
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  class Transaction;
  /// There must be no other transaction.
  [[nodiscard]] Transaction Begin();

  /// By key. Shows the last committed state.
  [[nodiscard]] std::vector<PolicyStatus> List() const;
  /// Error: no such object.
  [[nodiscard]] Result<PolicyStatus> Status(const policy::Key& key) const;
  /// Every policy and binding that is about `workload`, in force there or not: what is disabled,
  /// pending, in conflict or overridden, too; then the templates of these bindings. Each by key.
  [[nodiscard]] std::vector<Setting> About(WorkloadId workload) const;
  /// The instances in force on a workload, in order of evaluation; empty if there are none.
  [[nodiscard]] std::vector<InstanceId> Group(WorkloadId workload) const;
  /// Names of instances; holds those of a transaction from Stage on.
  [[nodiscard]] const InstanceDirectory& instances() const { return directory_; }

 private:
  /// What an instance is made from.
  struct InstanceKey {
    std::vector<Version> records;  ///< template (0: none), then the members
    compile::LeftOut left_out;
    auto operator<=>(const InstanceKey&) const = default;
  };

  struct Instance {
    InstanceKey key;
    compile::ProgramPtr program;
    uint32_t workloads = 0;
  };

  /// What one workload has; kept only if there is anything.
  struct Outcome {
    std::vector<InstanceId> group;
    std::vector<Version> conflicting;
    std::vector<Version> overridden;
    [[nodiscard]] bool empty() const {
      return group.empty() && conflicting.empty() && overridden.empty();
    }
  };

  /// Of one record, by version: how often it is in the outcomes.
  struct Tally {
    std::vector<InstanceId> instances;  // ascending
    uint32_t conflicts = 0;
    uint32_t overridden = 0;
    [[nodiscard]] bool empty() const {
      return instances.empty() && conflicts == 0 && overridden == 0;
    }
  };

  struct ByKey {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
    bool operator()(const RecordPtr& a, const RecordPtr& b) const { return a->key < b->key; }
    bool operator()(const RecordPtr& a, const policy::Key& b) const { return a->key < b; }
    bool operator()(const policy::Key& a, const RecordPtr& b) const { return a < b->key; }
  };

  /// Inputs: the only two ways in which they change, each its own inverse. Null removes.
  RecordPtr SetRecord(const policy::Key& key, RecordPtr record);
  workload::WorkloadPtr SetWorkload(WorkloadId id, workload::WorkloadPtr workload);

  /// What is about one workload and active: enabled, and of bindings those that fit their template.
  struct Candidates {
    std::vector<const Record*> policies;
    std::map<const Record*, std::vector<const Record*>> bindings;  // by template; each by key
  };

  [[nodiscard]] const Record* FindRecord(const policy::Key& key) const;
  [[nodiscard]] const Record* FindTemplate(const Record& binding) const;
  [[nodiscard]] const workload::Workload* FindWorkload(WorkloadId id) const;
  /// By key, each once.
  [[nodiscard]] std::vector<const Record*> RecordsAbout(const workload::Workload* workload) const;
  [[nodiscard]] Candidates CandidatesOn(const workload::Workload* workload) const;
  /// Workloads that the record is about, ascending; the host among them.
  [[nodiscard]] std::vector<WorkloadId> WorkloadsOf(const Record& record) const;
  [[nodiscard]] PolicyStatus StatusOf(const Record& record) const;
  [[nodiscard]] std::string ConflictText(const Record& binding, uint32_t conflicts) const;

  compile::ValueSets& sets_;
  const Options options_;
  bool in_transaction_ = false;
  Version next_version_ = 1;  // 0: no record
  InstanceId next_instance_ = 1;

  std::set<RecordPtr, ByKey> records_;
  policy::HookInfos last_infos_;  // of the policy or template that came last
  std::map<std::string, std::set<policy::Key>, std::less<>> bindings_of_;  // by template name
  std::unordered_map<WorkloadId, workload::WorkloadPtr> workloads_;
  RecordIndex record_index_;
  WorkloadIndex workload_index_;

  std::unordered_map<WorkloadId, Outcome> outcomes_;
  std::unordered_map<InstanceId, Instance> instances_;
  std::map<InstanceKey, InstanceId> instance_of_;
  std::unordered_map<Version, Tally> tallies_;
  InstanceDirectory directory_;
};

/// A change of any size that happens as a whole: make the changes, Stage, hand the delta to the
/// kernel, Commit. Destroyed without Commit, it leaves the resolver as it was.
class Resolver::Transaction {
 public:
  explicit Transaction(Resolver& resolver);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// Errors, and nothing changed: the key exists already; the spec cannot be lowered
  /// (compile/lower.h); without allow_host_enforcement, an enforcing policy that is about the host
  /// and does more than post (also of Replace and Configure).
  [[nodiscard]] Result<void> Add(const policy::Document& document);
  /// The object of that key, whatever its kind, becomes `document`'s; if the kind stays, so does
  /// what Configure set. Error, and nothing changed: there is none; those of Add.
  [[nodiscard]] Result<void> Replace(const policy::Document& document);
  /// Error, and nothing changed: there is none.
  [[nodiscard]] Result<void> Remove(const policy::Key& key);
  /// Enables or disables; sets the mode at run time. Absent: as it is.
  [[nodiscard]] Result<void> Configure(const policy::Key& key, std::optional<bool> enabled,
                                       std::optional<policy::Mode> mode);

  /// Adds the workload, or replaces the one with its id.
  void PutWorkload(workload::WorkloadPtr workload);
  void RemoveWorkload(WorkloadId id);

  /// Works out what the changes amount to; no change may follow. Error (the transaction can only be
  /// dropped): a workload would get more than GH_POLICIES_PER_GATE_MAX policies on one hook
  /// (object: the first policy over the limit); merged bindings have more values than a set may
  /// hold. at_fault() then names the documents.
  [[nodiscard]] Result<Delta> Stage();
  /// After Stage has failed: the policy, or the bindings and their template, whose instance was the
  /// one too many or could not be made.
  [[nodiscard]] const std::vector<policy::Key>& at_fault() const { return at_fault_; }
  /// Makes the staged outcome the resolver's state. After Stage only.
  void Commit();

 private:
  // What was there before a change; null: nothing.
  using UndoRecord = std::pair<policy::Key, RecordPtr>;
  using UndoWorkload = std::pair<WorkloadId, workload::WorkloadPtr>;
  using Undo = std::variant<UndoRecord, UndoWorkload>;

  [[nodiscard]] Result<Record> Make(const policy::Document& document);
  [[nodiscard]] Result<void> CheckHost(const Record& record) const;
  void Set(const policy::Key& key, std::optional<Record> record);
  /// Marks the workloads that `record` is about, or whose bindings use it.
  void Touch(const Record& record);
  [[nodiscard]] Result<Outcome> Resolve(const workload::Workload* workload);
  [[nodiscard]] Result<InstanceId> InstanceFor(const Record* tmpl,
                                               const std::vector<const Record*>& members,
                                               compile::LeftOut left_out);
  [[nodiscard]] Result<void> CheckLimit(const workload::Workload* workload,
                                        const std::vector<InstanceId>& group);
  void Blame(const InstanceInfo& info);
  [[nodiscard]] const compile::Program& ProgramOf(InstanceId id) const;

  Resolver& resolver_;
  // Of these maps: what is here for a moment shall leave no gaps among what stays.
  std::pmr::monotonic_buffer_resource memory_;
  std::vector<Undo> undo_;
  std::pmr::set<WorkloadId> dirty_{&memory_};
  bool staged_ = false;
  bool committed_ = false;
  std::vector<policy::Key> at_fault_;

  // What Stage worked out:
  std::pmr::map<WorkloadId, Outcome> outcomes_{&memory_};
  std::pmr::map<InstanceId, Instance> new_instances_{&memory_};
  std::pmr::map<InstanceKey, InstanceId> new_instance_of_{&memory_};
  // By how much Instance::workloads changes.
  std::pmr::map<InstanceId, int64_t> uses_{&memory_};
  std::vector<InstanceId> removed_;
};

}  // namespace gatehouse::bind
