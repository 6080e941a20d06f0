// SPDX-License-Identifier: Apache-2.0
#include "daemon/runtimes.h"

#include <utility>

namespace gatehouse::daemon {

using workload::ContainerFacts;
using workload::Inventory;
using workload::Teller;

namespace {

SourceHealth HealthOf(const char* kind, const cri::Health& health) {
  return {.kind = kind,
          .name = health.runtime + (health.version.empty() ? "" : " " + health.version),
          .endpoint = health.socket,
          .state = health.connected ? "connected" : "away",
          .since = health.since,
          .objects = health.containers,
          .refused = health.refused,
          .last_error = health.last_error,
          .last_error_at = health.last_error_at};
}

}  // namespace

/// Puts what is told into the inventory. What runs no more ends with its cgroup, which the agent
/// sees: until then, processes may be left in it.
class Runtimes::Listener final : public cri::Consumer {
 public:
  Listener(Teller teller, Containers& containers) : teller_(teller), containers_(containers) {}

  void Synced(std::vector<ContainerFacts> all) override {
    containers_.Change([&](Inventory& inventory) {
      for (ContainerFacts& facts : all) inventory.Put(teller_, std::move(facts));
    });
  }
  void Put(ContainerFacts facts) override {
    containers_.Change([&](Inventory& inventory) { inventory.Put(teller_, std::move(facts)); });
  }
  void Remove(const std::string&) override {}

 private:
  const Teller teller_;
  Containers& containers_;
};

Runtimes::Runtimes(const RuntimeOptions& options, Containers& containers) {
  if (options.cri) {
    cri::SourceOptions source{.cgroup_root = options.cgroup_root};
    if (!options.cri_sockets.empty()) source.sockets = options.cri_sockets;
    listeners_.push_back(std::make_unique<Listener>(Teller::kRuntime, containers));
    cri_ = std::make_unique<cri::Source>(std::move(source), *listeners_.back());
  }
  for (const std::string& socket : options.engines) {
    listeners_.push_back(std::make_unique<Listener>(Teller::kEngine, containers));
    engines_.push_back(std::make_unique<cri::Engine>(
        cri::EngineOptions{.socket = socket, .cgroup_root = options.cgroup_root},
        *listeners_.back()));
  }
}

Runtimes::~Runtimes() = default;

std::vector<SourceHealth> Runtimes::health() const {
  std::vector<SourceHealth> all;
  if (cri_) all.push_back(HealthOf("cri", cri_->health()));
  for (const auto& engine : engines_) all.push_back(HealthOf("engine", engine->health()));
  return all;
}

}  // namespace gatehouse::daemon
