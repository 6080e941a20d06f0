// SPDX-License-Identifier: Apache-2.0
// Many processes of two workloads on one CPU: what a program of one was doing when it was preempted
// must never show in an event or a verdict of the other.
#include <gmock/gmock.h>

#include "fixture.h"
#include "settings.h"
#include "workers.h"

namespace gatehouse::test {
namespace {

constexpr int kCpu = 0;
constexpr size_t kProcesses = 12;  // of each workload
constexpr size_t kPathBytes =
    3500;  // the longer the path, the longer a program can be preempted in its midst

TEST(Preemption, NothingOfOneWorkloadShowsInTheOther) {
  const uint64_t rounds = Setting("GATEHOUSE_ROUNDS", 40);
  kernel::Options options;
  options.base_events = kernel::BaseEvents::kWorkloads;
  options.ring_bytes = 32u << 20;
  Gatehouse gatehouse(options);
  const Cgroup left_cgroup("left"), right_cgroup("right");
  ProgramTree left_programs, right_programs;
  const std::string left = left_programs.AddOfLength(kPathBytes),
                    right = right_programs.AddOfLength(kPathBytes + 1);

  workload::Workload identity;
  identity.labels = {{"side", "left"}};
  const auto left_workload = Must(gatehouse.AddWorkload(left_cgroup.path(), identity));
  identity.labels = {{"side", "right"}};
  const auto right_workload = Must(gatehouse.AddWorkload(right_cgroup.path(), identity));
  PolicyText left_policy = OneRule("left", {Object("NotIn", {left})}, {Override(EACCES)}),
             right_policy = OneRule("right", {Object("NotIn", {right})}, {Override(EBUSY)});
  left_policy.pods = {{"side", "left"}};
  right_policy.pods = {{"side", "right"}};
  Must(gatehouse.Apply(Text(left_policy) + Text(right_policy)));

  Workers workers(
      {{.cgroup = left_cgroup.path(), .programs = {left, right}, .processes = kProcesses},
       {.cgroup = right_cgroup.path(), .programs = {right, left}, .processes = kProcesses}},
      kCpu, rounds);
  workers.Wait();

  const uint64_t runs = kProcesses * rounds;
  for (const size_t plan : {size_t{0}, size_t{1}}) {
    SCOPED_TRACE(plan == 0 ? "left" : "right");
    EXPECT_EQ(workers.tally(plan, 0).allowed, runs);
    const Tally& refused = workers.tally(plan, 1);
    EXPECT_EQ(
        gatehouse.denies() ? refused.denied[plan == 0 ? EACCES : EBUSY] : refused.killed[SIGKILL],
        runs);
  }

  std::map<std::string, uint64_t> told;
  for (const Event& event : gatehouse.TakeEvents()) {
    const bool is_left = event.process().workload == left_workload->id;
    ASSERT_TRUE(is_left || event.process().workload == right_workload->id);
    if (const auto* exec = event.AsExec()) {
      const std::string& own = is_left ? left : right;
      // Where a kill comes in the midst of the execve, the refused program's exec may still be
      // told.
      ASSERT_TRUE(exec->binary == own || !gatehouse.denies()) << exec->binary;
      ASSERT_EQ(exec->binary, exec->args);
      continue;
    }
    const auto* policy = event.AsPolicy();
    if (policy == nullptr) continue;
    ASSERT_EQ(event.policy, is_left ? "left" : "right");
    const event::ValueRecord* object = policy->Find(GH_SUBJECT_ARGUMENT_0);
    ASSERT_NE(object, nullptr);
    ASSERT_EQ(object->text, is_left ? right : left);
    ASSERT_EQ(object->unreadable, GH_READABLE);
    ASSERT_EQ(policy->error, is_left ? -EACCES : -EBUSY);
    ++told[event.policy];
  }
  EXPECT_EQ(gatehouse.Counter("events_lost_policy"), 0);
  EXPECT_EQ(told["left"], runs);
  EXPECT_EQ(told["right"], runs);
  EXPECT_EQ(gatehouse.Hits("left"), runs);
  EXPECT_EQ(gatehouse.Hits("right"), runs);
  EXPECT_EQ(gatehouse.Counter("scratch_exhausted"), 0);
}

}  // namespace
}  // namespace gatehouse::test
