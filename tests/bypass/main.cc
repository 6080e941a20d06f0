// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <cstdlib>

namespace gatehouse::bypass {
namespace {

INSTANTIATE_TEST_SUITE_P(Under, Way, ::testing::ValuesIn(Policies()),
                         [](const auto& test) { return PolicyName(test.param); });

std::vector<Policy> PoliciesInVirtualMachine() {
  return std::getenv("GATEHOUSE_VM") == nullptr ? std::vector<Policy>() : Policies();
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MachineWay);
INSTANTIATE_TEST_SUITE_P(Under, MachineWay, ::testing::ValuesIn(PoliciesInVirtualMachine()),
                         [](const auto& test) { return PolicyName(test.param); });

}  // namespace
}  // namespace gatehouse::bypass
