// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

namespace gatehouse::bypass {
namespace {

INSTANTIATE_TEST_SUITE_P(Under, Way, ::testing::ValuesIn(Policies()),
                         [](const auto& test) { return PolicyName(test.param); });

}  // namespace
}  // namespace gatehouse::bypass
