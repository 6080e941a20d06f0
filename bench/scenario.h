// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernel/testing/workload.h"

namespace gatehouse::bench {

/// A workload, and the policy of the same number, which is about it alone.
struct Workload {
  uint32_t number = 0;
  std::string cgroup;
};

/// An allow-list: the workload may run these programs and no others.
struct Policy {
  uint32_t number = 0;
  std::vector<std::string> allowed;
  bool of_patterns = false;  ///< `allowed` are globs; the baselines know none
};

inline constexpr uint32_t kStrings = 2000;
inline constexpr uint32_t kValuesPerPolicy = 50;

/// The path of a program that a policy might name: string `i` of those that policies draw from;
/// 41 bytes.
[[nodiscard]] std::string PathOf(uint32_t i);

/// Policies 0 to count - 1, each of kValuesPerPolicy values drawn from kStrings; the same with each
/// call.
[[nodiscard]] std::vector<Policy> MakePolicies(uint32_t count);

/// Real cgroups, one for each workload, empty; removed in the end.
class Cgroups {
 public:
  explicit Cgroups(uint32_t count);

  [[nodiscard]] const std::vector<Workload>& workloads() const { return workloads_; }
  /// A cgroup beside them that is no workload.
  [[nodiscard]] const std::string& unbound() const { return unbound_; }

 private:
  kernel::testing::Cgroup parent_;
  std::vector<Workload> workloads_;
  std::string unbound_;
};

}  // namespace gatehouse::bench
