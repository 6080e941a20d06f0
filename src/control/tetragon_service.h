// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tetragon/sensors.grpc.pb.h>

#include <atomic>

#include "control/server.h"

namespace gatehouse::control {

/// What Tetragon's own clients call. What Gatehouse does not have is refused by name
/// (UNIMPLEMENTED).
class TetragonService final : public tetragon::FineGuidanceSensors::Service {
 public:
  explicit TetragonService(const Services& services) : services_(services) {}

  /// Ends all streams soon. Any thread.
  void EndStreams() { ending_ = true; }

  grpc::Status GetEvents(grpc::ServerContext* context, const tetragon::GetEventsRequest* request,
                         grpc::ServerWriter<tetragon::GetEventsResponse>* writer) override;
  grpc::Status GetHealth(grpc::ServerContext* context,
                         const tetragon::GetHealthStatusRequest* request,
                         tetragon::GetHealthStatusResponse* response) override;
  grpc::Status AddTracingPolicy(grpc::ServerContext* context,
                                const tetragon::AddTracingPolicyRequest* request,
                                tetragon::AddTracingPolicyResponse* response) override;
  grpc::Status DeleteTracingPolicy(grpc::ServerContext* context,
                                   const tetragon::DeleteTracingPolicyRequest* request,
                                   tetragon::DeleteTracingPolicyResponse* response) override;
  grpc::Status ListTracingPolicies(grpc::ServerContext* context,
                                   const tetragon::ListTracingPoliciesRequest* request,
                                   tetragon::ListTracingPoliciesResponse* response) override;
  grpc::Status ConfigureTracingPolicy(grpc::ServerContext* context,
                                      const tetragon::ConfigureTracingPolicyRequest* request,
                                      tetragon::ConfigureTracingPolicyResponse* response) override;
  grpc::Status EnableTracingPolicy(grpc::ServerContext* context,
                                   const tetragon::EnableTracingPolicyRequest* request,
                                   tetragon::EnableTracingPolicyResponse* response) override;
  grpc::Status DisableTracingPolicy(grpc::ServerContext* context,
                                    const tetragon::DisableTracingPolicyRequest* request,
                                    tetragon::DisableTracingPolicyResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context, const tetragon::GetVersionRequest* request,
                          tetragon::GetVersionResponse* response) override;
  grpc::Status GetInfo(grpc::ServerContext* context, const tetragon::GetInfoRequest* request,
                       tetragon::GetInfoResponse* response) override;
  grpc::Status RuntimeHook(grpc::ServerContext* context,
                           const tetragon::RuntimeHookRequest* request,
                           tetragon::RuntimeHookResponse* response) override;

  grpc::Status ListSensors(grpc::ServerContext* context,
                           const tetragon::ListSensorsRequest* request,
                           tetragon::ListSensorsResponse* response) override;
  grpc::Status EnableSensor(grpc::ServerContext* context,
                            const tetragon::EnableSensorRequest* request,
                            tetragon::EnableSensorResponse* response) override;
  grpc::Status DisableSensor(grpc::ServerContext* context,
                             const tetragon::DisableSensorRequest* request,
                             tetragon::DisableSensorResponse* response) override;
  grpc::Status RemoveSensor(grpc::ServerContext* context,
                            const tetragon::RemoveSensorRequest* request,
                            tetragon::RemoveSensorResponse* response) override;
  grpc::Status ListDomains(grpc::ServerContext* context,
                           const tetragon::ListDomainsRequest* request,
                           tetragon::ListDomainsResponse* response) override;
  grpc::Status GetDebug(grpc::ServerContext* context, const tetragon::GetDebugRequest* request,
                        tetragon::GetDebugResponse* response) override;
  grpc::Status SetDebug(grpc::ServerContext* context, const tetragon::SetDebugRequest* request,
                        tetragon::SetDebugResponse* response) override;

 private:
  [[nodiscard]] Result<daemon::WorkloadView> CreateContainer(const tetragon::CreateContainer& from);
  grpc::Status Configure(const policy::Key& key, const std::string& domain,
                         std::optional<bool> enabled, std::optional<policy::Mode> mode);

  const Services& services_;
  std::atomic<int> streams_ = 0;
  std::atomic<bool> ending_ = false;
};

}  // namespace gatehouse::control
