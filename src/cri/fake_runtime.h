// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cri/containerd_events.grpc.pb.h"
#include "cri/runtime.grpc.pb.h"

namespace gatehouse::cri::testing {

/// The JSON of a verbose status, as containerd and CRI-O write it.
[[nodiscard]] std::string InfoText(const std::string& sandbox, const std::string& cgroups_path);

/// A container runtime without containers: it answers as one on a unix socket. Thread-safe.
class FakeRuntime {
 public:
  struct Behaviour {
    std::string name = "containerd";
    bool speaks_cri = true;
    bool containerd_events = true;
    bool cri_events = true;
    /// Called for each status asked for, before it is answered; may wait.
    std::function<void(const std::string& id)> before_status = [](const std::string&) {};
    /// May spoil what is answered about a container.
    std::function<void(runtime::v1::ContainerStatusResponse&)> spoil = [](auto&) {};
    std::function<void(runtime::v1::PodSandboxStatusResponse&)> spoil_sandbox = [](auto&) {};
    std::function<void(runtime::v1::ListContainersResponse&)> spoil_list = [](auto&) {};
  };

  explicit FakeRuntime(std::string socket) : FakeRuntime(std::move(socket), Behaviour()) {}
  FakeRuntime(std::string socket, Behaviour behaviour);
  FakeRuntime(const FakeRuntime&) = delete;
  FakeRuntime& operator=(const FakeRuntime&) = delete;
  ~FakeRuntime();

  /// A new server on the same socket, or the end of it: what runs stays.
  void Start();
  void Stop();

  // What happens to containers, told as events unless `quiet`.
  void AddPod(const std::string& id, const std::string& uid, const std::string& name,
              const std::map<std::string, std::string>& labels = {});
  void AddContainer(const std::string& id, const std::string& pod, const std::string& name);
  void Exit(const std::string& id);
  void Remove(const std::string& id);
  void set_quiet(bool quiet) { quiet_ = quiet; }

  /// An event that says no more than that; `topic` as containerd's.
  void Tell(const std::string& topic, const std::string& id, const std::string& exec = {});
  /// Waits until somebody follows events.
  void AwaitFollower();

  [[nodiscard]] int statuses_asked() const { return statuses_asked_; }
  [[nodiscard]] int asked_at_a_time() const { return asked_at_a_time_; }

 private:
  class Cri;
  class ContainerdEvents;
  struct Event {
    std::string topic;
    std::string id;
    std::string exec;
  };
  class Asked;

  /// The number of the first event that a new follower is told.
  size_t BeginToFollow();
  /// The event of that number; false when the server stops.
  bool NextEvent(size_t number, Event& event, const std::function<bool()>& cancelled);

  const std::string socket_;
  const Behaviour behaviour_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, runtime::v1::PodSandbox> pods_;
  std::map<std::string, runtime::v1::Container> containers_;
  std::vector<Event> events_;
  int followers_ = 0;
  bool stopping_ = false;
  std::atomic<bool> quiet_ = false;
  std::atomic<int> statuses_asked_ = 0;
  std::atomic<int> asking_ = 0;
  std::atomic<int> asked_at_a_time_ = 0;
  std::unique_ptr<Cri> cri_;
  std::unique_ptr<ContainerdEvents> containerd_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace gatehouse::cri::testing
