// SPDX-License-Identifier: Apache-2.0
#include "cri/fake_engine.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace gatehouse::cri::testing {
namespace {

using nlohmann::json;

bool Write(const Fd& connection, const std::string& text) {
  return send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

std::string Response(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace

FakeEngine::FakeEngine(std::string socket) : socket_(std::move(socket)) {
  Answer("/version", R"({"Version":"20.10.1","Components":[{"Name":"Engine"}]})");
  Answer("/containers/json", "[]");
  Start();
}

FakeEngine::~FakeEngine() { Stop(); }

void FakeEngine::Start() {
  stopping_ = false;
  lines_.clear();
  listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_.c_str(), sizeof(address.sun_path) - 1);
  bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  listen(listener_.get(), SOMAXCONN);
  acceptor_ = std::thread([this] { Accept(); });
}

void FakeEngine::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    changed_.notify_all();
    shutdown(listener_.get(), SHUT_RDWR);
    for (const Fd& connection : connections_) shutdown(connection.get(), SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  connections_.clear();
  unlink(socket_.c_str());
}

void FakeEngine::Answer(const std::string& path, const std::string& body) {
  const std::lock_guard lock(mutex_);
  if (body.empty()) {
    answers_.erase(path);
  } else {
    answers_[path] = body;
  }
}

void FakeEngine::UpdateList() {
  std::string list;
  for (const auto& [id, element] : running_) list += (list.empty() ? "" : ",") + element;
  answers_["/containers/json"] = "[" + list + "]";
}

void FakeEngine::Put(const std::string& id, const std::string& name, pid_t pid, bool quiet) {
  const json inspected = {
      {"Id", id},
      {"Name", "/" + name},
      {"State", {{"Running", pid != 0}, {"Pid", pid}}},
      {"Config", {{"Image", "nginx:1"}, {"Labels", {{"app", name}, {"note", "has blanks"}}}}}};
  {
    const std::lock_guard lock(mutex_);
    answers_["/containers/" + id + "/json"] = inspected.dump();
    running_.erase(id);
    if (pid != 0) running_[id] = json{{"Id", id}}.dump();
    UpdateList();
  }
  if (quiet) return;
  Tell(json{{"Type", "container"},
            {"Action", pid == 0 ? "die" : "start"},
            {"Actor", {{"ID", id}, {"Attributes", {{"image", "nginx:1"}}}}}}
           .dump());
}

void FakeEngine::Remove(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    answers_.erase("/containers/" + id + "/json");
    running_.erase(id);
    UpdateList();
  }
  Tell(json{{"Type", "container"}, {"Action", "destroy"}, {"Actor", {{"ID", id}}}}.dump());
}

void FakeEngine::Tell(const std::string& line) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(line);
  changed_.notify_all();
}

void FakeEngine::Accept() {
  for (;;) {
    Fd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::lock_guard lock(mutex_);
    if (stopping_ || !accepted.valid()) return;
    const Fd& connection = connections_.emplace_back(std::move(accepted));
    threads_.emplace_back([this, &connection] { Serve(connection); });
  }
}

void FakeEngine::Serve(const Fd& connection) {
  std::string received;
  char buffer[4096];
  for (;;) {
    const ssize_t got = recv(connection.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return;
    received.append(buffer, static_cast<size_t>(got));
    if (!received.ends_with("\r\n\r\n")) continue;
    const size_t begin = received.find(' ') + 1;
    const std::string path = received.substr(begin, received.find(' ', begin) - begin);
    received.clear();
    if (path.starts_with("/events")) return ServeEvents(connection);
    std::string response = Response("404 Not Found", R"({"message":"no such container"})");
    {
      const std::lock_guard lock(mutex_);
      const auto found = answers_.find(path);
      if (found != answers_.end()) response = Response("200 OK", found->second);
    }
    if (!Write(connection, response)) return;
  }
}

void FakeEngine::ServeEvents(const Fd& connection) {
  std::unique_lock lock(mutex_);
  size_t told = lines_.size();
  if (!Write(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")) return;
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || told < lines_.size(); });
    if (stopping_) return;
    const std::string line = lines_[told++] + "\n";
    lock.unlock();
    if (!Write(connection, line)) return;
    lock.lock();
  }
}

}  // namespace gatehouse::cri::testing
