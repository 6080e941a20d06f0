// SPDX-License-Identifier: Apache-2.0
#include "control/convert.h"

#include <csignal>
#include <utility>

#include "event/text.h"
#include "policy/format.h"

namespace gatehouse::control {
namespace {

constexpr const char* kApiSource = "api";

v1::PolicyState StateOf(const daemon::PolicyView& view) {
  switch (view.status.state) {
    case bind::State::kEnabled:
      return view.status.kind == bind::Kind::kTemplate && view.bindings == 0
                 ? v1::POLICY_STATE_UNBOUND
                 : v1::POLICY_STATE_ENABLED;
    case bind::State::kDisabled:
      return v1::POLICY_STATE_DISABLED;
    case bind::State::kSkipped:
      return v1::POLICY_STATE_SKIPPED;
    case bind::State::kPending:
      return v1::POLICY_STATE_UNBOUND;
    case bind::State::kRefused:
      return v1::POLICY_STATE_ERROR;
    case bind::State::kConflict:
      return v1::POLICY_STATE_CONFLICT;
  }
  return v1::POLICY_STATE_UNSPECIFIED;
}

tetragon::TracingPolicyState TetragonStateOf(const bind::PolicyStatus& status) {
  switch (status.state) {
    case bind::State::kEnabled:
      return tetragon::TP_STATE_ENABLED;
    case bind::State::kDisabled:
      return tetragon::TP_STATE_DISABLED;
    case bind::State::kSkipped:
    case bind::State::kPending:
      return tetragon::TP_STATE_SKIPPED;
    case bind::State::kRefused:
      return tetragon::TP_STATE_ERROR;
    case bind::State::kConflict:
      return status.workloads > 0 ? tetragon::TP_STATE_PARTIALLY_ENABLED : tetragon::TP_STATE_ERROR;
  }
  return tetragon::TP_STATE_UNKNOWN;
}

v1::PolicyMode ModeOf(policy::Mode mode) {
  return mode == policy::Mode::kMonitor ? v1::POLICY_MODE_MONITOR : v1::POLICY_MODE_ENFORCE;
}

void SetRef(const policy::Key& key, v1::PolicyKind kind, v1::PolicyRef* out) {
  out->set_kind(kind);
  out->set_name(key.name);
  out->set_namespace_(key.ns);
}

void SetTime(std::chrono::system_clock::time_point time, google::protobuf::Timestamp* out) {
  const auto ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  out->set_seconds(ns / kNsPerSecond);
  out->set_nanos(static_cast<int32_t>(ns % kNsPerSecond));
}

v1::DocumentResult::Outcome OutcomeOf(daemon::Outcome outcome) {
  switch (outcome) {
    case daemon::Outcome::kAdded:
      return v1::DocumentResult::OUTCOME_ADDED;
    case daemon::Outcome::kReplaced:
      return v1::DocumentResult::OUTCOME_REPLACED;
    case daemon::Outcome::kUnchanged:
      return v1::DocumentResult::OUTCOME_UNCHANGED;
    case daemon::Outcome::kRefused:
      return v1::DocumentResult::OUTCOME_REFUSED;
    case daemon::Outcome::kNotApplied:
      return v1::DocumentResult::OUTCOME_NOT_APPLIED;
  }
  return v1::DocumentResult::OUTCOME_UNSPECIFIED;
}

v1::WorkloadStatus::Source SourceOf(workload::Source source) {
  switch (source) {
    case workload::Source::kApi:
      return v1::WorkloadStatus::SOURCE_API;
    case workload::Source::kFile:
      return v1::WorkloadStatus::SOURCE_FILE;
    case workload::Source::kRuntime:
      return v1::WorkloadStatus::SOURCE_RUNTIME;
  }
  return v1::WorkloadStatus::SOURCE_UNSPECIFIED;
}

/// Adds one selector's decisions to the counters by action.
void Count(const daemon::RuleStats& rule, policy::Mode mode,
           tetragon::TracingPolicyActionCounters* out) {
  const bool monitor = mode == policy::Mode::kMonitor;
  if ((rule.actions & GH_ACTION_POST) != 0) {
    out->set_post(out->post() + rule.hits);
  } else {
    out->set_nopost(out->nopost() + rule.hits);
  }
  if ((rule.actions & GH_ACTION_OVERRIDE) != 0) {
    monitor ? out->set_monitor_override(out->monitor_override() + rule.hits)
            : out->set_override(out->override() + rule.hits);
  }
  if ((rule.actions & GH_ACTION_SIGNAL) != 0) {
    monitor ? out->set_monitor_signal(out->monitor_signal() + rule.hits)
            : out->set_signal(out->signal() + rule.hits);
  }
  if ((rule.actions & GH_ACTION_SET) != 0) {
    monitor ? out->set_monitor_set(out->monitor_set() + rule.hits)
            : out->set_set(out->set() + rule.hits);
  }
}

void AddActions(const daemon::RuleStats& rule, v1::RuleStats* out) {
  out->add_actions()->set_kind((rule.actions & GH_ACTION_POST) != 0 ? v1::Action::KIND_POST
                                                                    : v1::Action::KIND_NO_POST);
  if ((rule.actions & GH_ACTION_OVERRIDE) != 0) {
    v1::Action* action = out->add_actions();
    action->set_kind(v1::Action::KIND_OVERRIDE);
    action->set_error(rule.error);
  }
  if ((rule.actions & GH_ACTION_SIGNAL) != 0) {
    v1::Action* action = out->add_actions();
    action->set_kind(rule.signal == SIGKILL ? v1::Action::KIND_SIGKILL : v1::Action::KIND_SIGNAL);
    action->set_signal(rule.signal);
  }
  if ((rule.actions & GH_ACTION_SET) != 0) out->add_actions()->set_kind(v1::Action::KIND_SET);
}

}  // namespace

v1::PolicyKind KindOf(const policy::Key& key, bind::Kind kind) {
  switch (kind) {
    case bind::Kind::kPolicy:
      return key.ns.empty() ? v1::POLICY_KIND_TRACING_POLICY
                            : v1::POLICY_KIND_TRACING_POLICY_NAMESPACED;
    case bind::Kind::kTemplate:
      return v1::POLICY_KIND_TEMPLATE;
    case bind::Kind::kBinding:
      return v1::POLICY_KIND_BINDING;
  }
  return v1::POLICY_KIND_UNSPECIFIED;
}

void Fill(const daemon::PolicyView& view, tetragon::TracingPolicyStatus* out) {
  const bind::PolicyStatus& status = view.status;
  out->set_id(status.instances.empty() ? 0 : status.instances.front());
  out->set_name(status.key.name);
  out->set_namespace_(status.key.ns);
  out->set_info(std::string(bind::KindName(status.kind)) + ", applied to " +
                std::to_string(status.workloads) +
                (status.workloads == 1 ? " workload" : " workloads"));
  out->set_enabled(status.state != bind::State::kDisabled);
  out->set_error(status.error);
  out->set_state(TetragonStateOf(status));
  out->set_kernel_memory_bytes(view.kernel_memory_bytes);
  out->set_mode(status.mode == policy::Mode::kMonitor ? tetragon::TP_MODE_MONITOR
                                                      : tetragon::TP_MODE_ENFORCE);
  tetragon::TracingPolicyStats* stats = out->mutable_stats();
  for (const daemon::RuleStats& rule : view.rules) {
    Count(rule, status.mode, stats->mutable_action_counters());
    auto* selector = stats->add_selector_action_counters();
    selector->set_hook(rule.call);
    selector->mutable_hook_index()->set_value(rule.hook_index);
    selector->mutable_selector_index()->set_value(rule.selector);
    Count(rule, status.mode, selector->mutable_action_counters());
  }
  if (!status.hooks) return;
  uint32_t index = 0;
  for (const policy::HookInfo& hook : *status.hooks) {
    auto* hook_status = out->add_hook_statuses();
    hook_status->set_section(std::string(policy::NameOf(hook.kind)));
    hook_status->set_state(tetragon::STATUS_LOADED);
    hook_status->set_hook_description(hook.call);
    hook_status->set_hook_idx(index++);
  }
}

void Fill(const policy::Diagnostic& diagnostic, v1::Diagnostic* out) {
  out->set_severity(diagnostic.severity == policy::Severity::kWarning
                        ? v1::Diagnostic::SEVERITY_WARNING
                        : v1::Diagnostic::SEVERITY_ERROR);
  out->set_source(diagnostic.file);
  out->set_line(diagnostic.position.line);
  out->set_column(diagnostic.position.column);
  out->set_path(diagnostic.path);
  out->set_cause(diagnostic.cause);
  out->set_remedy(diagnostic.remedy);
}

void Fill(const daemon::ApplyResult& result, v1::AddPoliciesResponse* out) {
  out->set_applied(result.applied);
  for (const policy::Diagnostic& diagnostic : result.diagnostics) {
    Fill(diagnostic, out->add_diagnostics());
  }
  for (const daemon::DocumentResult& document : result.documents) {
    v1::DocumentResult* into = out->add_documents();
    SetRef(document.key, KindOf(document.key, document.kind), into->mutable_policy());
    into->set_line(document.position.line);
    into->set_outcome(OutcomeOf(document.outcome));
    for (const policy::Diagnostic& diagnostic : document.diagnostics) {
      Fill(diagnostic, into->add_diagnostics());
    }
  }
}

void Fill(const daemon::PolicyView& view, v1::PolicyStatus* out) {
  const bind::PolicyStatus& status = view.status;
  SetRef(status.key, KindOf(status.key, status.kind), out->mutable_policy());
  out->set_state(StateOf(view));
  out->set_error(status.error);
  out->set_mode(ModeOf(status.mode));
  out->set_source(view.origin.empty() ? kApiSource : view.origin);
  SetTime(view.changed, out->mutable_changed());
  if (status.hooks) {
    for (const policy::HookInfo& hook : *status.hooks) out->add_hooks(hook.call);
  }
  if (!status.template_name.empty()) {
    out->mutable_template_()->set_kind(v1::POLICY_KIND_TEMPLATE);
    out->mutable_template_()->set_name(status.template_name);
  }
  out->set_bindings(view.bindings);
  out->set_workloads(status.workloads);
  out->set_instances(status.instances.size());
  out->set_conflicts(status.conflicts);
  out->set_overridden(status.overridden);
  out->set_kernel_memory_bytes(view.kernel_memory_bytes);
}

void Fill(const daemon::PolicyView& view, v1::PolicyStats* out) {
  const bind::PolicyStatus& status = view.status;
  SetRef(status.key, KindOf(status.key, status.kind), out->mutable_policy());
  out->set_mode(ModeOf(status.mode));
  out->set_kernel_memory_bytes(view.kernel_memory_bytes);
  out->set_workloads(status.workloads);
  for (const daemon::RuleStats& rule : view.rules) {
    v1::RuleStats* into = out->add_rules();
    into->mutable_rule()->set_hook_index(rule.hook_index);
    into->mutable_rule()->set_selector(rule.selector);
    into->mutable_rule()->set_call(rule.call);
    into->set_hits(rule.hits);
    AddActions(rule, into);
  }
}

void Fill(const daemon::WorkloadView& view, v1::WorkloadStatus* out) {
  if (view.workload) {
    const workload::Workload& from = *view.workload;
    v1::Workload* into = out->mutable_workload();
    into->set_cgroup_path(from.cgroup);
    into->set_namespace_(from.ns);
    into->set_pod(from.pod);
    into->set_pod_uid(from.pod_uid);
    into->set_container(from.container);
    into->set_container_id(from.container_id);
    into->set_image(from.image);
    into->mutable_labels()->insert(from.labels.begin(), from.labels.end());
    out->set_id(from.id);
    out->set_source(SourceOf(from.source));
  }
  out->set_cgroup_id(view.cgroup_id);
  for (const bind::InstanceInfoPtr& instance : view.policies) {
    v1::AppliedPolicy* into = out->add_policies();
    into->set_instance(instance->id);
    into->set_mode(ModeOf(instance->mode));
    if (instance->template_name.empty()) {
      SetRef(instance->key, KindOf(instance->key, bind::Kind::kPolicy), into->mutable_policy());
      continue;
    }
    into->mutable_policy()->set_kind(v1::POLICY_KIND_TEMPLATE);
    into->mutable_policy()->set_name(instance->template_name);
    for (const policy::Key& member : instance->members) {
      SetRef(member, v1::POLICY_KIND_BINDING, into->add_bindings());
    }
  }
}

void Fill(const kernel::Status& status, v1::GetStatusResponse* out) {
  out->set_backend(kernel::BackendName(status.backend));
  for (const kernel::BackendProbe& probe : status.probes) {
    v1::Backend* into = out->add_backends();
    into->set_name(kernel::BackendName(probe.backend));
    into->set_available(probe.available);
    into->set_absent_because(probe.absent_because);
  }
  for (const kernel::HookStatus& hook : status.hooks) {
    v1::Hook* into = out->add_hooks();
    into->set_name(hook.name);
    into->set_program(hook.program);
    into->set_program_id(hook.program_id);
    into->set_policies(hook.policies);
    into->set_run_count(hook.run_count);
    constexpr uint64_t kNsPerSecond = 1'000'000'000;
    into->mutable_run_time()->set_seconds(static_cast<int64_t>(hook.run_time_ns / kNsPerSecond));
    into->mutable_run_time()->set_nanos(static_cast<int32_t>(hook.run_time_ns % kNsPerSecond));
  }
  for (const kernel::ProgramStatus& program : status.programs) {
    v1::Program* into = out->add_programs();
    into->set_name(program.name);
    into->set_id(program.id);
    into->set_verified_instructions(program.verified_instructions);
  }
  for (const kernel::MapStatus& map : status.maps) {
    v1::Map* into = out->add_maps();
    into->set_name(map.name);
    into->set_id(map.id);
    into->set_memlock_bytes(map.memlock_bytes);
  }
  v1::Image* image = out->mutable_image();
  image->set_generation(status.image.generation);
  image->set_arena_bytes(status.image.arena_bytes);
  image->set_used_bytes(status.image.used_bytes);
  image->set_instances(status.image.instances);
  image->set_groups(status.image.groups);
  image->set_sets(status.image.sets);
  image->set_strings(status.image.strings);
  image->set_workloads(status.image.workloads);
}

void Fill(const daemon::SourceHealth& health, v1::Source* out) {
  out->set_kind(health.kind);
  out->set_name(event::ToUtf8(health.name));
  out->set_endpoint(event::ToUtf8(health.endpoint));
  out->set_state(health.state);
  SetTime(health.since, out->mutable_since());
  out->set_objects(health.objects);
  out->set_refused(health.refused);
  if (health.last_error.empty()) return;
  out->set_last_error(event::ToUtf8(health.last_error));
  SetTime(health.last_error_at, out->mutable_last_error_at());
}

void Fill(const daemon::EventCounts& counts, v1::EventStats* out) {
  out->set_received(counts.received);
  out->set_undecodable(counts.undecodable);
  if (counts.file) {
    out->set_file_written(counts.file->written);
    out->set_file_bytes(counts.file->written_bytes);
    out->set_file_lost(counts.file->failed);
    out->set_file_error(counts.file->last_error);
    out->set_queue_lost(counts.file->queue_lost);
  }
  for (const exporting::SubscriberStats& subscriber : counts.subscribers) {
    v1::Subscriber* into = out->add_subscribers();
    into->set_id(subscriber.id);
    into->set_peer(subscriber.name);
    SetTime(subscriber.since, into->mutable_since());
    into->set_sent(subscriber.delivered);
    into->set_lost(subscriber.lost);
    into->set_queued(subscriber.queued);
  }
  out->set_processes_cached(counts.processes.entries);
  out->set_processes_unknown(counts.processes.unknown);
  out->set_network_actions_done(counts.network_actions.done);
  out->set_network_actions_failed(counts.network_actions.failed);
  out->set_network_actions_lost(counts.network_actions.lost);
}

workload::Workload FromMessage(const v1::Workload& message) {
  workload::Workload workload;
  workload.cgroup = message.cgroup_path();
  workload.ns = message.namespace_();
  workload.pod = message.pod();
  workload.pod_uid = message.pod_uid();
  workload.container = message.container();
  workload.container_id = message.container_id();
  workload.image = message.image();
  workload.labels.insert(message.labels().begin(), message.labels().end());
  return workload;
}

std::string NameOf(const v1::WorkloadRef& reference) {
  if (!reference.cgroup_path().empty()) return reference.cgroup_path();
  workload::Workload workload;
  workload.ns = reference.namespace_();
  workload.pod = reference.pod();
  workload.container = reference.container();
  return workload.Name();
}

}  // namespace gatehouse::control
