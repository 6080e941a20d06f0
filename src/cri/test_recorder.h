// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cri/consumer.h"

namespace gatehouse::cri::testing {

/// Keeps what a consumer is told. Any thread.
class Recorder : public Consumer {
 public:
  using Known = std::map<std::string, workload::ContainerFacts>;

  void Synced(std::vector<workload::ContainerFacts> all) override {
    const std::lock_guard lock(mutex_);
    known_.clear();
    for (auto& facts : all) known_.emplace(facts.id, std::move(facts));
    ++synced_;
    changed_.notify_all();
  }
  void Put(workload::ContainerFacts facts) override {
    const std::lock_guard lock(mutex_);
    said_.push_back("put " + facts.id);
    known_.insert_or_assign(facts.id, std::move(facts));
    changed_.notify_all();
  }
  void Remove(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    said_.push_back("remove " + id);
    known_.erase(id);
    changed_.notify_all();
  }

  /// Waits until `done` of what is known; whether it came to that.
  [[nodiscard]] bool Await(const std::function<bool(const Known&)>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kWaitMax, [&] { return done(known_); });
  }
  [[nodiscard]] bool AwaitSynced(int times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kWaitMax, [&] { return synced_ >= times; });
  }
  [[nodiscard]] bool AwaitIds(const std::vector<std::string>& ids) {
    return Await([&](const Known& known) {
      std::vector<std::string> have;
      for (const auto& [id, facts] : known) have.push_back(id);
      return have == ids;
    });
  }
  [[nodiscard]] Known known() {
    const std::lock_guard lock(mutex_);
    return known_;
  }
  /// Each Put and Remove: "put ID", "remove ID".
  [[nodiscard]] std::vector<std::string> said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }

 private:
  static constexpr std::chrono::seconds kWaitMax{60};  // far beyond what any machine needs

  std::mutex mutex_;
  std::condition_variable changed_;
  Known known_;
  std::vector<std::string> said_;
  int synced_ = 0;
};

}  // namespace gatehouse::cri::testing
