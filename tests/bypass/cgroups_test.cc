// SPDX-License-Identifier: Apache-2.0
// Cgroups: to which workload a process belongs.
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

void MakeCgroup(const std::string& path) { Must(mkdir(path.c_str(), 0755), path.c_str()); }

/// Moves this process.
void Enter(const std::string& cgroup) {
  Must(Write(cgroup + "/cgroup.procs", "0") ? 0 : -1, "enter a cgroup");
}

/// A child that is born in another cgroup.
int InCgroup(const std::string& cgroup, const std::function<int()>& execute) {
  return InChild([&] { return kernel::testing::ForkInto(cgroup); }, execute);
}

TEST_P(Way, ChildCgroup) {
  const Attempt attempt = Try([&] {
    MakeCgroup(workload() + "/child");
    Enter(workload() + "/child");
    return Exec(denied());
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, DeepChildCgroup) {
  const Attempt attempt = Try([&] {
    std::string deepest = workload();
    for (int i = 0; i < 100; ++i) MakeCgroup(deepest += "/d");
    Enter(deepest);
    return Exec(denied());
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, CloneIntoChildCgroup) {
  const Attempt attempt = Try([&] {
    MakeCgroup(workload() + "/child");
    return InCgroup(workload() + "/child", [&] { return Exec(denied()); });
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, MoveToParentCgroup) {
  const Attempt attempt = Try([&] {
    Enter(cgroup().path());
    return Exec(denied());
  });
  ExpectRuns(attempt, kEvilStatus, {});
}

TEST_P(Way, MoveToSiblingCgroup) {
  const Attempt attempt = Try([&] {
    Enter(sibling());
    return Exec(denied());
  });
  ExpectRuns(attempt, kEvilStatus, {});
}

TEST_P(Way, CloneIntoSiblingCgroup) {
  const Attempt attempt = Try([&] { return InCgroup(sibling(), [&] { return Exec(denied()); }); });
  ExpectRuns(attempt, kEvilStatus, {});
}

TEST_P(Way, ThreadedCgroup) {
  // One thread of a process in a cgroup of its own below the workload.
  const Attempt attempt = Try([&] {
    const std::string child = workload() + "/threads";
    MakeCgroup(child);
    Must(Write(child + "/cgroup.type", "threaded") ? 0 : -1, "make a threaded cgroup");
    int error = 0;
    std::thread([&] {
      Must(Write(child + "/cgroup.threads", "0") ? 0 : -1, "enter a threaded cgroup");
      error = Exec(denied());
    }).join();
    return error;
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, CgroupNamespace) {
  const Attempt attempt =
      Try([&] { return InChild(CLONE_NEWCGROUP, [&] { return Exec(denied()); }); });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, FullCgroupTable) {
  // The workload makes more cgroups than the agent tracks, and hides in one that it does not, deep
  // below.
  constexpr uint32_t kTracked = 4;
  gate().Withdraw();
  kernel::Options options;
  options.max_cgroups = kTracked;
  Gate small(options);
  small.Enforce(GetParam(), {allow_list() ? allowed() : denied()}, workload());
  std::string deepest = workload();
  for (uint32_t i = 0; i < kTracked; ++i) MakeCgroup(workload() + "/filler" + std::to_string(i));
  for (const int depth : {1, 30, 60}) {
    for (int i = 0; i < depth; ++i) MakeCgroup(deepest += "/d");
    const Attempt attempt = Try(small, [&] {
      Enter(deepest);
      return Exec(denied());
    });
    ExpectStopped(attempt, {denied()});
  }
}

}  // namespace
}  // namespace gatehouse::bypass
