// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bind/resolver.h"
#include "compile/strings.h"
#include "daemon/policy_store.h"
#include "eval/evaluator.h"
#include "kernel/kernel.h"
#include "policy/catalog.h"
#include "policy/parse.h"
#include "workload/inventory.h"
#include "workload/registry.h"

namespace gatehouse::daemon {

/// What people call the processes that are in no workload.
inline constexpr std::string_view kHostName = "host";

struct AgentOptions {
  std::string cgroup_root = {};  ///< where cgroup2 is mounted
  bool deny_by_signal = false;
  bool allow_host_enforcement = false;
  bool allow_network_actions = false;
  workload::Labels node_labels = {};  ///< of this node, for nodeSelector
  /// The id of the cgroup at an absolute path, or none if it does not exist. Replaced by tests.
  std::function<std::optional<uint64_t>(const std::string&)> cgroup_id = {};
};

enum class Outcome {
  kAdded,
  kReplaced,
  kUnchanged,   ///< the same text is in force
  kRefused,     ///< the diagnostics say why
  kNotApplied,  ///< nothing wrong with it, but something else of the same text was refused
};

struct DocumentResult {
  policy::Key key;
  bind::Kind kind = bind::Kind::kPolicy;
  policy::Position position;  ///< where the document begins in its text
  Outcome outcome = Outcome::kAdded;
  std::vector<policy::Diagnostic> diagnostics;
};

/// What became of one text: all of its documents are in force, or nothing has changed.
struct ApplyResult {
  bool applied = false;
  ErrorCode code = ErrorCode::kInvalid;  ///< of the first thing that is wrong, unless applied
  std::vector<DocumentResult>
      documents;                     ///< in the order of the text; empty if it cannot be parsed
  std::vector<policy::Key> removed;  ///< were in the file before, are not in it any more
  std::vector<policy::Diagnostic> diagnostics;  ///< of the text; if applied, warnings

  /// Something in it is wrong by itself.
  [[nodiscard]] bool refused() const;
  /// All diagnostics, as JoinDiagnostics.
  [[nodiscard]] std::string Message(size_t max_bytes) const;
};

/// Diagnostics as lines, at most `max_bytes` of them (but always the first); says how many were
/// left out.
[[nodiscard]] std::string JoinDiagnostics(const std::vector<policy::Diagnostic>& diagnostics,
                                          size_t max_bytes);

/// A policy file that has changed. Without text: it is gone.
struct FileChange {
  std::string path;
  std::optional<std::string> text;
};

/// Decisions of one selector, added up over all instances of the policy.
struct RuleStats {
  uint16_t hook_index = 0;
  uint16_t selector = 0;
  std::string call;
  uint16_t actions = 0;  ///< gh_action bits
  int16_t error = 0;
  uint8_t signal = 0;
  uint64_t hits = 0;
};

struct PolicyView {
  bind::PolicyStatus status;
  std::string origin;  ///< path of the policy file; "": over the API
  std::chrono::system_clock::time_point changed;
  uint64_t kernel_memory_bytes = 0;
  uint64_t bindings = 0;  ///< of a template
  std::vector<RuleStats> rules;
};

struct WorkloadView {
  workload::WorkloadPtr workload;
  uint64_t cgroup_id = 0;                       ///< 0: there is no such cgroup at present
  std::vector<bind::InstanceInfoPtr> policies;  ///< in the order in which they are judged
};

/// What would happen on one hook, and why.
struct HookExplanation {
  policy::Site site;
  eval::Verdict verdict;
};

struct Explanation {
  WorkloadView view;
  std::vector<policy::Document>
      documents;  ///< what the verdicts point into; positions: in their own text
  std::vector<HookExplanation> hooks;
};

struct Reconciled {
  std::vector<Error> failures;     ///< for the log
  std::vector<std::string> ended;  ///< cgroups of containers that are no more
};

struct AgentCounts {
  uint64_t policies = 0, templates = 0, bindings = 0, workloads = 0, conflicts = 0;
};

/// The core of the daemon: all policies and workloads of the node, and the one who tells the kernel
/// of them. Every change is all or nothing: on error the image in the kernel, the policies and the
/// workloads are what they were.
///
/// What is refused here rather than by the parser or the resolver: hooks and filters that this
/// kernel cannot serve, and Override where the backend can only kill, unless deny_by_signal says
/// that SIGKILL is welcome in its place (agent.cc, Admit). Policies that reach the host are the
/// resolver's to refuse.
///
/// Thread: any; one operation at a time. Nothing here waits for a client or a disk.
class Agent {
 public:
  /// `strings` and `kernel` must outlive the agent.
  Agent(compile::StringPool& strings, kernel::Kernel& kernel, AgentOptions options);

  // ---- policies ----

  struct AddOptions {
    bool replace = false;  ///< a policy that exists is replaced; without, it is an error
    bool dry_run = false;  ///< check everything against this kernel and change nothing
  };
  /// Applies every document of `text` or none. `source` is what diagnostics call the text.
  [[nodiscard]] ApplyResult AddPolicies(std::string_view text, const std::string& source,
                                        AddOptions options);
  /// Makes the policies of files what their texts say, in one step: a policy that moves from one
  /// file to another is never missing. A file that cannot be applied is left out and keeps what it
  /// had; the results are in the order of `changes`.
  [[nodiscard]] std::vector<ApplyResult> SyncFiles(const std::vector<FileChange>& changes);
  /// Errors: not found; it comes from a policy file (kRefused).
  [[nodiscard]] Result<void> DeletePolicy(const policy::Key& key);
  /// Enables, disables, sets the mode at run time. Absent: as it is.
  [[nodiscard]] Result<void> Configure(const policy::Key& key, std::optional<bool> enabled,
                                       std::optional<policy::Mode> mode);
  /// By key.
  [[nodiscard]] std::vector<PolicyView> ListPolicies() const;
  [[nodiscard]] Result<PolicyView> GetPolicy(const policy::Key& key) const;
  /// The document as it was written.
  [[nodiscard]] Result<std::string> PolicyText(const policy::Key& key) const;

  // ---- workloads ----

  /// Registers a cgroup that exists as a workload. With `replace`, a cgroup that is known gets the
  /// new identity and keeps its id. Errors: bad path, name or label; known already (kExists); it
  /// comes from the workloads file (kRefused); what Kernel::Track says.
  [[nodiscard]] Result<WorkloadView> AddWorkload(workload::Workload workload, bool replace);
  /// By path of the cgroup. Errors: not found; it comes from the workloads file (kRefused).
  [[nodiscard]] Result<void> DeleteWorkload(std::string_view cgroup);
  /// Makes the workloads of the file exactly these, in one step. A cgroup that does not exist yet
  /// is waited for. Error, and nothing changed: a bad path, name or label, a cgroup named twice or
  /// known from elsewhere.
  [[nodiscard]] Result<void> SyncWorkloads(std::vector<workload::Workload> workloads);
  /// Makes the workloads of containers what the inventory says, in one step if it can be; what is
  /// wrong with one does not concern the others. An identity that an operator has given stays.
  /// Returns what failed.
  [[nodiscard]] std::vector<Error> SyncContainers(const workload::Inventory::Changes& changes);
  /// Ties a workload to the cgroup that is at its path now, should it be another one than before.
  /// Errors: no such workload; what Kernel::Track says.
  [[nodiscard]] Result<WorkloadView> TieWorkload(const std::string& cgroup);
  /// See Kernel::LetEnter.
  [[nodiscard]] Result<void> LetEnter(pid_t pid);
  [[nodiscard]] std::vector<WorkloadView> ListWorkloads() const;

  /// A cgroup that has gone, or appeared, or has been made anew since the last call: containers'
  /// workloads end with it, those of the operator are tied to it again. To be called every few
  /// seconds.
  [[nodiscard]] Reconciled ReconcileCgroups();

  // ---- questions ----

  /// `workload`: path of a cgroup, or namespace/pod/container; "" or "host": the host. `hook`:
  /// none: all that the kernel has. Errors: no such workload; more documents are about it than can
  /// be read again (kRefused).
  [[nodiscard]] Result<Explanation> Explain(std::string_view workload, const std::string& exec_path,
                                            const std::optional<std::string>& binary_path,
                                            const std::optional<policy::Site>& site) const;
  [[nodiscard]] kernel::Status KernelStatus() const;
  [[nodiscard]] kernel::Backend backend() const { return kernel_.backend(); }
  [[nodiscard]] AgentCounts Counts() const;
  [[nodiscard]] const AgentOptions& options() const { return options_; }

  // ---- for those who decode events; any thread, without the agent's lock ----
  [[nodiscard]] const workload::Registry& workloads() const { return registry_; }
  [[nodiscard]] const bind::InstanceDirectory& instances() const { return resolver_.instances(); }

 private:
  struct Candidate;  // a text on its way in
  struct Plan;       // what a batch of candidates amounts to

  // All of these: mutex_ held.
  [[nodiscard]] Result<void> Admit(const policy::Document& document) const;
  [[nodiscard]] Result<Outcome> PlanDocument(const policy::Document& document,
                                             const Candidate& candidate, Plan& plan) const;
  [[nodiscard]] bool PlanCandidate(Candidate& candidate, Plan& plan) const;
  [[nodiscard]] Result<bool> ApplyBatch(const std::vector<Candidate*>& batch, bool dry_run);
  [[nodiscard]] static bool Blame(const Error& error, const Plan& plan, Candidate& candidate);
  void SyncBatch(std::vector<Candidate*> batch);
  void Remember(Candidate& candidate);
  [[nodiscard]] Result<void> Publish(bind::Resolver::Transaction& transaction);

  [[nodiscard]] PolicyView View(bind::PolicyStatus status) const;
  [[nodiscard]] std::vector<RuleStats> RulesOf(const bind::PolicyStatus& status) const;
  [[nodiscard]] WorkloadView View(workload::WorkloadPtr workload) const;

  [[nodiscard]] Result<void> ChangeWorkloads(const std::vector<workload::WorkloadPtr>& put,
                                             const std::vector<workload::WorkloadPtr>& removed);
  [[nodiscard]] Result<WorkloadView> Register(workload::Workload workload, bool replace);
  class RegistryUndo;
  [[nodiscard]] Result<workload::WorkloadPtr> Note(workload::Workload workload, RegistryUndo& undo);
  [[nodiscard]] Result<void> ApplyContainers(const std::vector<workload::Workload>& put,
                                             const std::vector<workload::WorkloadPtr>& removed,
                                             std::vector<Error>& failures);
  [[nodiscard]] Result<void> Reconcile(const workload::WorkloadPtr& workload);
  [[nodiscard]] Result<void> Track(const workload::Workload& workload);
  void Untrack(bind::WorkloadId id);
  [[nodiscard]] bool IsTied(const workload::Workload& workload) const;

  kernel::Kernel& kernel_;
  const AgentOptions options_;
  mutable std::mutex mutex_;
  mutable compile::ValueSets sets_;
  bind::Resolver resolver_;
  workload::Registry registry_;
  PolicyStore store_;
  std::unordered_map<bind::InstanceId, compile::ProgramPtr> programs_;  // what the kernel has
  std::unordered_map<bind::WorkloadId, uint64_t> tracked_;              // cgroup ids
};

}  // namespace gatehouse::daemon
