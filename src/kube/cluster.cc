// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster.h"

namespace gatehouse::kube {

Cluster::Cluster(Config config, Timing timing, Random random)
    : config_(std::move(config)),
      timing_(timing),
      random_(std::move(random)),
      writer_(timing_, random_) {}

Cluster::~Cluster() {
  if (!thread_.joinable()) return;
  loop_->Stop();
  thread_.join();
}

void Cluster::Add(Resource resource, std::unique_ptr<Objects> objects) {
  reflectors_.push_back(std::make_unique<Reflector>(std::move(resource), timing_, random_,
                                                    std::move(objects), Clock::now()));
}

void Cluster::Start() {
  std::vector<Exchange*> exchanges{&writer_};
  for (const auto& reflector : reflectors_) exchanges.push_back(reflector.get());
  loop_ = std::make_unique<Loop>(config_, exchanges);
  thread_ = std::thread([this] { loop_->Run(); });
}

void Cluster::Write(Patch patch) {
  writer_.Put(std::move(patch));
  if (loop_) loop_->Wake();
}

std::vector<Health> Cluster::health() const {
  std::vector<Health> all;
  for (const auto& reflector : reflectors_) all.push_back(reflector->health());
  return all;
}

}  // namespace gatehouse::kube
