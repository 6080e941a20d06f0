// SPDX-License-Identifier: Apache-2.0
// Which workload a process belongs to: nested cgroups, moves, cgroups that come and go.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "fixture.h"
#include "kernel/cgroup_tree.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;

class Cgroups : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    Must(gatehouse().Apply(Deny("outer", {{"app", "outer"}}, EPERM)));
    Must(gatehouse().Apply(Deny("inner", {{"app", "inner"}}, EACCES)));
  }
  PolicyText Deny(const std::string& name, LabelText pods, int error) const {
    PolicyText policy = OneRule(name, {Object("In", {program_})}, {Override(error)});
    policy.pods = std::move(pods);
    return policy;
  }
  workload::WorkloadPtr Outer(const std::string& cgroup) {
    return Workload(cgroup, {{"app", "outer"}});
  }
  workload::WorkloadPtr Inner(const std::string& cgroup) {
    return Workload(cgroup, {{"app", "inner"}});
  }
  static Outcome OuterDenial() { return gatehouse().Denial(EPERM); }
  static Outcome InnerDenial() { return gatehouse().Denial(EACCES); }
  Outcome RunIn(const std::string& cgroup) const {
    return kernel::testing::TryIn(cgroup, program_).outcome;
  }

  const std::string program_ = programs_.Add("program");
  Cgroup cgroup_{"app"};
};

TEST_F(Cgroups, ChildrenMadeBeforeAndAfterInherit) {
  const std::string before = cgroup_.MakeChild("before");
  const std::string below = cgroup_.MakeChild("before/below");
  EXPECT_EQ(RunIn(below), Allowed());
  const auto workload = Outer(cgroup_.path());
  const std::string after = cgroup_.MakeChild("after");
  const std::string deep = cgroup_.MakeChild("before/below/deep");
  for (const std::string& cgroup : {cgroup_.path(), before, below, after, deep}) {
    EXPECT_EQ(RunIn(cgroup), OuterDenial()) << cgroup;
  }
  for (const Posted& posted : gatehouse().TakePosted()) EXPECT_EQ(posted.workload, workload->id);
  Must(gatehouse().RemoveWorkload(workload->id));
  for (const std::string& cgroup : {cgroup_.path(), before, below, after, deep}) {
    EXPECT_EQ(RunIn(cgroup), Allowed()) << cgroup;
  }
}

TEST_F(Cgroups, NestedWorkloadIsItsOwn) {
  const std::string inner = cgroup_.MakeChild("inner"), below = cgroup_.MakeChild("inner/below"),
                    beside = cgroup_.MakeChild("beside");
  for (const bool outer_first : {true, false}) {
    SCOPED_TRACE(outer_first ? "outer first" : "inner first");
    std::optional<workload::WorkloadPtr> outer_workload;
    if (outer_first) outer_workload = Outer(cgroup_.path());
    const auto inner_workload = Inner(inner);
    if (!outer_first) outer_workload = Outer(cgroup_.path());
    EXPECT_EQ(RunIn(cgroup_.path()), OuterDenial());
    EXPECT_EQ(RunIn(beside), OuterDenial());
    EXPECT_EQ(RunIn(inner), InnerDenial());
    EXPECT_EQ(RunIn(below), InnerDenial());
    Must(gatehouse().RemoveWorkload(inner_workload->id));
    EXPECT_EQ(RunIn(inner), OuterDenial()) << "falls to the workload around";
    EXPECT_EQ(RunIn(below), OuterDenial());
    Must(gatehouse().RemoveWorkload((*outer_workload)->id));
    EXPECT_EQ(RunIn(below), Allowed());
  }
}

// Its cgroup is untied before the image forgets it: nobody may come into its place meanwhile, or
// later with what was its policy.
TEST_F(Cgroups, WorkloadNeverHasThePoliciesOfOneBefore) {
  constexpr int kRounds = 20;
  const std::string other = cgroup_.MakeChild("other");
  const uint64_t known = gatehouse().kernel().status().image.workloads;
  for (int round = 0; round < kRounds; ++round) {
    const auto bound = Outer(cgroup_.path());
    EXPECT_EQ(RunIn(cgroup_.path()), OuterDenial());
    Must(gatehouse().RemoveWorkload(bound->id));
    const auto free = Workload(other, {{"app", "none"}});
    EXPECT_EQ(RunIn(other), Allowed()) << "round " << round;
    Must(gatehouse().RemoveWorkload(free->id));
  }
  EXPECT_EQ(gatehouse().kernel().status().image.workloads, known);
}

// A container that is made anew under the same path: the same workload, another cgroup.
TEST_F(Cgroups, WorkloadTiedToANewCgroupKeepsItsPolicies) {
  const std::string path = cgroup_.MakeChild("again");
  const auto workload = Outer(path);
  EXPECT_EQ(RunIn(path), OuterDenial());
  ASSERT_EQ(rmdir(path.c_str()), 0);
  gatehouse().kernel().Untrack(workload->id);
  ASSERT_EQ(cgroup_.MakeChild("again"), path);
  EXPECT_EQ(RunIn(path), Allowed()) << "positive control: not tied yet";
  (void)Must(gatehouse().kernel().Track(workload->id, path));
  EXPECT_EQ(RunIn(path), OuterDenial());
}

TEST_F(Cgroups, OuterWorkloadRemovedLeavesTheInner) {
  const std::string inner = cgroup_.MakeChild("inner");
  const auto outer_workload = Outer(cgroup_.path());
  (void)Inner(inner);
  Must(gatehouse().RemoveWorkload(outer_workload->id));
  EXPECT_EQ(RunIn(cgroup_.path()), Allowed());
  EXPECT_EQ(RunIn(inner), InnerDenial());
}

TEST_F(Cgroups, ProcessThatMovesIsJudgedWhereItIs) {
  const Cgroup other("other"), host("host");
  (void)Outer(cgroup_.path());
  (void)Inner(other.path());
  const auto moves_to = [&](const Cgroup& destination) {
    return cgroup_
        .Try([&] {
          destination.Enter(getpid());
          execl(program_.c_str(), "program", nullptr);
          return errno;
        })
        .outcome;
  };
  EXPECT_EQ(moves_to(cgroup_), OuterDenial());
  EXPECT_EQ(moves_to(other), InnerDenial());
  EXPECT_EQ(moves_to(host), Allowed());
}

TEST_F(Cgroups, CgroupMadeAgainIsNotTheOldOne) {
  const std::string path = cgroup_.MakeChild("again");
  const auto workload = Outer(path);
  EXPECT_EQ(RunIn(path), OuterDenial());
  ASSERT_EQ(rmdir(path.c_str()), 0);
  cgroup_.MakeChild("again");
  EXPECT_EQ(RunIn(path), Allowed()) << "another cgroup of the same path";
  Must(gatehouse().RemoveWorkload(workload->id));
  (void)Inner(path);
  EXPECT_EQ(RunIn(path), InnerDenial());
}

TEST_F(Cgroups, CgroupThatIsGoneLeavesTheMap) {
  (void)Outer(cgroup_.path());
  for (int round = 0; round < 200; ++round) {
    const std::string child = cgroup_.MakeChild("child");
    if (round % 50 == 0) {
      EXPECT_EQ(RunIn(child), OuterDenial());
    }
    ASSERT_EQ(rmdir(child.c_str()), 0);
  }
  EXPECT_EQ(gatehouse().Counter("cgroups_untracked"), 0);
}

TEST_F(Cgroups, RefusesWhatIsNoWorkload) {
  const std::string root = gatehouse().workloads().cgroup_root();
  const auto track = [&](const std::string& path) { return gatehouse().kernel().Track(99, path); };
  EXPECT_EQ(track(root).error().code, ErrorCode::kRefused);
  EXPECT_EQ(track(root + "/").error().code, ErrorCode::kRefused);
  EXPECT_EQ(track("/tmp").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(track(cgroup_.path() + "/none").error().code, ErrorCode::kNotFound);
  (void)Outer(cgroup_.path());
  EXPECT_EQ(track(cgroup_.path()).error().code, ErrorCode::kExists);
  EXPECT_EQ(RunIn(cgroup_.path()), OuterDenial()) << "nothing has changed";
  EXPECT_FALSE(gatehouse().AddWorkload(root, {}).has_value()) << "nor through the registry";
}

/// With room for very few cgroups.
TEST(CgroupLimit, ChildThatDoesNotFitIsFoundByWalkingUpwards) {
  constexpr uint32_t kCgroups = 6;  // the marker's, the workload's, and four children's
  constexpr int kChildren = 12;
  kernel::Options options = DefaultOptions();
  options.max_cgroups = kCgroups;
  Gatehouse gatehouse(options);
  Cgroup cgroup("app");
  ProgramTree programs;
  const std::string program = programs.Add("program");
  workload::Workload identity;
  const auto workload = Must(gatehouse.AddWorkload(cgroup.path(), identity));
  Must(gatehouse.Apply(OneRule("one", {Object("In", {program})}, {Override(EPERM)})));
  std::vector<std::string> children;
  std::string path;
  for (int i = 0; i < kChildren; ++i) {  // one below the other
    path += (path.empty() ? "c" : "/c") + std::to_string(i);
    children.push_back(cgroup.MakeChild(path));
  }
  EXPECT_GT(gatehouse.Counter("cgroups_untracked"), 0);
  for (const std::string& child : children) {
    EXPECT_EQ(kernel::testing::TryIn(child, program).outcome, gatehouse.Denial(EPERM)) << child;
  }
  for (const Posted& posted : gatehouse.TakePosted()) EXPECT_EQ(posted.workload, workload->id);

  const Cgroup other("other");
  const auto refused = gatehouse.AddWorkload(other.path(), identity);
  ASSERT_FALSE(refused.has_value()) << "a workload itself must fit";
  EXPECT_THAT(refused.error().Message(), HasSubstr("max-cgroups"));
  EXPECT_EQ(kernel::testing::TryIn(other.path(), program).outcome, Allowed());
}

}  // namespace
}  // namespace gatehouse::test
