// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <gatehouse/gatehouse.grpc.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <tetragon/sensors.grpc.pb.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace gatehouse::cli {
namespace {

ErrorCode CodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ErrorCode::kInvalid;
    case grpc::StatusCode::NOT_FOUND:
      return ErrorCode::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return ErrorCode::kExists;
    case grpc::StatusCode::UNIMPLEMENTED:
      return ErrorCode::kUnsupported;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ErrorCode::kRefused;
    default:
      return ErrorCode::kSystem;
  }
}

/// gRPC says little about a socket that is not there; connect(2) says why.
Result<void> Probe(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalid, path, "is no path of a unix socket",
                "give the path that gatehoused has in --control-socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return FailErrno(path, "no socket can be made", errno);
  const int failure =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  close(fd);
  if (failure == 0) return {};
  return FailErrno(path, "no daemon answers there", failure,
                   failure == EACCES || failure == EPERM
                       ? "only the user that runs gatehoused may connect: use sudo"
                       : "start gatehoused, or name its socket with --control-socket");
}

}  // namespace

struct Client::Stubs {
  std::string socket;
  std::unique_ptr<v1::Gatehouse::Stub> gatehouse;
  std::unique_ptr<tetragon::FineGuidanceSensors::Stub> tetragon;

  [[nodiscard]] Result<void> Check(const grpc::Status& status) const {
    if (status.ok()) return {};
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      return Fail(ErrorCode::kSystem, socket, "the daemon went away",
                  "see its log; it may have been stopped");
    }
    return Fail(CodeOf(status.error_code()), "", status.error_message());
  }

  template <typename Response, typename Stub, typename Request>
  Result<Response> Call(Stub& stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                     Response*),
                        const Request& request) const {
    grpc::ClientContext context;
    Response response;
    GH_TRY(Check((stub.*method)(&context, request, &response)));
    return response;
  }
};

Client::Client(std::unique_ptr<Stubs> stubs) : stubs_(std::move(stubs)) {}
Client::Client(Client&& other) noexcept = default;
Client& Client::operator=(Client&& other) noexcept = default;
Client::~Client() = default;

Result<Client> Client::Connect(const std::string& socket) {
  GH_TRY(Probe(socket));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // no limit: a list of all policies
  arguments.SetMaxSendMessageSize(-1);
  const auto channel =
      grpc::CreateCustomChannel("unix:" + std::filesystem::absolute(socket).string(),
                                grpc::InsecureChannelCredentials(), arguments);
  auto stubs = std::make_unique<Stubs>();
  stubs->socket = socket;
  stubs->gatehouse = v1::Gatehouse::NewStub(channel);
  stubs->tetragon = tetragon::FineGuidanceSensors::NewStub(channel);
  return Client(std::move(stubs));
}

Result<v1::AddPoliciesResponse> Client::Call(const v1::AddPoliciesRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::AddPolicies, request);
}

Result<v1::GetPolicyResponse> Client::Call(const v1::GetPolicyRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::GetPolicy, request);
}

Result<v1::ListPoliciesResponse> Client::Call(const v1::ListPoliciesRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::ListPolicies, request);
}

Result<v1::AddWorkloadResponse> Client::Call(const v1::AddWorkloadRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::AddWorkload, request);
}

Result<v1::DeleteWorkloadResponse> Client::Call(const v1::DeleteWorkloadRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::DeleteWorkload, request);
}

Result<v1::ListWorkloadsResponse> Client::Call(const v1::ListWorkloadsRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::ListWorkloads, request);
}

Result<v1::ExplainResponse> Client::Call(const v1::ExplainRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::Explain, request);
}

Result<v1::GetStatusResponse> Client::Call(const v1::GetStatusRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::GetStatus, request);
}

Result<v1::GetStatsResponse> Client::Call(const v1::GetStatsRequest& request) {
  return stubs_->Call(*stubs_->gatehouse, &v1::Gatehouse::Stub::GetStats, request);
}

Result<tetragon::DeleteTracingPolicyResponse> Client::Call(
    const tetragon::DeleteTracingPolicyRequest& request) {
  return stubs_->Call(*stubs_->tetragon, &tetragon::FineGuidanceSensors::Stub::DeleteTracingPolicy,
                      request);
}

Result<tetragon::ConfigureTracingPolicyResponse> Client::Call(
    const tetragon::ConfigureTracingPolicyRequest& request) {
  return stubs_->Call(*stubs_->tetragon,
                      &tetragon::FineGuidanceSensors::Stub::ConfigureTracingPolicy, request);
}

Result<void> Client::Events(const tetragon::GetEventsRequest& request,
                            std::optional<std::chrono::milliseconds> period,
                            const std::function<bool(const tetragon::GetEventsResponse&)>& sink) {
  grpc::ClientContext context;
  if (period) context.set_deadline(std::chrono::system_clock::now() + *period);
  const auto reader = stubs_->tetragon->GetEvents(&context, request);
  tetragon::GetEventsResponse event;
  bool enough = false;
  while (!enough && reader->Read(&event)) enough = !sink(event);
  if (enough) context.TryCancel();
  const grpc::Status status = reader->Finish();
  const bool over = period && status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  if (enough || over) return {};
  return stubs_->Check(status);
}

}  // namespace gatehouse::cli
