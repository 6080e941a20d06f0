// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"
#include "scenario.h"

namespace gatehouse::bench {

/// What every benchmark asks of every design: workloads, and a policy about each. When it is
/// destroyed nothing of it is left in the kernel. After an error the policies that were there
/// before are still there; of those in the call some may be. Not thread-safe.
class Design {
 public:
  virtual ~Design() = default;

  [[nodiscard]] virtual const char* name() const = 0;
  /// False if one policy too many is to be expected: they are added one by one then.
  [[nodiscard]] virtual bool takes_many() const { return true; }

  [[nodiscard]] virtual Result<void> AddWorkloads(std::span<const Workload> workloads) = 0;
  virtual void RemoveWorkloads(std::span<const Workload> workloads) = 0;

  /// The workloads are there already. Afterwards the policies are enforced.
  [[nodiscard]] virtual Result<void> AddPolicies(std::span<const Policy> policies) = 0;
  [[nodiscard]] virtual Result<void> ReplacePolicy(const Policy& policy) = 0;
  [[nodiscard]] virtual Result<void> RemovePolicies(std::span<const Policy> policies) = 0;

  /// Ids of the programs that are attached to the exec hook.
  [[nodiscard]] virtual std::vector<uint32_t> GatePrograms() const = 0;
  /// Takes out what events there are, so that there is room for more.
  virtual void DrainEvents() {}
};

struct DesignOptions {
  kernel::Backend backend = kernel::Backend::kLsm;
  /// Ours only; the baselines have no events.
  kernel::BaseEvents base_events = kernel::BaseEvents::kAll;
  /// Ours only: an event of the policy for each denial.
  bool post_denials = false;
};

/// The product: resolver, image and kernel programs, without daemon.
[[nodiscard]] Result<std::unique_ptr<Design>> StartGatehouse(const DesignOptions& options);
/// baseline_per_policy.bpf.c
[[nodiscard]] Result<std::unique_ptr<Design>> StartPerPolicy(const DesignOptions& options);
/// baseline_inner_map.bpf.c
[[nodiscard]] Result<std::unique_ptr<Design>> StartInnerMap(const DesignOptions& options);
/// baseline_empty.bpf.c; it takes no policies.
[[nodiscard]] Result<std::unique_ptr<Design>> StartEmpty(const DesignOptions& options);

using StartDesign = Result<std::unique_ptr<Design>> (*)(const DesignOptions&);

/// A design that benchmarks go through, and up to how many policies it is worth trying.
struct DesignEntry {
  const char* name;
  StartDesign start;
  uint32_t policies_max;
};

/// Ours first. The baselines are tried up to 1,000 policies: each one more of them waits for the
/// kernel (a program is loaded, an inner map is replaced), and costs what the one before it did.
inline constexpr DesignEntry kDesigns[] = {
    {"gatehouse", StartGatehouse, UINT32_MAX},
    {"program per policy", StartPerPolicy, 1000},
    {"inner map per policy", StartInnerMap, 1000},
};

}  // namespace gatehouse::bench
