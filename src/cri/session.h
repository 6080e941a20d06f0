// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cri/calls.h"
#include "cri/containerd_events.grpc.pb.h"
#include "cri/health.h"
#include "cri/read.h"
#include "cri/roster.h"
#include "cri/runtime.grpc.pb.h"

namespace gatehouse::cri {

struct Pace {
  std::chrono::milliseconds call{5000};  ///< longest that the runtime may take for an answer
  std::chrono::milliseconds patience{
      1000};  ///< what takes longer at first is told when it is known
  /// After the first list one more, in case that something began between it and the first event.
  std::chrono::milliseconds second_list{1000};
  std::chrono::milliseconds relist{30'000};  ///< lists in between, in case that an event was lost
  std::chrono::milliseconds listing{1000};   ///< the same where the runtime tells no events
  std::chrono::milliseconds retry{20};  ///< first of the waits for what is not there yet; doubled
  std::chrono::milliseconds reconnect{100};  ///< first of the waits for the runtime; doubled
  std::chrono::milliseconds reconnect_max{5000};
};

/// One connection to a runtime, from the first call until it is lost.
///
/// Events and lists only say which container to ask about; what is told follows from the answer. So
/// it does not matter in which order they come, whether some are missing or are told twice.
class Session {
 public:
  /// The references must outlive the session; the thread that calls Run is the only one to use
  /// `roster`.
  Session(const std::string& socket, std::string cgroup_root, const Pace& pace, Roster& roster,
          HealthBoard& health);

  /// Talks to the runtime until the connection is lost, or Stop. Returns why it ended.
  [[nodiscard]] Error Run();
  /// Whether the runtime speaks CRI, and whether it has told what runs. After Run.
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool listed() const { return listed_; }

  /// Something is said to run by this id: a container or a sandbox. Any thread.
  void Ask(std::string id);
  /// Any thread.
  void Stop();

 private:
  using Clock = Calls::Clock;
  /// What an event lets expect of the answer: while the answer says otherwise it may be early.
  enum class Expect { kNothing, kThere, kGone };
  struct Question {
    Expect expect = Expect::kNothing;
    int tries = 0;
    Clock::time_point due;
    bool asked = false;  ///< an answer is awaited
    bool again = false;  ///< something happened since it was asked
  };

  // session.cc: the life of the connection
  void Step();
  void TakeAsked();
  void OnVersion(const grpc::Status& status, const runtime::v1::VersionResponse& response);
  void Follow();
  void FollowContainerd();
  void FollowEvents();
  void OnFollowEnd(const grpc::Status& status);
  void OnContainerdEvent(const containerd::services::events::v1::Envelope& envelope);
  void List();
  void OnLists();
  void Lost(const std::string& what, const grpc::Status& status);
  void Refuse(const Error& error);

  // questions.cc: what is asked about one container
  void Note(const std::string& id, Expect expect);
  void Schedule(const std::string& id, Question& question, Clock::time_point due);
  void AskDue();
  void AskContainer(const std::string& id);
  void AskSandbox(const std::string& id);
  void OnContainer(const std::string& id, const grpc::Status& status,
                   const runtime::v1::ContainerStatusResponse& response);
  void OnSandbox(const std::string& id, const grpc::Status& status,
                 const runtime::v1::PodSandboxStatusResponse& response);
  Result<void> TakeContainer(const std::string& id,
                             const runtime::v1::ContainerStatusResponse& response);
  Result<void> TakeSandbox(const std::string& id,
                           const runtime::v1::PodSandboxStatusResponse& response);
  void RefuseAnswer(const std::string& id, const Error& error);
  /// Ends a question, or asks it again if something happened since; `early`: or if it may be early.
  void Settle(const std::string& id, bool early);

  const std::string socket_;
  const std::string cgroup_root_;
  const Pace pace_;
  Roster& roster_;
  HealthBoard& health_;

  std::unique_ptr<runtime::v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<containerd::services::events::v1::Events::Stub> containerd_;
  bool connected_ = false;
  std::optional<Error> ended_;
  std::string runtime_name_;

  std::chrono::milliseconds relist_every_;
  Clock::time_point relist_due_ = Clock::time_point::max();  // max: a list is under way
  std::optional<runtime::v1::ListPodSandboxResponse> sandbox_list_;
  std::optional<runtime::v1::ListContainersResponse> container_list_;
  bool listed_ = false;
  Clock::time_point
      complete_due_;  // from then on the first list's missing answers are not waited for

  /// Pods that have been told of, by sandbox: as ReadSandbox makes them.
  std::unordered_map<std::string, workload::ContainerFacts> sandboxes_;
  std::unordered_map<std::string, Question> questions_;
  std::set<std::pair<Clock::time_point, std::string>> due_;  // questions that are to be asked
  size_t asked_ = 0;
  std::unordered_set<std::string> first_;    // of the first list, without an answer yet
  std::unordered_set<std::string> refused_;  // not to be asked about again because of a list
  /// Containers that wait for their sandbox to be told.
  std::unordered_map<std::string, std::vector<std::string>> waiting_;

  std::mutex mutex_;
  std::deque<std::string> to_ask_;  // guarded by mutex_
  std::atomic<bool> stopping_ = false;

  Calls calls_;  // last: what it calls uses all of the above
};

}  // namespace gatehouse::cri
