// SPDX-License-Identifier: Apache-2.0
#include "control/tetragon_service.h"

#include <google/protobuf/wrappers.pb.h>

#include <charconv>
#include <utility>

#include "control/convert.h"
#include "control/status.h"
#include "export/filter.h"
#include "workload/annotations.h"
#include "workload/container_cgroup.h"
#include "workload/hook_facts.h"

namespace gatehouse::control {
namespace {

/// Each stream takes a thread.
constexpr int kStreamsMax = 64;
constexpr size_t kStreamQueueEvents = 16'384;
constexpr size_t kStreamBatchEvents = 256;
/// How long a client that has gone, or a stop, may go unnoticed.
constexpr std::chrono::milliseconds kStreamPoll{100};

grpc::Status NotOffered(const std::string& what, const std::string& instead) {
  return ToStatus(ErrorCode::kUnsupported, what + ": not offered by Gatehouse; " + instead);
}

grpc::Status CheckDomain(const std::string& domain) {
  if (domain.empty()) return grpc::Status::OK;
  return NotOffered("domain \"" + domain + "\"", "leave the domain empty");
}

}  // namespace

grpc::Status TetragonService::GetEvents(grpc::ServerContext* context,
                                        const tetragon::GetEventsRequest* request,
                                        grpc::ServerWriter<tetragon::GetEventsResponse>* writer) {
  auto filter = exporting::EventFilter::Compile(*request);
  if (!filter) return ToStatus(filter.error());
  struct Seat {
    std::atomic<int>& taken;
    const int before = taken.fetch_add(1);
    ~Seat() { --taken; }
  };
  const Seat seat{streams_};
  if (seat.before >= kStreamsMax) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            "GetEvents: " + std::to_string(kStreamsMax) +
                " clients are reading events; close one of them"};
  }
  const auto subscription =
      services_.dispatcher.Subscribe(context->peer(), kStreamQueueEvents, std::move(*filter));
  // Tells the client that from now on nothing is missed.
  writer->SendInitialMetadata();
  while (!ending_ && !context->IsCancelled() && !subscription->Finished()) {
    for (const event::EventPtr& event : subscription->Next(kStreamBatchEvents, kStreamPoll)) {
      if (!writer->Write(*event)) return grpc::Status::OK;
    }
  }
  return grpc::Status::OK;
}

grpc::Status TetragonService::GetHealth(grpc::ServerContext*,
                                        const tetragon::GetHealthStatusRequest* request,
                                        tetragon::GetHealthStatusResponse* response) {
  bool asked = request->event_set().empty();
  for (const int type : request->event_set()) {
    asked = asked || type == tetragon::HEALTH_STATUS_TYPE_STATUS;
  }
  if (!asked) return grpc::Status::OK;
  tetragon::HealthStatus* status = response->add_health_status();
  status->set_event(tetragon::HEALTH_STATUS_TYPE_STATUS);
  const daemon::EventCounts counts = services_.event_counts();
  status->set_status(counts.poll_error.empty() ? tetragon::HEALTH_STATUS_RUNNING
                                               : tetragon::HEALTH_STATUS_ERROR);
  status->set_details(counts.poll_error.empty() ? "running" : counts.poll_error);
  return grpc::Status::OK;
}

grpc::Status TetragonService::AddTracingPolicy(grpc::ServerContext*,
                                               const tetragon::AddTracingPolicyRequest* request,
                                               tetragon::AddTracingPolicyResponse*) {
  if (auto status = CheckDomain(request->domain()); !status.ok()) return status;
  const daemon::ApplyResult result = services_.agent.AddPolicies(request->yaml(), "", {});
  LogApplied(services_, result);
  if (result.applied) return grpc::Status::OK;
  return ToStatus(result.code, result.Message(kMaxStatusBytes));
}

grpc::Status TetragonService::DeleteTracingPolicy(
    grpc::ServerContext*, const tetragon::DeleteTracingPolicyRequest* request,
    tetragon::DeleteTracingPolicyResponse*) {
  if (auto status = CheckDomain(request->domain()); !status.ok()) return status;
  const policy::Key key{request->name(), request->namespace_()};
  const auto deleted = services_.agent.DeletePolicy(key);
  if (!deleted) return ToStatus(deleted.error());
  services_.log(true, "policy " + key.ToString() + ": deleted over the API");
  return grpc::Status::OK;
}

grpc::Status TetragonService::ListTracingPolicies(
    grpc::ServerContext*, const tetragon::ListTracingPoliciesRequest* request,
    tetragon::ListTracingPoliciesResponse* response) {
  if (auto status = CheckDomain(request->domain()); !status.ok()) return status;
  for (const daemon::PolicyView& view : services_.agent.ListPolicies()) {
    Fill(view, response->add_policies());
  }
  return grpc::Status::OK;
}

grpc::Status TetragonService::Configure(const policy::Key& key, const std::string& domain,
                                        std::optional<bool> enabled,
                                        std::optional<policy::Mode> mode) {
  if (auto status = CheckDomain(domain); !status.ok()) return status;
  const auto configured = services_.agent.Configure(key, enabled, mode);
  if (!configured) return ToStatus(configured.error());
  std::string line = "policy " + key.ToString() + ": set over the API:";
  if (enabled) line += *enabled ? " enabled" : " disabled";
  if (mode) line += *mode == policy::Mode::kMonitor ? " mode monitor" : " mode enforce";
  services_.log(true, line);
  return grpc::Status::OK;
}

grpc::Status TetragonService::ConfigureTracingPolicy(
    grpc::ServerContext*, const tetragon::ConfigureTracingPolicyRequest* request,
    tetragon::ConfigureTracingPolicyResponse*) {
  std::optional<bool> enabled;
  std::optional<policy::Mode> mode;
  if (request->has_enable()) enabled = request->enable();
  if (request->has_mode()) {
    if (request->mode() == tetragon::TP_MODE_ENFORCE) {
      mode = policy::Mode::kEnforce;
    } else if (request->mode() == tetragon::TP_MODE_MONITOR) {
      mode = policy::Mode::kMonitor;
    } else {
      return ToStatus(ErrorCode::kInvalid, "mode: " + std::to_string(request->mode()) +
                                               " cannot be set; choose TP_MODE_ENFORCE (1) or "
                                               "TP_MODE_MONITOR (2)");
    }
  }
  if (!enabled && !mode) {
    return ToStatus(ErrorCode::kInvalid, "nothing to configure; set enable or mode");
  }
  return Configure({request->name(), request->namespace_()}, request->domain(), enabled, mode);
}

grpc::Status TetragonService::EnableTracingPolicy(
    grpc::ServerContext*, const tetragon::EnableTracingPolicyRequest* request,
    tetragon::EnableTracingPolicyResponse*) {
  return Configure({request->name(), request->namespace_()}, request->domain(), true, {});
}

grpc::Status TetragonService::DisableTracingPolicy(
    grpc::ServerContext*, const tetragon::DisableTracingPolicyRequest* request,
    tetragon::DisableTracingPolicyResponse*) {
  return Configure({request->name(), request->namespace_()}, request->domain(), false, {});
}

grpc::Status TetragonService::GetVersion(grpc::ServerContext*, const tetragon::GetVersionRequest*,
                                         tetragon::GetVersionResponse* response) {
  response->set_version(GATEHOUSE_VERSION);
  return grpc::Status::OK;
}

grpc::Status TetragonService::GetInfo(grpc::ServerContext*, const tetragon::GetInfoRequest*,
                                      tetragon::GetInfoResponse* response) {
  response->set_version(GATEHOUSE_VERSION);
  response->set_name("gatehouse");
  for (const kernel::BackendProbe& probe : services_.agent.KernelStatus().probes) {
    auto* into = response->add_probes();
    into->set_name(kernel::BackendName(probe.backend));
    into->mutable_enabled()->set_value(probe.available);
  }
  const daemon::AgentOptions& options = services_.agent.options();
  const auto add_flag = [response](const char* name, bool value) {
    google::protobuf::BoolValue flag;
    flag.set_value(value);
    auto* into = response->add_conf();
    into->set_key(name);
    into->mutable_value()->PackFrom(flag);
  };
  add_flag("deny-by-signal", options.deny_by_signal);
  add_flag("allow-host-enforcement", options.allow_host_enforcement);
  add_flag("allow-network-actions", options.allow_network_actions);
  return grpc::Status::OK;
}

Result<daemon::WorkloadView> TetragonService::CreateContainer(
    const tetragon::CreateContainer& from) {
  GH_ASSIGN(workload::ContainerFacts facts,
            workload::FactsOfHook(
                {.cgroups_path = from.cgroupspath(),
                 .container = from.containername(),
                 .container_id = from.containerid(),
                 .pod = from.podname(),
                 .pod_uid = from.poduid(),
                 .ns = from.podnamespace(),
                 .image = from.containerimage(),
                 .annotations = {from.annotations().begin(), from.annotations().end()}}));
  GH_ASSIGN(facts.cgroup,
            workload::CgroupOfContainer(services_.agent.options().cgroup_root, from.cgroupspath()));
  pid_t init = 0;
  if (const auto pid = from.annotations().find(std::string(workload::kInitPid));
      pid != from.annotations().end()) {
    const std::string& text = pid->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), init);
    if (error != std::errc() || end != text.data() + text.size() || init <= 0) {
      return Fail(ErrorCode::kInvalid, "annotation/" + pid->first, "\"" + text + "\" is no pid");
    }
  }
  return services_.containers.Create(std::move(facts), init);
}

grpc::Status TetragonService::RuntimeHook(grpc::ServerContext*,
                                          const tetragon::RuntimeHookRequest* request,
                                          tetragon::RuntimeHookResponse*) {
  if (!request->has_createcontainer()) {
    return NotOffered("RuntimeHook", "send createContainer");
  }
  const tetragon::CreateContainer& from = request->createcontainer();
  const auto created = CreateContainer(from);
  if (!created) {
    services_.log(false, "container " + from.containerid() + " " + from.containername() +
                             ": refused to the runtime hook: " + created.error().Message());
    return ToStatus(created.error());
  }
  services_.log(true, "workload " + created->workload->Name() + ": created by the runtime hook, " +
                          std::to_string(created->policies.size()) + " policies");
  return grpc::Status::OK;
}

grpc::Status TetragonService::ListSensors(grpc::ServerContext*, const tetragon::ListSensorsRequest*,
                                          tetragon::ListSensorsResponse*) {
  return NotOffered("ListSensors", "use ListTracingPolicies");
}

grpc::Status TetragonService::EnableSensor(grpc::ServerContext*,
                                           const tetragon::EnableSensorRequest*,
                                           tetragon::EnableSensorResponse*) {
  return NotOffered("EnableSensor", "use ConfigureTracingPolicy");
}

grpc::Status TetragonService::DisableSensor(grpc::ServerContext*,
                                            const tetragon::DisableSensorRequest*,
                                            tetragon::DisableSensorResponse*) {
  return NotOffered("DisableSensor", "use ConfigureTracingPolicy");
}

grpc::Status TetragonService::RemoveSensor(grpc::ServerContext*,
                                           const tetragon::RemoveSensorRequest*,
                                           tetragon::RemoveSensorResponse*) {
  return NotOffered("RemoveSensor", "use DeleteTracingPolicy");
}

grpc::Status TetragonService::ListDomains(grpc::ServerContext*, const tetragon::ListDomainsRequest*,
                                          tetragon::ListDomainsResponse*) {
  return NotOffered("ListDomains", "all policies are in one domain, the empty one");
}

grpc::Status TetragonService::GetDebug(grpc::ServerContext*, const tetragon::GetDebugRequest*,
                                       tetragon::GetDebugResponse*) {
  return NotOffered("GetDebug", "use gatehouse.v1.Gatehouse/GetStats");
}

grpc::Status TetragonService::SetDebug(grpc::ServerContext*, const tetragon::SetDebugRequest*,
                                       tetragon::SetDebugResponse*) {
  return NotOffered("SetDebug", "start gatehoused with another --log-level");
}

}  // namespace gatehouse::control
