// SPDX-License-Identifier: Apache-2.0
// A ring buffer that nobody drains: events are lost and counted, verdicts stand.
#include <gmock/gmock.h>
#include <unistd.h>

#include "fixture.h"

namespace gatehouse::test {
namespace {

TEST(Loss, FullRingBufferLosesEventsButNoVerdict) {
  constexpr uint64_t kRuns = 200;
  kernel::Options options = DefaultOptions();
  options.ring_bytes = static_cast<uint32_t>(getpagesize());
  Gatehouse gatehouse(options);
  const Cgroup cgroup("app");
  ProgramTree programs;
  const std::string allowed = programs.Add("allowed"), denied = programs.Add("denied");
  (void)Must(gatehouse.AddWorkload(cgroup.path(), {}));
  Must(gatehouse.Apply(OneRule("one", {Object("NotIn", {allowed})}, {Override(EACCES)})));

  for (uint64_t run = 0; run < kRuns; ++run) {
    ASSERT_EQ(cgroup.Run(allowed), Allowed()) << run;
    ASSERT_EQ(cgroup.Run(denied), gatehouse.Denial(EACCES)) << run;
  }
  EXPECT_EQ(gatehouse.Hits("one"), kRuns) << "decisions are counted all the same";

  // What came and what was lost is everything that happened.
  uint64_t execs = 0, exits = 0, posted = 0;
  (void)Must(gatehouse.kernel().PollEvents(std::chrono::milliseconds(1000),
                                           [&](std::span<const std::byte> bytes) {
                                             const Event event = gatehouse.Read(bytes).at(0);
                                             execs += event.AsExec() != nullptr;
                                             exits += event.AsExit() != nullptr;
                                             posted += event.AsPolicy() != nullptr;
                                           }));
  EXPECT_GT(execs + exits + posted, 0);
  EXPECT_GT(gatehouse.Counter("events_lost_policy"), 0);
  EXPECT_GT(gatehouse.Counter("events_lost_exit"), 0);
  EXPECT_EQ(posted + gatehouse.Counter("events_lost_policy"), kRuns);
  EXPECT_EQ(exits + gatehouse.Counter("events_lost_exit"), 2 * kRuns);
  // Where the verdict comes behind the execve, or kills in the midst of it, denied programs may
  // have begun as well.
  EXPECT_GE(execs + gatehouse.Counter("events_lost_exec"), kRuns);
  EXPECT_LE(execs + gatehouse.Counter("events_lost_exec"), gatehouse.denies() ? kRuns : 2 * kRuns);

  // With room again, events come again.
  const Attempt attempt = cgroup.Try(denied);
  EXPECT_EQ(attempt.outcome, gatehouse.Denial(EACCES));
  bool seen = false;
  for (const Posted& one : gatehouse.TakePosted()) seen |= one.pid == attempt.pid;
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace gatehouse::test
