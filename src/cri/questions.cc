// SPDX-License-Identifier: Apache-2.0
// What is asked about one container, and what follows from the answer.
#include <utility>

#include "cri/session.h"

namespace gatehouse::cri {
namespace {

using runtime::v1::RuntimeService;

/// Calls at a time: enough to keep a runtime's threads busy, too few to be a load.
constexpr size_t kAskedMax = 64;
constexpr int kTriesMax = 8;  // over 5 s with the default pace

bool Running(runtime::v1::ContainerState state) {
  return state == runtime::v1::CONTAINER_CREATED || state == runtime::v1::CONTAINER_RUNNING;
}

tl::unexpected<Error> AnotherId(const std::string& id) {
  return Fail(ErrorCode::kInvalid, "container " + id, "the answer is about another one");
}

}  // namespace

void Session::Note(const std::string& id, Expect expect) {
  if (!IsId(id)) {
    return Refuse({ErrorCode::kInvalid, "event", "has \"" + Printable(id) + "\" for an id", {}});
  }
  if (questions_.size() >= 2 * kContainersMax && !questions_.contains(id)) {
    return;  // the next list tells it
  }
  Question& question = questions_[id];
  question.expect = expect;
  question.tries = 0;
  refused_.erase(id);
  if (question.asked) {
    question.again = true;
  } else {
    Schedule(id, question, Clock::now());
  }
}

void Session::Schedule(const std::string& id, Question& question, Clock::time_point due) {
  due_.erase({question.due, id});
  question.due = due;
  due_.emplace(due, id);
}

void Session::AskDue() {
  const auto now = Clock::now();
  while (asked_ < kAskedMax && !due_.empty() && due_.begin()->first <= now) {
    const std::string id = due_.begin()->second;
    due_.erase(due_.begin());
    Question& question = questions_.at(id);
    question.asked = true;
    question.again = false;
    ++asked_;
    if (sandboxes_.contains(id)) {
      AskSandbox(id);
    } else {
      AskContainer(id);
    }
  }
}

void Session::AskContainer(const std::string& id) {
  runtime::v1::ContainerStatusRequest request;
  request.set_container_id(id);
  request.set_verbose(!roster_.known().contains(id));
  using Response = runtime::v1::ContainerStatusResponse;
  calls_.Ask(*runtime_, &RuntimeService::Stub::PrepareAsyncContainerStatus, request, pace_.call,
             [this, id](const grpc::Status& status, const Response& response) {
               OnContainer(id, status, response);
             });
}

void Session::AskSandbox(const std::string& id) {
  runtime::v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  request.set_verbose(!roster_.known().contains(id));
  using Response = runtime::v1::PodSandboxStatusResponse;
  calls_.Ask(*runtime_, &RuntimeService::Stub::PrepareAsyncPodSandboxStatus, request, pace_.call,
             [this, id](const grpc::Status& status, const Response& response) {
               OnSandbox(id, status, response);
             });
}

void Session::OnContainer(const std::string& id, const grpc::Status& status,
                          const runtime::v1::ContainerStatusResponse& response) {
  // What it is, only the answer tells: it may be a sandbox.
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return AskSandbox(id);
  --asked_;
  const Expect expect = questions_.at(id).expect;
  if (!status.ok()) {
    health_.SetError("container " + id + ": " + Printable(status.error_message()));
    return Settle(id, /*early=*/true);
  }
  if (response.status().id() == id && !Running(response.status().state())) {
    roster_.Remove(id);
    return Settle(id, /*early=*/false);
  }
  if (auto taken = TakeContainer(id, response); !taken) {
    RefuseAnswer(id, taken.error());
    return Settle(id, /*early=*/false);
  }
  Settle(id, expect == Expect::kGone);
}

void Session::OnSandbox(const std::string& id, const grpc::Status& status,
                        const runtime::v1::PodSandboxStatusResponse& response) {
  --asked_;
  const Expect expect = questions_.at(id).expect;
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    roster_.Remove(id);
    sandboxes_.erase(id);
    return Settle(id, expect == Expect::kThere);
  }
  if (!status.ok()) {
    health_.SetError("sandbox " + id + ": " + Printable(status.error_message()));
    return Settle(id, /*early=*/true);
  }
  if (auto taken = TakeSandbox(id, response); !taken) {
    RefuseAnswer(id, taken.error());
    return Settle(id, /*early=*/false);
  }
  // A sandbox that is told of before it is ready is asked about again, as one that ends too late.
  const bool ready = response.status().state() == runtime::v1::SANDBOX_READY;
  Settle(id, expect == (ready ? Expect::kGone : Expect::kThere));
}

Result<void> Session::TakeContainer(const std::string& id,
                                    const runtime::v1::ContainerStatusResponse& response) {
  if (response.status().id() != id) return AnotherId(id);
  if (roster_.known().contains(id)) return {};  // nothing of it changes but whether it runs
  GH_ASSIGN(const Info info, ReadInfo(response.info()));
  const auto sandbox = sandboxes_.find(info.sandbox);
  if (sandbox == sandboxes_.end()) {
    if (!IsId(info.sandbox)) {
      return Fail(ErrorCode::kInvalid, "container " + id, "the runtime does not tell its sandbox");
    }
    if (!questions_.contains(info.sandbox)) Note(info.sandbox, Expect::kNothing);
    if (questions_.contains(info.sandbox)) waiting_[info.sandbox].push_back(id);
    return {};
  }
  GH_ASSIGN(auto facts, ReadContainer(response.status(), sandbox->second));
  GH_ASSIGN(facts, Finish(std::move(facts), cgroup_root_, info.cgroups_path));
  if (roster_.known().size() >= kContainersMax) {
    return Fail(ErrorCode::kRefused, "container " + id, "there are too many containers");
  }
  roster_.Put(std::move(facts));
  return {};
}

Result<void> Session::TakeSandbox(const std::string& id,
                                  const runtime::v1::PodSandboxStatusResponse& response) {
  const auto& status = response.status();
  if (status.id() != id) return AnotherId(id);
  if (status.state() != runtime::v1::SANDBOX_READY) roster_.Remove(id);
  if (roster_.known().contains(id)) return {};
  GH_ASSIGN(auto facts, ReadSandbox(id, status.metadata(), status.labels()));
  if (!sandboxes_.contains(id) && sandboxes_.size() >= kContainersMax) {
    return Fail(ErrorCode::kRefused, "sandbox " + id, "there are too many sandboxes");
  }
  sandboxes_.insert_or_assign(id, facts);
  if (const auto waiting = waiting_.extract(id)) {
    for (const std::string& container : waiting.mapped()) Note(container, Expect::kNothing);
  }
  if (status.state() != runtime::v1::SANDBOX_READY) return {};
  GH_ASSIGN(Info info, ReadInfo(response.info()));
  if (info.cgroups_path.empty()) return {};  // a pod needs no process to hold its namespaces
  facts.image = std::move(info.image);
  GH_ASSIGN(facts, Finish(std::move(facts), cgroup_root_, info.cgroups_path));
  if (roster_.known().size() >= kContainersMax) {
    return Fail(ErrorCode::kRefused, "sandbox " + id, "there are too many containers");
  }
  roster_.Put(std::move(facts));
  return {};
}

void Session::RefuseAnswer(const std::string& id, const Error& error) {
  if (refused_.size() < kContainersMax) refused_.insert(id);
  Refuse(error);
}

void Session::Settle(const std::string& id, bool early) {
  first_.erase(id);
  waiting_.erase(id);
  const auto found = questions_.find(id);
  Question& question = found->second;
  question.asked = false;
  if (question.again) {
    Schedule(id, question, Clock::now());
  } else if (early && question.tries < kTriesMax) {
    Schedule(id, question, Clock::now() + pace_.retry * (1 << question.tries++));
  } else {
    questions_.erase(found);
  }
}

}  // namespace gatehouse::cri
