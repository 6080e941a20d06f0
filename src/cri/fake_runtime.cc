// SPDX-License-Identifier: Apache-2.0
#include "cri/fake_runtime.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

namespace gatehouse::cri::testing {
namespace {

namespace cri = runtime::v1;
namespace containerd = containerd::services::events::v1;

/// How often a stream looks whether its reader is still there.
constexpr std::chrono::milliseconds kLook{20};

grpc::Status NotFound() { return {grpc::StatusCode::NOT_FOUND, "not found"}; }

}  // namespace

std::string InfoText(const std::string& sandbox, const std::string& cgroups_path) {
  const nlohmann::json info = {
      {"sandboxID", sandbox},
      {"pid", 4711},
      {"config", {{"linux", {{"cgroupsPath", "/of/something/else"}}}}},
      {"runtimeSpec",
       {{"ociVersion", "1.0.2-dev"},
        {"process", {{"args", {"sleep"}}, {"linux", {{"cgroupsPath", 7}}}}},
        {"linux", {{"namespaces", {{{"type", "pid"}}}}, {"cgroupsPath", cgroups_path}}},
        {"annotations", {{"io.kubernetes.cri.container-type", "container"}}}}}};
  return info.dump();
}

/// Counts who asks at the same time.
class FakeRuntime::Asked {
 public:
  explicit Asked(FakeRuntime& fake) : fake_(fake) {
    ++fake_.statuses_asked_;
    const int now = ++fake_.asking_;
    int most = fake_.asked_at_a_time_;
    while (now > most && !fake_.asked_at_a_time_.compare_exchange_weak(most, now)) {
    }
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  ~Asked() { --fake_.asking_; }

 private:
  FakeRuntime& fake_;
};

class FakeRuntime::Cri : public cri::RuntimeService::Service {
 public:
  explicit Cri(FakeRuntime& fake) : fake_(fake) {}

  grpc::Status Version(grpc::ServerContext*, const cri::VersionRequest*,
                       cri::VersionResponse* response) override {
    if (!fake_.behaviour_.speaks_cri) {
      return {grpc::StatusCode::UNIMPLEMENTED, "unknown service runtime.v1.RuntimeService"};
    }
    response->set_runtime_name(fake_.behaviour_.name);
    response->set_runtime_version("1.2.3");
    return grpc::Status::OK;
  }
  grpc::Status ListPodSandbox(grpc::ServerContext*, const cri::ListPodSandboxRequest*,
                              cri::ListPodSandboxResponse* response) override {
    const std::lock_guard lock(fake_.mutex_);
    for (const auto& [id, pod] : fake_.pods_) *response->add_items() = pod;
    return grpc::Status::OK;
  }
  grpc::Status ListContainers(grpc::ServerContext*, const cri::ListContainersRequest*,
                              cri::ListContainersResponse* response) override {
    const std::lock_guard lock(fake_.mutex_);
    for (const auto& [id, container] : fake_.containers_) *response->add_containers() = container;
    fake_.behaviour_.spoil_list(*response);
    return grpc::Status::OK;
  }
  grpc::Status PodSandboxStatus(grpc::ServerContext*, const cri::PodSandboxStatusRequest* request,
                                cri::PodSandboxStatusResponse* response) override {
    const Asked asked(fake_);
    fake_.behaviour_.before_status(request->pod_sandbox_id());
    const std::lock_guard lock(fake_.mutex_);
    const auto found = fake_.pods_.find(request->pod_sandbox_id());
    if (found == fake_.pods_.end()) return NotFound();
    const cri::PodSandbox& pod = found->second;
    auto& status = *response->mutable_status();
    status.set_id(pod.id());
    status.set_state(pod.state());
    *status.mutable_metadata() = pod.metadata();
    *status.mutable_labels() = pod.labels();
    if (request->verbose()) {
      (*response->mutable_info())["info"] =
          InfoText("", "/kubepods/pod" + pod.metadata().uid() + "/" + pod.id());
    }
    fake_.behaviour_.spoil_sandbox(*response);
    return grpc::Status::OK;
  }
  grpc::Status ContainerStatus(grpc::ServerContext*, const cri::ContainerStatusRequest* request,
                               cri::ContainerStatusResponse* response) override {
    const Asked asked(fake_);
    fake_.behaviour_.before_status(request->container_id());
    const std::lock_guard lock(fake_.mutex_);
    const auto found = fake_.containers_.find(request->container_id());
    if (found == fake_.containers_.end()) return NotFound();
    const cri::Container& container = found->second;
    auto& status = *response->mutable_status();
    status.set_id(container.id());
    status.set_state(container.state());
    *status.mutable_metadata() = container.metadata();
    *status.mutable_image() = container.image();
    if (request->verbose()) {
      const auto pod = fake_.pods_.find(container.pod_sandbox_id());
      const std::string uid = pod == fake_.pods_.end() ? "" : pod->second.metadata().uid();
      (*response->mutable_info())["info"] =
          InfoText(container.pod_sandbox_id(),
                   "kubepods-pod" + uid + ".slice:cri-containerd:" + container.id());
    }
    fake_.behaviour_.spoil(*response);
    return grpc::Status::OK;
  }
  grpc::Status GetContainerEvents(
      grpc::ServerContext* context, const cri::GetEventsRequest*,
      grpc::ServerWriter<cri::ContainerEventResponse>* writer) override {
    if (!fake_.behaviour_.cri_events) return grpc::Status::OK;  // as CRI-O that is told not to
    Event event;
    for (size_t i = fake_.BeginToFollow();
         fake_.NextEvent(i, event, [&] { return context->IsCancelled(); }); ++i) {
      cri::ContainerEventResponse message;
      message.set_container_id(event.id);
      if (event.topic == "/tasks/start") {
        message.set_container_event_type(cri::CONTAINER_STARTED_EVENT);
      } else if (event.topic == "/tasks/exit") {
        message.set_container_event_type(cri::CONTAINER_STOPPED_EVENT);
      } else if (event.topic == "/containers/delete") {
        message.set_container_event_type(cri::CONTAINER_DELETED_EVENT);
      }
      writer->Write(message);
    }
    return {grpc::StatusCode::UNAVAILABLE, "shutting down"};
  }

 private:
  FakeRuntime& fake_;
};

class FakeRuntime::ContainerdEvents : public containerd::Events::Service {
 public:
  explicit ContainerdEvents(FakeRuntime& fake) : fake_(fake) {}

  grpc::Status Subscribe(grpc::ServerContext* context, const containerd::SubscribeRequest*,
                         grpc::ServerWriter<containerd::Envelope>* writer) override {
    if (!fake_.behaviour_.containerd_events) return {grpc::StatusCode::UNIMPLEMENTED, "no events"};
    Event event;
    for (size_t i = fake_.BeginToFollow();
         fake_.NextEvent(i, event, [&] { return context->IsCancelled(); }); ++i) {
      containerd::TaskExit subject;
      subject.set_container_id(event.id);
      if (event.topic == "/tasks/exit") subject.set_id(event.exec.empty() ? event.id : event.exec);
      containerd::Envelope message;
      message.set_namespace_("k8s.io");
      message.set_topic(event.topic);
      message.mutable_event()->set_value(subject.SerializeAsString());
      writer->Write(message);
    }
    return {grpc::StatusCode::UNAVAILABLE, "shutting down"};
  }

 private:
  FakeRuntime& fake_;
};

FakeRuntime::FakeRuntime(std::string socket, Behaviour behaviour)
    : socket_(std::move(socket)),
      behaviour_(std::move(behaviour)),
      cri_(std::make_unique<Cri>(*this)),
      containerd_(std::make_unique<ContainerdEvents>(*this)) {
  Start();
}

FakeRuntime::~FakeRuntime() { Stop(); }

void FakeRuntime::Start() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = false;
    events_.clear();
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
  builder.RegisterService(cri_.get());
  builder.RegisterService(containerd_.get());
  server_ = builder.BuildAndStart();
}

void FakeRuntime::Stop() {
  if (!server_) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
  unlink(socket_.c_str());
}

void FakeRuntime::AddPod(const std::string& id, const std::string& uid, const std::string& name,
                         const std::map<std::string, std::string>& labels) {
  {
    const std::lock_guard lock(mutex_);
    cri::PodSandbox& pod = pods_[id];
    pod.set_id(id);
    pod.mutable_metadata()->set_uid(uid);
    pod.mutable_metadata()->set_name(name);
    pod.mutable_metadata()->set_namespace_("shop");
    for (const auto& [key, value] : labels) (*pod.mutable_labels())[key] = value;
    (*pod.mutable_labels())["io.kubernetes.pod.name"] = name;
    (*pod.mutable_labels())["io.kubernetes.pod.namespace"] = "shop";
    (*pod.mutable_labels())["io.kubernetes.pod.uid"] = uid;
  }
  if (!quiet_) Tell("/tasks/start", id);
}

void FakeRuntime::AddContainer(const std::string& id, const std::string& pod,
                               const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    cri::Container& container = containers_[id];
    container.set_id(id);
    container.set_pod_sandbox_id(pod);
    container.mutable_metadata()->set_name(name);
    container.mutable_image()->set_image("docker.io/library/" + name + ":1");
    container.set_state(cri::CONTAINER_RUNNING);
  }
  if (!quiet_) Tell("/tasks/start", id);
}

void FakeRuntime::Exit(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto pod = pods_.find(id); pod != pods_.end()) {
      pod->second.set_state(cri::SANDBOX_NOTREADY);
    } else {
      containers_[id].set_state(cri::CONTAINER_EXITED);
    }
  }
  if (!quiet_) Tell("/tasks/exit", id);
}

void FakeRuntime::Remove(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    pods_.erase(id);
    containers_.erase(id);
  }
  if (!quiet_) Tell("/containers/delete", id);
}

void FakeRuntime::Tell(const std::string& topic, const std::string& id, const std::string& exec) {
  const std::lock_guard lock(mutex_);
  events_.push_back({topic, id, exec});
  changed_.notify_all();
}

void FakeRuntime::AwaitFollower() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return followers_ > 0; });
}

size_t FakeRuntime::BeginToFollow() {
  const std::lock_guard lock(mutex_);
  ++followers_;
  changed_.notify_all();
  return events_.size();
}

bool FakeRuntime::NextEvent(size_t number, Event& event, const std::function<bool()>& cancelled) {
  std::unique_lock lock(mutex_);
  while (!stopping_ && events_.size() <= number && !cancelled()) changed_.wait_for(lock, kLook);
  if (stopping_ || events_.size() <= number) {
    --followers_;
    return false;
  }
  event = events_[number];
  return true;
}

}  // namespace gatehouse::cri::testing
