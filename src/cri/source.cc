// SPDX-License-Identifier: Apache-2.0
#include "cri/source.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace gatehouse::cri {
namespace {

bool IsSocket(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

std::vector<std::string> DefaultSockets() {
  return {"/run/containerd/containerd.sock", "/run/crio/crio.sock"};
}

Source::Source(SourceOptions options, Consumer& consumer)
    : options_(std::move(options)), roster_(consumer) {
  health_.SetConnected(false);
  thread_ = std::thread([this] { Run(); });
}

Source::~Source() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (session_ != nullptr) session_->Stop();
    changed_.notify_all();
  }
  thread_.join();
}

void Source::Ask(std::string id) {
  const std::lock_guard lock(mutex_);
  if (session_ != nullptr) session_->Ask(std::move(id));
}

void Source::Run() {
  auto delay = options_.pace.reconnect;
  for (;;) {
    answered_ = false;
    listed_ = false;
    Attempt();
    if (listed_) delay = options_.pace.reconnect;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, delay, [&] { return stopping_; });
    if (stopping_) return;
    delay = std::min(delay * 2, options_.pace.reconnect_max);
  }
}

void Source::Attempt() {
  bool found = false;
  for (const std::string& socket : options_.sockets) {
    if (!IsSocket(socket)) continue;
    found = true;
    TalkTo(socket);
    if (answered_) return;
  }
  if (!found) health_.SetError("no container runtime listens at its socket");
}

void Source::TalkTo(const std::string& socket) {
  health_.Set([&](Health& health) { health.socket = socket; });
  Session session(socket, options_.cgroup_root, options_.pace, roster_, health_);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    session_ = &session;
  }
  const Error why = session.Run();
  {
    const std::lock_guard lock(mutex_);
    session_ = nullptr;
    if (stopping_) return;
  }
  answered_ = session.connected();
  listed_ = session.listed();
  health_.SetConnected(false);
  health_.SetError(why.Message());
}

}  // namespace gatehouse::cri
