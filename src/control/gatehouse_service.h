// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gatehouse/gatehouse.grpc.pb.h>

#include "control/server.h"

namespace gatehouse::control {

/// Our own service: what tetragon.FineGuidanceSensors has no call for.
class GatehouseService final : public v1::Gatehouse::Service {
 public:
  explicit GatehouseService(const Services& services) : services_(services) {}

  grpc::Status AddPolicies(grpc::ServerContext* context, const v1::AddPoliciesRequest* request,
                           v1::AddPoliciesResponse* response) override;
  grpc::Status GetPolicy(grpc::ServerContext* context, const v1::GetPolicyRequest* request,
                         v1::GetPolicyResponse* response) override;
  grpc::Status ListPolicies(grpc::ServerContext* context, const v1::ListPoliciesRequest* request,
                            v1::ListPoliciesResponse* response) override;
  grpc::Status AddWorkload(grpc::ServerContext* context, const v1::AddWorkloadRequest* request,
                           v1::AddWorkloadResponse* response) override;
  grpc::Status DeleteWorkload(grpc::ServerContext* context,
                              const v1::DeleteWorkloadRequest* request,
                              v1::DeleteWorkloadResponse* response) override;
  grpc::Status ListWorkloads(grpc::ServerContext* context, const v1::ListWorkloadsRequest* request,
                             v1::ListWorkloadsResponse* response) override;
  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                       v1::ExplainResponse* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;
  grpc::Status GetStats(grpc::ServerContext* context, const v1::GetStatsRequest* request,
                        v1::GetStatsResponse* response) override;

 private:
  const Services& services_;
};

}  // namespace gatehouse::control
