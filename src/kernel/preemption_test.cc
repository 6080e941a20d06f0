// SPDX-License-Identifier: Apache-2.0
#include "kernel/preemption.h"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse::kernel {
namespace {

constexpr char kDynamic[] = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-10-01)";

/// Of a kernel that tells nothing but its version.
PreemptionFacts FactsOf(const std::string& version) {
  PreemptionFacts facts;
  facts.version = version;
  return facts;
}

TEST(PreemptionTest, DebugfsKnowsBest) {
  PreemptionFacts facts = FactsOf(kDynamic);
  facts.debugfs = "none voluntary (full) \n";
  facts.cmdline = "preempt=none";
  EXPECT_TRUE(IsFullyPreemptible(facts));
  facts.debugfs = "none (voluntary) full\n";
  facts.cmdline = "preempt=full";
  EXPECT_FALSE(IsFullyPreemptible(facts));
  facts.debugfs = "full (lazy)\n";
  EXPECT_TRUE(IsFullyPreemptible(facts));
}

TEST(PreemptionTest, ThenTheCommandLineThenTheConfiguration) {
  PreemptionFacts facts = FactsOf(kDynamic);
  facts.cmdline = "quiet preempt=full ro\n";
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
  PreemptionFacts facts = FactsOf("#1 SMP Debian 5.10.1");
  facts.cmdline = "preempt=full";
  EXPECT_FALSE(IsFullyPreemptible(facts));
  EXPECT_TRUE(IsFullyPreemptible(FactsOf("#1 SMP PREEMPT Wed")));
  EXPECT_TRUE(IsFullyPreemptible(FactsOf("#1 SMP PREEMPT_RT Wed")));
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
