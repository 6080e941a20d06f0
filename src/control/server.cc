// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "control/gatehouse_service.h"
#include "control/socket.h"
#include "control/status.h"
#include "control/tetragon_service.h"

namespace gatehouse::control {
namespace {

/// A request is a policy text and little more.
constexpr int kMaxRequestBytes = 72 << 20;
/// Calls that run have so long to end when the server stops.
constexpr std::chrono::seconds kStopGrace{2};
constexpr const char* kUtf8ContinuationCut = "…";

}  // namespace

grpc::StatusCode CodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case ErrorCode::kExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case ErrorCode::kUnsupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case ErrorCode::kRefused:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case ErrorCode::kSystem:
      return grpc::StatusCode::INTERNAL;
  }
  return grpc::StatusCode::UNKNOWN;
}

grpc::Status ToStatus(ErrorCode code, std::string message) {
  if (message.size() > kMaxStatusBytes) {
    size_t end = kMaxStatusBytes;
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0u) == 0x80u) --end;
    message.resize(end);
    message += kUtf8ContinuationCut;
  }
  return {CodeOf(code), message};
}

void LogApplied(const Services& services, const daemon::ApplyResult& result) {
  constexpr size_t kLinesMax = 20;
  if (!result.applied) {
    services.log(false, "policies refused: " + result.Message(kMaxStatusBytes));
    return;
  }
  if (const std::string warnings = result.Message(kMaxStatusBytes); !warnings.empty()) {
    services.log(false, "policies taken with warnings:\n" + warnings);
  }
  size_t logged = 0;
  size_t changed = 0;
  for (const daemon::DocumentResult& document : result.documents) {
    if (document.outcome == daemon::Outcome::kUnchanged) continue;
    ++changed;
    if (logged == kLinesMax) continue;
    ++logged;
    services.log(true, "policy " + document.key.ToString() + ": " +
                           (document.outcome == daemon::Outcome::kAdded ? "added" : "replaced") +
                           " over the API");
  }
  if (changed > logged) {
    services.log(true, std::to_string(changed - logged) + " more policies added or replaced");
  }
}

struct Server::Parts {
  Parts(std::string socket_path, Services what)
      : path(std::move(socket_path)),
        services(std::move(what)),
        tetragon(services),
        gatehouse(services) {}

  const std::string path;
  const Services services;
  TetragonService tetragon;
  GatehouseService gatehouse;
  std::unique_ptr<grpc::Server> server;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<Server>> Server::Listen(const std::string& path, Services services) {
  auto parts = std::make_unique<Parts>(path, std::move(services));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(-1);  // no limit: a list of all policies
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.RegisterService(&parts->tetragon);
  builder.RegisterService(&parts->gatehouse);
  int listening = 0;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials(), &listening);
  {
    const OwnerOnly owner_only;
    parts->server = builder.BuildAndStart();
  }
  if (!parts->server || listening == 0) {
    return Fail(ErrorCode::kSystem, path, "the control socket cannot be made",
                "check the rights on its directory, or choose another --control-socket");
  }
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::~Server() { Stop(); }

void Server::Stop() {
  if (!parts_->server) return;
  parts_->tetragon.EndStreams();
  parts_->server->Shutdown(std::chrono::system_clock::now() + kStopGrace);
  parts_->server->Wait();
  parts_->server.reset();
  unlink(parts_->path.c_str());
}

}  // namespace gatehouse::control
