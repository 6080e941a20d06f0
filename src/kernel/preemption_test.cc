// SPDX-License-Identifier: Apache-2.0
#include "kernel/preemption.h"

#include <gtest/gtest.h>

namespace gatehouse::kernel {
namespace {

constexpr char kDynamic[] = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-10-01)";

TEST(PreemptionTest, DebugfsKnowsBest) {
  PreemptionFacts facts{.debugfs = "none voluntary (full) \n",
                        .cmdline = "preempt=none",
                        .config = {},
                        .version = kDynamic,
                        .release = "6.12.1"};
  EXPECT_TRUE(IsFullyPreemptible(facts));
  facts.debugfs = "none (voluntary) full\n";
  facts.cmdline = "preempt=full";
  EXPECT_FALSE(IsFullyPreemptible(facts));
  facts.debugfs = "full (lazy)\n";
  EXPECT_TRUE(IsFullyPreemptible(facts));
}

TEST(PreemptionTest, ThenTheCommandLineThenTheConfiguration) {
  PreemptionFacts facts{.debugfs = {},
                        .cmdline = "quiet preempt=full ro\n",
                        .config = {},
                        .version = kDynamic,
                        .release = "6.12.1"};
  EXPECT_TRUE(IsFullyPreemptible(facts));
  facts.cmdline = "preempt=voluntary";
  facts.config = "CONFIG_PREEMPT=y\n";
  EXPECT_FALSE(IsFullyPreemptible(facts));
  facts.cmdline = "quiet";
  EXPECT_TRUE(IsFullyPreemptible(facts));
  facts.config = "# CONFIG_PREEMPT is not set\nCONFIG_PREEMPT_VOLUNTARY=y\n";
  EXPECT_FALSE(IsFullyPreemptible(facts));
}

TEST(PreemptionTest, KernelsWithoutAChoice) {
  PreemptionFacts facts{.debugfs = {},
                        .cmdline = "preempt=full",
                        .config = {},
                        .version = "#1 SMP Debian 5.10.1",
                        .release = "5.10.0"};
  EXPECT_FALSE(IsFullyPreemptible(facts));
  facts.version = "#1 SMP PREEMPT Wed";
  EXPECT_TRUE(IsFullyPreemptible(facts));
  facts.version = "#1 SMP PREEMPT_RT Wed";
  EXPECT_TRUE(IsFullyPreemptible(facts));
}

TEST(PreemptionTest, WhichProgramsAreLeftOut) {
  EXPECT_FALSE(SkipsWhenPreempted(Backend::kFmodRet, "5.10.0-30-cloud-amd64"));
  EXPECT_TRUE(SkipsWhenPreempted(Backend::kFmodRet, "5.12.0"));
  EXPECT_TRUE(SkipsWhenPreempted(Backend::kFmodRet, "6.12.117+deb12-cloud-amd64"));
  EXPECT_TRUE(SkipsWhenPreempted(Backend::kLsm, "6.1.0-40-cloud-amd64"));
  EXPECT_FALSE(SkipsWhenPreempted(Backend::kLsm, "6.2.0"));
  EXPECT_FALSE(SkipsWhenPreempted(Backend::kLsm, "7.0.1"));
  EXPECT_FALSE(SkipsWhenPreempted(Backend::kSignal, "6.1.0"));
}

}  // namespace
}  // namespace gatehouse::kernel
