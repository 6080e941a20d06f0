// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "bind/resolver.h"
#include "compile/strings.h"
#include "kernel/kernel.h"
#include "policy/model.h"
#include "scenario.h"

namespace gatehouse::bench {

/// The product without daemon: resolver, image and kernel programs. Workloads are pods, each with a
/// label of its own that policies select it by. Not thread-safe.
class Engine {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Engine>> Start(const kernel::Options& options) {
    auto engine = std::make_unique<Engine>();
    GH_ASSIGN(engine->kernel_, kernel::Load(options, engine->strings_));
    return engine;
  }

  [[nodiscard]] kernel::Kernel& kernel() const { return *kernel_; }

  /// One change, carried to the kernel; on error nothing has changed.
  template <typename Make>
  [[nodiscard]] Result<void> Change(Make make) {
    bind::Resolver::Transaction transaction = resolver_.Begin();
    GH_TRY(make(transaction));
    GH_ASSIGN(const bind::Delta delta, transaction.Stage());
    GH_TRY(kernel_->Apply(delta));
    transaction.Commit();
    return {};
  }

  static bind::WorkloadId IdOf(uint32_t workload) { return workload + 1; }  // 0 is the host
  /// Selects the workload of that number.
  [[nodiscard]] static policy::WorkloadSelector Selecting(uint32_t workload);

  [[nodiscard]] Result<void> AddWorkloads(std::span<const Workload> workloads);
  void RemoveWorkloads(std::span<const Workload> workloads);

  /// Ids of the gate programs that are attached, each once: several hooks can share one.
  [[nodiscard]] std::vector<uint32_t> GatePrograms() const;

 private:
  compile::StringPool strings_;
  compile::ValueSets sets_{strings_};
  bind::Resolver resolver_{sets_, {}};
  std::unique_ptr<kernel::Kernel> kernel_;
};

}  // namespace gatehouse::bench
