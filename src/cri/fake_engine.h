// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace gatehouse::cri::testing {

/// Answers as Docker does on a unix socket: version, list, inspect, events. Thread-safe.
class FakeEngine {
 public:
  explicit FakeEngine(std::string socket);
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;
  ~FakeEngine();

  void Start();
  void Stop();

  /// What is answered to `GET path`, as it is; "" takes it away.
  void Answer(const std::string& path, const std::string& body);
  /// A container that runs, or one that does not with pid 0; told as an event unless `quiet`.
  void Put(const std::string& id, const std::string& name, pid_t pid, bool quiet = false);
  void Remove(const std::string& id);
  /// A line of the answer to /events.
  void Tell(const std::string& line);

 private:
  void Accept();
  void Serve(const Fd& connection);
  void ServeEvents(const Fd& connection);
  void UpdateList();  // mutex_ held

  const std::string socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::map<std::string, std::string> answers_;  // by path
  std::map<std::string, std::string> running_;  // id -> its element in the list
  std::vector<std::string> lines_;
  Fd listener_;
  std::list<Fd> connections_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace gatehouse::cri::testing
