// SPDX-License-Identifier: Apache-2.0
// The life of a connection: who answers, how changes are followed, lists.
#include "cri/session.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <array>
#include <utility>

namespace gatehouse::cri {
namespace {

using containerd::services::events::v1::Envelope;
using containerd::services::events::v1::Events;
using containerd::services::events::v1::SubscribeRequest;
using containerd::services::events::v1::TaskExit;
using runtime::v1::RuntimeService;

constexpr int kMessageMax = 16 << 20;  // as a kubelet's
constexpr size_t kAskedMax = 4096;
constexpr const char* kContainerdNamespace = "k8s.io";
constexpr const char* kTaskExit = "/tasks/exit";
constexpr const char* kContainerDelete = "/containers/delete";
// Of what a container's exec does there are events as well; these are the container's alone, but
// for exits.
constexpr std::array kContainerdTopics = {"/containers/create", kContainerDelete, "/tasks/create",
                                          "/tasks/start", kTaskExit};

std::shared_ptr<grpc::Channel> Connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageMax);
  // Servers written in Go refuse the path as an authority.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  // Each session connects by itself, without the waits that gRPC keeps for all of a process.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

std::string ToText(const grpc::Status& status) {
  return Printable(status.error_message()) + " (gRPC status " +
         std::to_string(status.error_code()) + ")";
}

}  // namespace

Session::Session(const std::string& socket, std::string cgroup_root, const Pace& pace,
                 Roster& roster, HealthBoard& health)
    : socket_(socket),
      cgroup_root_(std::move(cgroup_root)),
      pace_(pace),
      roster_(roster),
      health_(health),
      relist_every_(pace.relist) {
  const auto channel = Connect(socket);
  runtime_ = RuntimeService::NewStub(channel);
  containerd_ = Events::NewStub(channel);
}

Error Session::Run() {
  roster_.Begin();
  runtime::v1::VersionRequest request;
  request.set_version("v1");
  calls_.Ask(*runtime_, &RuntimeService::Stub::PrepareAsyncVersion, request, pace_.call,
             [this](const grpc::Status& status, const runtime::v1::VersionResponse& response) {
               OnVersion(status, response);
             });
  while (!ended_ && !stopping_) Step();
  return ended_.value_or(Error{ErrorCode::kSystem, socket_, "not needed any more", {}});
}

void Session::Ask(std::string id) {
  {
    const std::lock_guard lock(mutex_);
    // Whoever asks about more than this at a time is served by the next list.
    if (to_ask_.size() >= kAskedMax) return;
    to_ask_.push_back(std::move(id));
  }
  calls_.Wake();
}

void Session::Stop() {
  stopping_ = true;
  calls_.Wake();
}

void Session::Step() {
  Clock::time_point next = std::min(relist_due_, Clock::now() + pace_.call);
  if (!first_.empty()) next = std::min(next, std::max(complete_due_, Clock::now()));
  if (!due_.empty()) next = std::min(next, due_.begin()->first);
  calls_.Next(next);
  if (ended_ || stopping_) return;
  TakeAsked();
  if (Clock::now() >= relist_due_) List();
  AskDue();
  if (listed_ && (first_.empty() || Clock::now() >= complete_due_)) {
    roster_.Complete();
    health_.Set([](Health& health) { health.synced = true; });
  }
  health_.Set([&](Health& health) { health.containers = roster_.known().size(); });
}

void Session::TakeAsked() {
  std::deque<std::string> asked;
  {
    const std::lock_guard lock(mutex_);
    asked.swap(to_ask_);
  }
  if (!connected_) return;  // everything is about to be listed
  for (const std::string& id : asked) {
    if (!roster_.known().contains(id)) Note(id, Expect::kThere);
  }
}

void Session::OnVersion(const grpc::Status& status, const runtime::v1::VersionResponse& response) {
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    ended_ = Error{ErrorCode::kUnsupported, socket_, "does not speak runtime.v1",
                   "use containerd 1.6 or later with its CRI plugin, or CRI-O 1.20 or later"};
    return;
  }
  if (!status.ok()) return Lost("Version", status);
  connected_ = true;
  runtime_name_ = Printable(response.runtime_name());
  health_.SetConnected(true);
  health_.Set([&](Health& health) {
    health.socket = socket_;
    health.runtime = runtime_name_;
    health.version = Printable(response.runtime_version());
  });
  // First, so that nothing falls between the list and the first event.
  Follow();
  List();
}

void Session::Follow() {
  // containerd 1.7 hands an event of GetContainerEvents to one of those who listen, and a kubelet
  // may be another of them. Its own events go to all.
  if (runtime_name_ == "containerd") {
    FollowContainerd();
  } else {
    FollowEvents();
  }
}

void Session::FollowContainerd() {
  SubscribeRequest request;
  for (const char* topic : kContainerdTopics) {
    request.add_filters(std::string("namespace==\"") + kContainerdNamespace + "\",topic==\"" +
                        topic + "\"");
  }
  health_.Set([](Health& health) { health.follows = "containerd events"; });
  calls_.Follow(
      *containerd_, &Events::Stub::PrepareAsyncSubscribe, request,
      [this](const Envelope& envelope) { OnContainerdEvent(envelope); },
      [this](const grpc::Status& status) { OnFollowEnd(status); });
}

void Session::FollowEvents() {
  using runtime::v1::ContainerEventResponse;
  health_.Set([](Health& health) { health.follows = "CRI events"; });
  calls_.Follow(
      *runtime_, &RuntimeService::Stub::PrepareAsyncGetContainerEvents,
      runtime::v1::GetEventsRequest(),
      [this](const ContainerEventResponse& event) {
        const auto type = event.container_event_type();
        const bool ends = type == runtime::v1::CONTAINER_STOPPED_EVENT ||
                          type == runtime::v1::CONTAINER_DELETED_EVENT;
        Note(event.container_id(), ends ? Expect::kGone : Expect::kThere);
      },
      [this](const grpc::Status& status) { OnFollowEnd(status); });
}

void Session::OnFollowEnd(const grpc::Status& status) {
  if (!status.ok() && status.error_code() != grpc::StatusCode::UNIMPLEMENTED) {
    return Lost("events", status);
  }
  // A runtime that tells no events, or that is configured not to.
  relist_every_ = pace_.listing;
  if (relist_due_ != Clock::time_point::max()) relist_due_ = Clock::now() + relist_every_;
  health_.Set([](Health& health) { health.follows = "listing"; });
}

void Session::OnContainerdEvent(const Envelope& envelope) {
  if (envelope.namespace_() != kContainerdNamespace) return;
  TaskExit subject;  // has what all of the events have
  if (!subject.ParseFromString(envelope.event().value())) {
    return Refuse({ErrorCode::kInvalid, "event " + Printable(envelope.topic()), "is garbled", {}});
  }
  const bool exit = envelope.topic() == kTaskExit;
  if (exit && subject.id() != subject.container_id()) return;
  Note(subject.container_id(),
       exit || envelope.topic() == kContainerDelete ? Expect::kGone : Expect::kThere);
}

void Session::List() {
  relist_due_ = Clock::time_point::max();
  sandbox_list_.reset();
  container_list_.reset();
  const auto take = [this](auto& list, const grpc::Status& status, const auto& response) {
    if (!status.ok()) return Lost("list", status);
    list = response;
    if (sandbox_list_ && container_list_) OnLists();
  };
  using runtime::v1::ListContainersResponse;
  using runtime::v1::ListPodSandboxResponse;
  calls_.Ask(*runtime_, &RuntimeService::Stub::PrepareAsyncListPodSandbox,
             runtime::v1::ListPodSandboxRequest(), pace_.call,
             [=, this](const grpc::Status& status, const ListPodSandboxResponse& response) {
               take(sandbox_list_, status, response);
             });
  calls_.Ask(*runtime_, &RuntimeService::Stub::PrepareAsyncListContainers,
             runtime::v1::ListContainersRequest(), pace_.call,
             [=, this](const grpc::Status& status, const ListContainersResponse& response) {
               take(container_list_, status, response);
             });
}

void Session::OnLists() {
  relist_due_ =
      Clock::now() + (listed_ ? relist_every_ : std::min(relist_every_, pace_.second_list));
  std::unordered_set<std::string> running;
  const auto take = [&](const std::string& id, bool runs) {
    if (!IsId(id)) {
      return Refuse({ErrorCode::kInvalid, "list", "has \"" + Printable(id) + "\" for an id", {}});
    }
    if (runs && running.size() < kContainersMax) running.insert(id);
  };
  std::unordered_map<std::string, workload::ContainerFacts> sandboxes;
  for (const auto& sandbox : sandbox_list_->items()) {
    take(sandbox.id(), sandbox.state() == runtime::v1::SANDBOX_READY);
    if (sandboxes.size() >= kContainersMax) break;
    auto facts = ReadSandbox(sandbox.id(), sandbox.metadata(), sandbox.labels());
    if (facts) sandboxes.insert_or_assign(sandbox.id(), std::move(*facts));
  }
  for (auto& [id, facts] : sandboxes_) {  // newer than the list
    if (questions_.contains(id)) sandboxes.try_emplace(id, std::move(facts));
  }
  sandboxes_ = std::move(sandboxes);
  for (const auto& container : container_list_->containers()) {
    take(container.id(), container.state() == runtime::v1::CONTAINER_CREATED ||
                             container.state() == runtime::v1::CONTAINER_RUNNING);
  }
  sandbox_list_.reset();
  container_list_.reset();
  std::erase_if(refused_, [&](const std::string& id) { return !running.contains(id); });

  const auto ask = [&](const std::string& id) {
    if (!questions_.contains(id)) Note(id, Expect::kNothing);
    if (!listed_ && questions_.contains(id)) first_.insert(id);
  };
  for (const std::string& id : running) {
    if (!roster_.known().contains(id) && !refused_.contains(id)) ask(id);
  }
  for (const auto& [id, facts] : roster_.known()) {
    if (!running.contains(id)) ask(id);
  }
  if (!std::exchange(listed_, true)) complete_due_ = Clock::now() + pace_.patience;
}

void Session::Lost(const std::string& what, const grpc::Status& status) {
  if (!ended_) ended_ = Error{ErrorCode::kSystem, socket_, what + ": " + ToText(status), {}};
}

void Session::Refuse(const Error& error) {
  health_.Set([](Health& health) { ++health.refused; });
  health_.SetError(error.Message());
}

}  // namespace gatehouse::cri
