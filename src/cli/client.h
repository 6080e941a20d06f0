// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gatehouse/gatehouse.pb.h>
#include <tetragon/sensors.pb.h>
#include <tetragon/tetragon.pb.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace gatehouse::cli {

/// The daemon, over its control socket. Calls block; an error is what the daemon said, or that none
/// answers, with the path of the socket and the remedy.
class Client {
 public:
  /// Error: nobody listens on `socket`, or we may not connect.
  [[nodiscard]] static Result<Client> Connect(const std::string& socket);
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  [[nodiscard]] Result<v1::AddPoliciesResponse> Call(const v1::AddPoliciesRequest& request);
  [[nodiscard]] Result<v1::GetPolicyResponse> Call(const v1::GetPolicyRequest& request);
  [[nodiscard]] Result<v1::ListPoliciesResponse> Call(const v1::ListPoliciesRequest& request);
  [[nodiscard]] Result<v1::AddWorkloadResponse> Call(const v1::AddWorkloadRequest& request);
  [[nodiscard]] Result<v1::DeleteWorkloadResponse> Call(const v1::DeleteWorkloadRequest& request);
  [[nodiscard]] Result<v1::ListWorkloadsResponse> Call(const v1::ListWorkloadsRequest& request);
  [[nodiscard]] Result<v1::ExplainResponse> Call(const v1::ExplainRequest& request);
  [[nodiscard]] Result<v1::GetStatusResponse> Call(const v1::GetStatusRequest& request);
  [[nodiscard]] Result<v1::GetStatsResponse> Call(const v1::GetStatsRequest& request);
  [[nodiscard]] Result<tetragon::DeleteTracingPolicyResponse> Call(
      const tetragon::DeleteTracingPolicyRequest& request);
  [[nodiscard]] Result<tetragon::ConfigureTracingPolicyResponse> Call(
      const tetragon::ConfigureTracingPolicyRequest& request);

  /// Hands events to `sink` until it returns false, the daemon ends the stream, or `period` is
  /// over.
  [[nodiscard]] Result<void> Events(
      const tetragon::GetEventsRequest& request, std::optional<std::chrono::milliseconds> period,
      const std::function<bool(const tetragon::GetEventsResponse&)>& sink);

 private:
  struct Stubs;
  explicit Client(std::unique_ptr<Stubs> stubs);

  std::unique_ptr<Stubs> stubs_;
};

}  // namespace gatehouse::cli
