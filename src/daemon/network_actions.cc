// SPDX-License-Identifier: Apache-2.0
#include "daemon/network_actions.h"

#include <curl/curl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace gatehouse::daemon {
namespace {

constexpr size_t kWaitingMax = 256;
constexpr long kTimeoutMs = 5000;

size_t Drop(char* /*data*/, size_t size, size_t count, void* /*context*/) { return size * count; }

bool GetUrl(const std::string& url) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 &curl_easy_cleanup);
  if (!curl) return false;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "gatehouse/" GATEHOUSE_VERSION);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Drop);
  return curl_easy_perform(curl.get()) == CURLE_OK;
}

bool LookUp(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

}  // namespace

struct NetworkActions::State {
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<policy::NetworkAction> waiting;
  NetworkActionCounts counts;
  bool stopping = false;
};

NetworkActions::NetworkActions() : state_(std::make_shared<State>()) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::thread([state = state_] { Run(state); }).detach();
}

NetworkActions::~NetworkActions() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->counts.lost += state_->waiting.size();
  state_->waiting.clear();
  state_->changed.notify_all();
}

void NetworkActions::Ask(const policy::NetworkAction& action) {
  const std::lock_guard lock(state_->mutex);
  if (state_->waiting.size() >= kWaitingMax) {
    ++state_->counts.lost;
    return;
  }
  state_->waiting.push_back(action);
  state_->changed.notify_one();
}

NetworkActionCounts NetworkActions::counts() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counts;
}

void NetworkActions::Run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->stopping || !state->waiting.empty(); });
    if (state->stopping) return;
    const policy::NetworkAction action = std::move(state->waiting.front());
    state->waiting.pop_front();
    lock.unlock();
    const bool done =
        action.kind == policy::ActionKind::kGetUrl ? GetUrl(action.target) : LookUp(action.target);
    lock.lock();
    ++(done ? state->counts.done : state->counts.failed);
  }
}

}  // namespace gatehouse::daemon
