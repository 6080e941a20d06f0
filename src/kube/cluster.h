// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "kube/config.h"
#include "kube/loop.h"
#include "kube/reflector.h"
#include "kube/status_writer.h"

namespace gatehouse::kube {

/// The agent's connection to one cluster: what it watches, and what it writes. One thread, which
/// calls the consumers.
///
///     Cluster cluster(config);
///     cluster.Watch<PodFacts>(PodsOf(node), &ConvertPod, [&](Changes<PodFacts> changes) { … });
///     cluster.Start();
class Cluster {
 public:
  explicit Cluster(Config config, Timing timing = {}, Random random = SystemRandom());
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  /// Waits for a consumer that is at work; none is called any more then.
  ~Cluster();

  /// Before Start.
  template <typename T>
  void Watch(Resource resource, Converter<T> convert, Consumer<T> consume) {
    Add(std::move(resource), std::make_unique<Store<T>>(std::move(convert), std::move(consume)));
  }
  /// Begins to list and watch. Nothing is an error: what does not work is in the health, and tried
  /// again.
  void Start();

  /// Has it written, sooner or later. Any thread; also a consumer may call it.
  void Write(Patch patch);

  /// Of each resource, in the order of Watch. Any thread, after Start.
  [[nodiscard]] std::vector<Health> health() const;
  [[nodiscard]] StatusHealth status_health() const { return writer_.health(); }

 private:
  void Add(Resource resource, std::unique_ptr<Objects> objects);

  Config config_;
  const Timing timing_;
  const Random random_;
  StatusWriter writer_;
  std::vector<std::unique_ptr<Reflector>> reflectors_;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace gatehouse::kube
