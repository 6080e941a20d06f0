// SPDX-License-Identifier: Apache-2.0
#include "cri/engine.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "cri/engine_read.h"
#include "cri/read.h"

namespace gatehouse::cri {
namespace {

constexpr size_t kAskedMax = 4096;
constexpr int kTriesMax = 20;
constexpr std::chrono::milliseconds kRetry{100};
constexpr std::chrono::milliseconds kIdle{60'000};
constexpr long kOk = 200;
constexpr long kNotFound = 404;
// {"type":["container"],"event":["start","die","destroy","died","remove"]}: Docker's names, and
// those that podman calls two of them by.
constexpr const char* kEvents =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C%22die%"
    "22"
    "%2C%22destroy%22%2C%22died%22%2C%22remove%22%5D%7D";

std::string ReadFile(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

Result<std::string> GetBody(HttpClient& client, const std::string& path) {
  GH_ASSIGN(HttpAnswer answer, client.Get(path));
  if (answer.status == kOk) return std::move(answer.body);
  return Fail(ErrorCode::kSystem, path, "HTTP status " + std::to_string(answer.status));
}

}  // namespace

Engine::Engine(EngineOptions options, Consumer& consumer)
    : options_(std::move(options)), roster_(consumer) {
  health_.SetConnected(false);
  health_.Set([&](Health& health) {
    health.socket = options_.socket;
    health.follows = "engine events";
  });
  thread_ = std::thread([this] { Run(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (events_ != nullptr) events_->Wake();
    changed_.notify_all();
  }
  thread_.join();
}

void Engine::Ask(std::string id) {
  const std::lock_guard lock(mutex_);
  if (events_ == nullptr || asked_.size() >= kAskedMax) return;  // a list comes, or is asked for
  asked_.push_back(std::move(id));
  events_->Wake();
}

void Engine::Run() {
  auto delay = options_.reconnect;
  for (;;) {
    listed_ = false;
    const Error why = TalkTo();
    if (listed_) delay = options_.reconnect;
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    health_.SetConnected(false);
    health_.SetError(why.Message());
    changed_.wait_for(lock, delay, [&] { return stopping_; });
    if (stopping_) return;
    delay = std::min(delay * 2, options_.reconnect_max);
  }
}

Error Engine::TalkTo() {
  HttpClient client(options_.socket, options_.call);
  HttpLines events(options_.socket, kEvents, [this](std::string_view line) {
    const auto id = ReadEvent(line);
    if (id && questions_.size() < kContainersMax) questions_[*id] = 0;
  });
  {
    const std::lock_guard lock(mutex_);
    events_ = &events;
  }
  const auto followed = Follow(client, events);
  const std::lock_guard lock(mutex_);
  events_ = nullptr;
  return followed ? Error{} : followed.error();
}

Result<void> Engine::Follow(HttpClient& client, HttpLines& events) {
  roster_.Begin();
  questions_.clear();
  GH_ASSIGN(const std::string version_text, GetBody(client, "/version"));
  const EngineVersion version = ReadVersion(version_text);
  health_.SetConnected(true);
  health_.Set([&](Health& health) {
    health.runtime = version.name;
    health.version = version.version;
  });
  // The engine tells events from here on, so that nothing falls between them and the list.
  for (const auto end = Clock::now() + options_.call; !events.begun();) {
    if (Clock::now() >= end) return Fail(ErrorCode::kSystem, options_.socket, "tells no events");
    GH_TRY(events.Wait(options_.call));
  }
  GH_TRY(List(client));
  listed_ = true;
  while (TakeAsked()) {
    for (const auto& [id, tries] : std::exchange(questions_, {})) {
      GH_ASSIGN(const bool runs, Inspect(client, id));
      if (!runs && tries > 0) questions_[id] = tries - 1;
    }
    roster_.Complete();
    health_.Set([&](Health& health) {
      health.containers = roster_.known().size();
      health.synced = true;
    });
    GH_TRY(events.Wait(questions_.empty() ? kIdle : kRetry));
  }
  return {};
}

bool Engine::TakeAsked() {
  const std::lock_guard lock(mutex_);
  for (std::string& id : asked_) {
    if (IsId(id) && !roster_.known().contains(id) && questions_.size() < kContainersMax) {
      questions_[std::move(id)] = kTriesMax;
    }
  }
  asked_.clear();
  return !stopping_;
}

Result<void> Engine::List(HttpClient& client) {
  GH_ASSIGN(const std::string body, GetBody(client, "/containers/json"));
  GH_ASSIGN(const auto ids, ReadIds(body));
  for (const std::string& id : ids) questions_[id] = 0;
  for (const auto& [id, facts] : roster_.known()) questions_[id] = 0;
  return {};
}

Result<bool> Engine::Inspect(HttpClient& client, const std::string& id) {
  GH_ASSIGN(const HttpAnswer answer, client.Get("/containers/" + id + "/json"));
  if (answer.status == kNotFound) {
    roster_.Remove(id);
    return false;
  }
  auto inspected = answer.status == kOk ? ReadInspected(id, answer.body)
                                        : Fail(ErrorCode::kSystem, "container " + id,
                                               "HTTP status " + std::to_string(answer.status));
  if (!inspected) {
    Refuse(inspected.error());
    return true;
  }
  if (inspected->pid == 0) {
    roster_.Remove(id);
    return false;
  }
  auto cgroup =
      ReadCgroup(id, ReadFile(options_.proc + "/" + std::to_string(inspected->pid) + "/cgroup"),
                 options_.cgroup_root);
  if (!cgroup) {
    Refuse(cgroup.error());
    return true;
  }
  inspected->facts.cgroup = std::move(*cgroup);
  roster_.Put(std::move(inspected->facts));
  return true;
}

void Engine::Refuse(const Error& error) {
  health_.Set([](Health& health) { ++health.refused; });
  health_.SetError(error.Message());
}

}  // namespace gatehouse::cri
