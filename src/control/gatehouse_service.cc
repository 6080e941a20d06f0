// SPDX-License-Identifier: Apache-2.0
#include "control/gatehouse_service.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "control/convert.h"
#include "control/status.h"
#include "policy/sites.h"

namespace gatehouse::control {
namespace {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");  // proc(5): total, resident, ... in pages
  uint64_t total = 0;
  uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

policy::Key KeyOf(const v1::PolicyRef& reference) {
  return {reference.name(), reference.namespace_()};
}

/// A hook of executions, in either spelling.
Result<std::optional<policy::Site>> SiteOf(const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (const policy::Site& site : {policy::kCredsForExec, policy::kBprmCheck}) {
    for (const auto kind : {policy::HookKind::kLsm, policy::HookKind::kKprobe}) {
      if (policy::SiteOf(kind, name) == site) return site;
    }
  }
  return Fail(ErrorCode::kInvalid, "hook \"" + name + "\"", "is no hook of executions",
              "choose " + policy::kCredsForExec.name + " or " + policy::kBprmCheck.name);
}

void FillAgent(const Services& services, v1::Agent* out) {
  out->set_version(GATEHOUSE_VERSION);
  out->set_node_name(services.info.node_name);
  utsname system{};
  if (uname(&system) == 0) out->set_kernel_release(system.release);
  out->set_pid(static_cast<uint32_t>(getpid()));
  const auto seconds = [](auto duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  };
  out->mutable_started()->set_seconds(seconds(services.info.started.time_since_epoch()));
  out->mutable_uptime()->set_seconds(
      seconds(std::chrono::system_clock::now() - services.info.started));
  out->set_resident_bytes(ResidentBytes());
  out->set_host_enforcement(services.agent.options().allow_host_enforcement);
  out->set_deny_by_signal(services.agent.options().deny_by_signal);
}

}  // namespace

grpc::Status GatehouseService::AddPolicies(grpc::ServerContext*,
                                           const v1::AddPoliciesRequest* request,
                                           v1::AddPoliciesResponse* response) {
  const daemon::ApplyResult result =
      services_.agent.AddPolicies(request->yaml(), request->source(),
                                  {.replace = request->replace(), .dry_run = request->dry_run()});
  if (!request->dry_run()) LogApplied(services_, result);
  Fill(result, response);
  response->set_generation(services_.agent.KernelStatus().image.generation);
  return grpc::Status::OK;
}

grpc::Status GatehouseService::GetPolicy(grpc::ServerContext*, const v1::GetPolicyRequest* request,
                                         v1::GetPolicyResponse* response) {
  const policy::Key key = KeyOf(request->policy());
  const auto view = services_.agent.GetPolicy(key);
  if (!view) return ToStatus(view.error());
  auto text = services_.agent.PolicyText(key);
  if (!text) return ToStatus(text.error());
  Fill(*view, response->mutable_status());
  response->set_yaml(std::move(*text));
  return grpc::Status::OK;
}

grpc::Status GatehouseService::ListPolicies(grpc::ServerContext*,
                                            const v1::ListPoliciesRequest* request,
                                            v1::ListPoliciesResponse* response) {
  for (const daemon::PolicyView& view : services_.agent.ListPolicies()) {
    const policy::Key& key = view.status.key;
    if (request->has_namespace_() && request->namespace_() != key.ns) continue;
    if (request->kind() != v1::POLICY_KIND_UNSPECIFIED &&
        request->kind() != KindOf(key, view.status.kind)) {
      continue;
    }
    Fill(view, response->add_policies());
  }
  return grpc::Status::OK;
}

grpc::Status GatehouseService::AddWorkload(grpc::ServerContext*,
                                           const v1::AddWorkloadRequest* request,
                                           v1::AddWorkloadResponse* response) {
  const auto added =
      services_.agent.AddWorkload(FromMessage(request->workload()), request->replace());
  if (!added) {
    services_.log(false, added.error().Message());
    return ToStatus(added.error());
  }
  services_.log(true, "workload " + added->workload->Name() + ": added over the API, " +
                          std::to_string(added->policies.size()) + " policies");
  Fill(*added, response->mutable_workload());
  return grpc::Status::OK;
}

grpc::Status GatehouseService::DeleteWorkload(grpc::ServerContext*,
                                              const v1::DeleteWorkloadRequest* request,
                                              v1::DeleteWorkloadResponse*) {
  const auto deleted = services_.agent.DeleteWorkload(request->cgroup_path());
  if (!deleted) return ToStatus(deleted.error());
  services_.log(true, "workload " + request->cgroup_path() + ": deleted over the API");
  return grpc::Status::OK;
}

grpc::Status GatehouseService::ListWorkloads(grpc::ServerContext*,
                                             const v1::ListWorkloadsRequest* request,
                                             v1::ListWorkloadsResponse* response) {
  for (const daemon::WorkloadView& view : services_.agent.ListWorkloads()) {
    if (request->has_namespace_() && request->namespace_() != view.workload->ns) continue;
    Fill(view, response->add_workloads());
  }
  return grpc::Status::OK;
}

grpc::Status GatehouseService::Explain(grpc::ServerContext*, const v1::ExplainRequest* request,
                                       v1::ExplainResponse* response) {
  if (request->exec_path().empty() || request->exec_path().front() != '/') {
    return ToStatus(
        ErrorCode::kInvalid,
        "exec_path \"" + request->exec_path() +
            "\": is not absolute; give the path of the program as the kernel resolves it");
  }
  const auto hook = SiteOf(request->hook());
  if (!hook) return ToStatus(hook.error());
  std::optional<std::string> binary;
  if (!request->binary_path().empty()) binary = request->binary_path();
  const auto explanation =
      services_.agent.Explain(NameOf(request->workload()), request->exec_path(), binary, *hook);
  if (!explanation) return ToStatus(explanation.error());
  Fill(*explanation, services_.agent.backend(), response);
  return grpc::Status::OK;
}

grpc::Status GatehouseService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                                         v1::GetStatusResponse* response) {
  FillAgent(services_, response->mutable_agent());
  Fill(services_.agent.KernelStatus(), response);
  const daemon::AgentCounts counts = services_.agent.Counts();
  v1::Counts* into = response->mutable_counts();
  into->set_tracing_policies(counts.policies);
  into->set_templates(counts.templates);
  into->set_bindings(counts.bindings);
  into->set_workloads(counts.workloads);
  into->set_conflicts(counts.conflicts);
  for (const daemon::SourceHealth& health : services_.sources()) {
    Fill(health, response->add_sources());
  }
  const daemon::HookFailureCounts failures = services_.hook_failures();
  v1::HookFailures* hook = response->mutable_hook_failures();
  hook->set_allowed(failures.allowed);
  hook->set_denied(failures.denied);
  hook->set_unreadable(failures.unreadable);
  return grpc::Status::OK;
}

grpc::Status GatehouseService::GetStats(grpc::ServerContext*, const v1::GetStatsRequest* request,
                                        v1::GetStatsResponse* response) {
  if (request->has_policy()) {
    const auto view = services_.agent.GetPolicy(KeyOf(request->policy()));
    if (!view) return ToStatus(view.error());
    Fill(*view, response->add_policies());
  } else {
    for (const daemon::PolicyView& view : services_.agent.ListPolicies()) {
      Fill(view, response->add_policies());
    }
  }
  for (const auto& [name, value] : services_.agent.KernelStatus().counters) {
    v1::Counter* into = response->add_kernel();
    into->set_name(name);
    into->set_value(value);
  }
  Fill(services_.event_counts(), response->mutable_events());
  return grpc::Status::OK;
}

}  // namespace gatehouse::control
