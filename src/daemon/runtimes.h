// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cri/engine.h"
#include "cri/source.h"
#include "daemon/containers.h"
#include "daemon/source_health.h"

namespace gatehouse::daemon {

struct RuntimeOptions {
  bool cri = false;                      ///< ask a runtime of Kubernetes'
  std::vector<std::string> cri_sockets;  ///< empty: where they usually are
  std::vector<std::string> engines;      ///< sockets of Docker's or podman's API
  std::string cgroup_root;
};

/// The runtimes of containers that are asked, each by a thread of its own, and what they say put
/// into the inventory.
class Runtimes {
 public:
  /// Begins at once. `containers` must outlive this.
  Runtimes(const RuntimeOptions& options, Containers& containers);
  Runtimes(const Runtimes&) = delete;
  Runtimes& operator=(const Runtimes&) = delete;
  ~Runtimes();

  /// Of each that is asked. Any thread.
  [[nodiscard]] std::vector<SourceHealth> health() const;

 private:
  class Listener;

  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<cri::Source> cri_;
  std::vector<std::unique_ptr<cri::Engine>> engines_;
};

}  // namespace gatehouse::daemon
