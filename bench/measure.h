// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "design.h"
#include "runner.h"

namespace gatehouse::bench {

/// What the command line says.
struct Settings {
  kernel::Backend backend = kernel::Backend::kLsm;
  /// The clock counts instructions: every run of the same takes the same, so few are enough.
  bool instructions = false;
  bool quick = false;
  std::string only_design;  ///< "": all

  [[nodiscard]] bool Wants(const DesignEntry& design) const {
    return only_design.empty() || only_design == design.name;
  }
  /// The number of policies that "many" means.
  [[nodiscard]] uint32_t ManyPolicies() const { return quick ? 1000 : 10'000; }
};

/// One kind of execution whose decision is measured.
struct Probe {
  const Runner* runner = nullptr;
  std::string program;
  bool allowed = true;
};

/// Time of a design's programs for one execution, as the kernel measures it: one number for each
/// round, in nanoseconds. Rounds in which somebody else on the machine executed a program are left
/// out. Error: an execution that did not end as `probe` says.
[[nodiscard]] Result<std::vector<double>> DecisionNs(Design& design, const Probe& probe,
                                                     const Settings& settings);

/// Executes once and tells whether it ended as `probe` says.
[[nodiscard]] Result<void> Check(Design& design, const Probe& probe);

/// Adds policies (and their workloads, before) until one is refused. Returns how many are in force
/// then, and why the next one is not.
struct Growth {
  uint32_t in_force = 0;
  std::string refusal;
};
[[nodiscard]] Growth Grow(Design& design, std::span<const Workload> workloads,
                          std::span<const Policy> policies);

}  // namespace gatehouse::bench
