// SPDX-License-Identifier: Apache-2.0
// The half of Agent that changes nothing.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "daemon/agent.h"
#include "daemon/completion.h"
#include "policy/sites.h"

namespace gatehouse::daemon {
namespace {

/// What explain may parse again: as much as a workload can have in force on one hook, and as much
/// that is kept out.
constexpr size_t kExplainDocumentsMax = size_t{2} * GH_POLICIES_PER_GATE_MAX;

tl::unexpected<Error> NoSuchPolicy(const policy::Key& key) {
  return Fail(ErrorCode::kNotFound, "policy/" + key.ToString(), "there is no such policy",
              "gatehouse policy list shows all");
}

}  // namespace

std::vector<RuleStats> Agent::RulesOf(const bind::PolicyStatus& status) const {
  std::map<std::pair<uint16_t, uint16_t>, RuleStats> rules;
  for (const bind::InstanceId instance : status.instances) {
    const auto program = programs_.find(instance);
    if (program == programs_.end()) continue;
    const bind::InstanceInfoPtr info = resolver_.instances().Find(instance);
    for (const compile::HookProgram& hook : program->second->hooks) {
      for (const compile::Rule& rule : hook.rules) {
        RuleStats& stats = rules[{hook.hook_index, rule.index}];
        stats.hook_index = hook.hook_index;
        stats.selector = rule.index;
        stats.actions = rule.actions;
        stats.error = rule.error;
        stats.signal = rule.signal;
        if (info && info->hooks && hook.hook_index < info->hooks->size()) {
          stats.call = (*info->hooks)[hook.hook_index].call;
        }
      }
    }
    for (const kernel::RuleHits& hits : kernel_.Hits(instance)) {
      const auto rule = rules.find({hits.hook_index, hits.rule});
      if (rule != rules.end()) rule->second.hits += hits.hits;
    }
  }
  std::vector<RuleStats> list;
  list.reserve(rules.size());
  for (auto& [place, stats] : rules) list.push_back(std::move(stats));
  return list;
}

PolicyView Agent::View(bind::PolicyStatus status) const {
  PolicyView view;
  if (const StoredPolicy* stored = store_.Find(status.key)) {
    view.origin = stored->origin;
    view.changed = stored->changed;
  }
  for (const bind::InstanceId instance : status.instances) {
    view.kernel_memory_bytes += kernel_.MemoryBytes(instance);
  }
  view.rules = RulesOf(status);
  view.status = std::move(status);
  return view;
}

std::vector<PolicyView> Agent::ListPolicies() const {
  const std::lock_guard lock(mutex_);
  std::vector<PolicyView> views;
  std::map<std::string, uint64_t> bindings;  // by template
  for (bind::PolicyStatus& status : resolver_.List()) {
    if (status.kind == bind::Kind::kBinding) ++bindings[status.template_name];
    views.push_back(View(std::move(status)));
  }
  for (PolicyView& view : views) {
    if (view.status.kind != bind::Kind::kTemplate) continue;
    if (const auto count = bindings.find(view.status.key.name); count != bindings.end()) {
      view.bindings = count->second;
    }
  }
  return views;
}

Result<PolicyView> Agent::GetPolicy(const policy::Key& key) const {
  const std::lock_guard lock(mutex_);
  if (store_.Find(key) == nullptr) return NoSuchPolicy(key);
  GH_ASSIGN(bind::PolicyStatus status, resolver_.Status(key));
  PolicyView view = View(std::move(status));
  if (view.status.kind == bind::Kind::kTemplate) {
    for (const bind::PolicyStatus& other : resolver_.List()) {
      if (other.template_name == key.name) ++view.bindings;
    }
  }
  return view;
}

Result<std::string> Agent::PolicyText(const policy::Key& key) const {
  const std::lock_guard lock(mutex_);
  const StoredPolicy* stored = store_.Find(key);
  if (stored == nullptr) return NoSuchPolicy(key);
  return stored->text.Unpack();
}

Result<Explanation> Agent::Explain(std::string_view name, const std::string& exec_path,
                                   const std::optional<std::string>& binary_path,
                                   const std::optional<policy::Site>& site) const {
  Explanation explanation;
  struct Source {
    std::string text;
    std::string origin;
    bool enabled;
    bool for_node;
    policy::Mode mode;
  };
  std::vector<Source> sources;
  {
    const std::lock_guard lock(mutex_);
    workload::WorkloadPtr workload;
    if (!name.empty() && name != kHostName) {
      workload = registry_.Find(name);
      if (!workload) {
        return Fail(ErrorCode::kNotFound, "workload/" + std::string(name),
                    "there is no such workload",
                    "gatehouse workload list shows all; name it by cgroup or by "
                    "namespace/pod/container");
      }
    }
    explanation.view = View(workload);
    const bind::WorkloadId id = workload ? workload->id : bind::kHostWorkload;
    // All that a verdict can depend on. Everything else has a selector that does not match.
    const std::vector<bind::Setting> relevant = resolver_.About(id);
    if (relevant.size() > kExplainDocumentsMax) {
      return Fail(ErrorCode::kRefused,
                  workload ? "workload/" + workload->Name() : std::string(kHostName),
                  std::to_string(relevant.size()) +
                      " policies, bindings and templates are about it, and explain reads at most " +
                      std::to_string(kExplainDocumentsMax),
                  "delete those that are not in force: gatehouse policy list shows them");
    }
    sources.reserve(relevant.size());
    for (const bind::Setting& setting : relevant) {
      const StoredPolicy* stored = store_.Find(setting.key);
      sources.push_back({stored->text.Unpack(), std::string(stored->origin), setting.enabled,
                         setting.for_node, setting.mode});
    }
  }
  // Reading the texts again takes its time, so it is done without the lock; what the kernel adds
  // to them, with it.
  explanation.documents.reserve(sources.size());
  std::vector<eval::Policy> policies;
  for (const Source& source : sources) {
    auto documents = policy::Parse(source.text, source.origin);
    if (!documents || documents->size() != 1) continue;  // it was good when it was taken
    policy::Document& document = documents->front();
    {
      const std::lock_guard lock(mutex_);
      if (source.for_node) {
        const auto completed = Complete(document, kernel_);
        if (!completed || policy::HasErrors(*completed)) continue;
      }
    }
    explanation.documents.push_back(std::move(document));
    policies.push_back({.document = &explanation.documents.back(),
                        .enabled = source.enabled,
                        .mode = source.mode,
                        .for_node = source.for_node});
  }
  for (const policy::Site& of_exec : {policy::kCredsForExec, policy::kBprmCheck}) {
    if (site && of_exec != *site) continue;
    explanation.hooks.push_back(
        {of_exec,
         eval::Evaluate(policies, explanation.view.workload.get(),
                        {.site = of_exec, .values = {{0, exec_path}}, .binary = binary_path})});
  }
  return explanation;
}

kernel::Status Agent::KernelStatus() const {
  const std::lock_guard lock(mutex_);
  return kernel_.status();
}

AgentCounts Agent::Counts() const {
  const std::lock_guard lock(mutex_);
  AgentCounts counts;
  for (const bind::PolicyStatus& status : resolver_.List()) {
    switch (status.kind) {
      case bind::Kind::kPolicy:
        ++counts.policies;
        break;
      case bind::Kind::kTemplate:
        ++counts.templates;
        break;
      case bind::Kind::kBinding:
        ++counts.bindings;
        break;
    }
    if (status.state == bind::State::kConflict) ++counts.conflicts;
  }
  counts.workloads = registry_.List().size();
  return counts;
}

}  // namespace gatehouse::daemon
