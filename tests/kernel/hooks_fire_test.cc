// SPDX-License-Identifier: Apache-2.0
// A hook that is passed all the time: policies change under it, and tasks preempt each other in it.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "fixture.h"
#include "settings.h"

namespace gatehouse::test {
namespace {

/// What became of opening one file again and again: number by errno, 0: opened.
using Opened = std::array<std::atomic<uint64_t>, 134>;

uint64_t Sum(const Opened& opened) {
  uint64_t sum = 0;
  for (const auto& count : opened) sum += count;
  return sum;
}

/// Its errno, or 0.
int Open(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  close(file);
  return 0;
}
int LookAt(const char* path) {
  struct stat status{};
  return stat(path, &status) == 0 ? 0 : errno;
}

/// Processes in cgroups that open files, or do something else with them, until they are told to
/// stop.
class Openers {
 public:
  static constexpr size_t kFiles = 3;
  struct Shared {
    std::atomic<bool> stop;
    std::array<Opened, kFiles> files;
  };

  Openers() {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory to share");
    shared_ = static_cast<Shared*>(memory);  // zeroed, which is how every counter begins
  }
  ~Openers() {
    Stop();
    munmap(shared_, sizeof(Shared));
  }
  Openers(const Openers&) = delete;
  Openers& operator=(const Openers&) = delete;

  /// Paths are opened in this order; their counters are `files` of `shared()`. All on one CPU.
  void Start(const std::string& cgroup, const std::array<std::string, kFiles>& paths,
             int (*attempt)(const char* path) = Open) {
    const pid_t child = kernel::testing::ForkInto(cgroup);
    if (child != 0) {
      children_.push_back(child);
      return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    while (!shared_->stop) {
      for (size_t i = 0; i < kFiles; ++i) {
        ++shared_->files[i].at(static_cast<size_t>(attempt(paths[i].c_str())));
      }
    }
    _exit(0);
  }
  void Stop() {
    shared_->stop = true;
    for (const pid_t child : children_) waitpid(child, nullptr, 0);
    children_.clear();
  }
  [[nodiscard]] const Shared& shared() const { return *shared_; }

 private:
  Shared* shared_;
  std::vector<pid_t> children_;
};

/// Denies opening of files, by path, without events.
std::string Denying(const std::string& name, const std::string& label,
                    const std::vector<std::pair<std::string, int>>& files) {
  std::string text =
      "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
      "}\nspec:\n  podSelector: {matchLabels: {side: " + label +
      "}}\n  lsmhooks:\n  - hook: file_open\n    args: [{index: 0, type: file}]\n"
      "    selectors:\n";
  for (const auto& [path, error] : files) {
    text += "    - matchArgs: [{index: 0, operator: In, values: [" + path +
            "]}]\n      matchActions: [{action: Override, argError: -" + std::to_string(error) +
            "}, {action: NoPost}]\n";
  }
  return text;
}

class HooksFire : public DenyingTest {
 protected:
  const std::string a_ = programs_.Add("a"), b_ = programs_.Add("b"), c_ = programs_.Add("c");
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HooksFire);
INSTANTIATE_TEST_SUITE_P(With, HooksFire, ::testing::ValuesIn(DenyingBackends()), BackendOf);

TEST_P(HooksFire, EveryOpenIsJudgedByOneImage) {
  const uint64_t flips_min = Setting("GATEHOUSE_FLIPS", 300),
                 runs_min = Setting("GATEHOUSE_RUNS", 4000);
  const Cgroup cgroup("app");
  (void)Workload(cgroup.path(), {{"side", "left"}});
  // In a mixture of the two states `c` could be opened, or `a` and `b` could both not.
  const auto state = [&](bool second) {
    const std::string none = "/none";
    return Denying("p", "left", {{second ? none : c_, EACCES}, {second ? none : b_, EPERM}}) +
           Denying("q", "left", {{second ? c_ : none, EBUSY}, {second ? a_ : none, EPERM}});
  };
  Must(gatehouse().Apply(state(false)));
  Openers openers;
  for (int i = 0; i < 4; ++i) openers.Start(cgroup.path(), {a_, b_, c_});
  const auto& [a, b, c] = openers.shared().files;
  for (uint64_t flips = 0; flips < flips_min || Sum(c) < runs_min; ++flips) {
    Must(gatehouse().Apply(state(flips % 2 == 0)));
  }
  openers.Stop();
  EXPECT_EQ(c[EACCES] + c[EBUSY], Sum(c)) << "a mixture that denies nothing";
  EXPECT_GT(c[EACCES], 0U);
  EXPECT_GT(c[EBUSY], 0U);
  EXPECT_EQ(a[0] + a[EPERM], Sum(a));
  EXPECT_EQ(b[0] + b[EPERM], Sum(b));
  EXPECT_GT(a[EPERM], 0U);
  EXPECT_GT(b[EPERM], 0U);
}

TEST_P(HooksFire, AProgramThatReadsMoreTakesAnothersPlaceWithoutAGap) {
  const uint64_t runs_min = Setting("GATEHOUSE_RUNS", 4000);
  const Cgroup cgroup("app");
  (void)Workload(cgroup.path());
  const auto policy = [](const std::string& name, const std::string& op, const std::string& path) {
    // A hook that no other test is on, so that its program is the plainest.
    return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
           "}\nspec:\n  podSelector: {}\n  lsmhooks:\n  - hook: inode_getattr\n"
           "    args: [{index: 0, type: path}]\n    selectors:\n    - matchArgs: [{index: 0, "
           "operator: " +
           op + ", values: [\"" + path +
           "\"]}]\n      matchActions: [{action: Override, argError: -13}, {action: NoPost}]\n";
  };
  const auto program = [] {
    for (const kernel::HookStatus& hook : gatehouse().kernel().status().hooks) {
      if (hook.name == "inode_getattr") return hook.program_id;
    }
    return 0U;
  };
  Must(gatehouse().Apply(policy("p", "In", a_)));
  const uint32_t plain = program();
  Openers openers;
  for (int i = 0; i < 2; ++i) openers.Start(cgroup.path(), {a_, b_, c_}, LookAt);
  const auto& [a, b, c] = openers.shared().files;
  while (Sum(c) < runs_min / 4) usleep(1000);
  Must(gatehouse().Apply(policy("q", "In", c_)));
  EXPECT_EQ(program(), plain) << "it reads the same";
  Must(gatehouse().Apply(policy("r", "Glob", "/*/**/b")));
  EXPECT_NE(program(), plain);
  const uint64_t then = Sum(c);
  while (Sum(c) < then + runs_min / 4) usleep(1000);
  openers.Stop();
  EXPECT_EQ(a[EACCES], Sum(a)) << "before, meanwhile and after";
  EXPECT_EQ(b[0] + b[EACCES], Sum(b));
  EXPECT_GT(b[EACCES], 0U);
  EXPECT_GT(c[EACCES], 0U);
}

TEST_P(HooksFire, NoWorkloadIsJudgedByAnothersPolicies) {
  const uint64_t runs_min = Setting("GATEHOUSE_RUNS", 4000);
  const Cgroup left("left"), right("right");
  (void)Workload(left.path(), {{"side", "left"}});
  (void)Workload(right.path(), {{"side", "right"}});
  Must(gatehouse().Apply(Denying("left", "left", {{a_, EACCES}}) +
                         Denying("right", "right", {{b_, EBUSY}})));
  Openers in_left, in_right;
  for (int i = 0; i < 4; ++i) {
    in_left.Start(left.path(), {a_, b_, c_});
    in_right.Start(right.path(), {a_, b_, c_});
  }
  while (Sum(in_left.shared().files[2]) < runs_min || Sum(in_right.shared().files[2]) < runs_min) {
    usleep(10'000);
  }
  in_left.Stop();
  in_right.Stop();
  const auto expect_all = [](const Opened& opened, int error) {
    EXPECT_EQ(opened.at(static_cast<size_t>(error)), Sum(opened)) << error;
  };
  expect_all(in_left.shared().files[0], EACCES);
  expect_all(in_left.shared().files[1], 0);
  expect_all(in_left.shared().files[2], 0);
  expect_all(in_right.shared().files[0], 0);
  expect_all(in_right.shared().files[1], EBUSY);
  expect_all(in_right.shared().files[2], 0);
  EXPECT_EQ(gatehouse().Hits("left"), Sum(in_left.shared().files[0]));
  EXPECT_EQ(gatehouse().Hits("right"), Sum(in_right.shared().files[1]));
}

}  // namespace
}  // namespace gatehouse::test
