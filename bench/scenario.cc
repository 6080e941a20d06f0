// SPDX-License-Identifier: Apache-2.0
#include "scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace gatehouse::bench {
namespace {

constexpr uint32_t kSeed = 20'000;  // the same policies in every run

}  // namespace

std::string PathOf(uint32_t i) {
  return fmt::format("/opt/vendor-{:02}/product-{:03}/bin/tool-{:05}", i % 40, i % 400, i);
}

std::vector<Policy> MakePolicies(uint32_t count) {
  std::mt19937 random(kSeed);
  std::vector<uint32_t> strings(kStrings);
  std::iota(strings.begin(), strings.end(), 0);
  std::vector<Policy> policies;
  for (uint32_t number = 0; number < count; ++number) {
    std::vector<uint32_t> drawn;
    std::ranges::sample(strings, std::back_inserter(drawn), kValuesPerPolicy, random);
    Policy& policy = policies.emplace_back(Policy{number, {}});
    for (const uint32_t i : drawn) policy.allowed.push_back(PathOf(i));
  }
  return policies;
}

Cgroups::Cgroups(uint32_t count) : parent_("bench") {
  for (uint32_t number = 0; number < count; ++number) {
    workloads_.push_back(Workload{number, parent_.MakeChild("w" + std::to_string(number))});
  }
  unbound_ = parent_.MakeChild("unbound");
}

}  // namespace gatehouse::bench
