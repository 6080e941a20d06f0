// SPDX-License-Identifier: Apache-2.0
// Events that are posted once in an interval.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::SizeIs;

/// A policy with one hook, which acts on all that it is asked about.
std::string Policy(const std::string& name, const std::string& hook, const std::string& actions) {
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  kprobes: [{" + hook + ", selectors: [{matchActions: [" +
         actions + "]}]}]\n";
}

std::string OnExec(const std::string& name, const std::string& actions) {
  return Policy(name,
                "call: security_bprm_creds_for_exec, syscall: false, args: [{index: 0, type: "
                "linux_binprm}]",
                actions);
}

std::string OnCall(const std::string& name, const std::string& actions) {
  return Policy(name, "call: sys_mkdirat, args: [{index: 1, type: string}]", actions);
}

class Rates : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
    limited_before_ = gatehouse().Counter("events_limited");
  }
  /// How many events were left out in this test.
  [[nodiscard]] uint64_t Limited() {
    const uint64_t limited = gatehouse().Counter("events_limited") - limited_before_;
    if (limited > 0) ExpectCounter("events_limited");
    return limited;
  }
  /// Two threads of one process call mkdirat(2) twice each, with a path that cannot be made; then
  /// another process does.
  void CallFromThreeThreads() const {
    char path[] = "/proc/none";  // in memory that is there: a constant's may not be yet
    const auto call = [&] { (void)!syscall(SYS_mkdirat, AT_FDCWD, path, 0700); };
    const auto twice = [&] {
      call();
      call();
    };
    EXPECT_EQ(cgroup_
                  .Try([&] {
                    twice();
                    std::thread(twice).join();
                    if (const pid_t child = fork(); child == 0) {
                      twice();
                      _exit(0);
                    } else {
                      waitpid(child, nullptr, 0);
                    }
                    _exit(0);
                    return 0;
                  })
                  .outcome,
              Allowed());
  }
  [[nodiscard]] static size_t Told() {
    size_t told = 0;
    for (const Event& event : gatehouse().TakeEvents()) told += event.AsPolicy() != nullptr ? 1 : 0;
    return told;
  }

  const Cgroup cgroup_{"app"};
  const std::string first_ = programs_.Add("first"), second_ = programs_.Add("second");

 private:
  uint64_t limited_before_ = 0;
};

TEST_F(Rates, TheSameIsPostedOnceAndCountedEachTime) {
  Must(gatehouse().Apply(OnExec("p", "{action: Post, rateLimit: 1h, rateLimitScope: global}")));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(cgroup_.Run(first_), Allowed());
    EXPECT_EQ(cgroup_.Run(second_), Allowed());
  }
  std::vector<std::string> objects;
  for (const Posted& posted : gatehouse().TakePosted()) objects.push_back(posted.object);
  EXPECT_THAT(objects, ::testing::UnorderedElementsAre(first_, second_));
  EXPECT_EQ(Limited(), 4U);
  EXPECT_EQ(gatehouse().Hits("p"), 6U);
}

TEST_F(Rates, EachPolicyHasItsOwn) {
  constexpr const char* kGlobal = "{action: Post, rateLimit: 1h, rateLimitScope: global}";
  Must(gatehouse().Apply(OnExec("a", kGlobal) + OnExec("b", kGlobal) +
                         OnExec("c", "{action: Post}")));
  for (int round = 0; round < 3; ++round) EXPECT_EQ(cgroup_.Run(first_), Allowed());
  std::vector<std::string> policies;
  for (const Posted& posted : gatehouse().TakePosted()) policies.push_back(posted.policy);
  EXPECT_THAT(policies, ::testing::UnorderedElementsAre("a", "b", "c", "c", "c"));
  EXPECT_EQ(Limited(), 4U);
}

TEST_F(Rates, AreOfAThreadAProcessOrEveryone) {
  const struct {
    const char* scope;
    size_t told;
  } cases[] = {{"", 3},
               {", rateLimitScope: thread", 3},
               {", rateLimitScope: process", 2},
               {", rateLimitScope: global", 1}};
  for (const auto& [scope, told] : cases) {
    SCOPED_TRACE(scope);
    gatehouse().Reset();
    (void)Workload(cgroup_.path());
    const uint64_t limited = Limited();
    Must(gatehouse().Apply(OnCall("p", std::string("{action: Post, rateLimit: 1h") + scope + "}")));
    CallFromThreeThreads();
    EXPECT_EQ(Told(), told);
    EXPECT_EQ(Limited() - limited, 6 - told);
  }
}

TEST_F(Rates, AfterTheIntervalItIsPostedAgain) {
  Must(gatehouse().Apply(OnExec("p", "{action: Post, rateLimit: 1s, rateLimitScope: global}")));
  EXPECT_EQ(cgroup_.Run(first_), Allowed());
  EXPECT_THAT(gatehouse().TakePosted(), SizeIs(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(1001));
  EXPECT_EQ(cgroup_.Run(first_), Allowed());
  EXPECT_THAT(gatehouse().TakePosted(), SizeIs(1));
  EXPECT_EQ(Limited(), 0U);
}

TEST_F(Rates, WhatElseASelectorDoesIsDoneEachTime) {
  Must(gatehouse().Apply(
      OnExec("p", "{action: Post, rateLimit: 1h, rateLimitScope: global}, {action: Sigkill}")));
  for (int round = 0; round < 3; ++round) EXPECT_EQ(cgroup_.Run(first_), Killed(SIGKILL));
  EXPECT_THAT(gatehouse().TakePosted(), SizeIs(1));
  EXPECT_EQ(Limited(), 2U);
}

/// A text longer than one block of the digest: what differs at its end is not the same.
TEST_F(Rates, LongValuesAreToldApart) {
  Must(gatehouse().Apply(OnExec("p", "{action: Post, rateLimit: 1h, rateLimitScope: global}")));
  const std::string directory(200, 'd');
  std::string name;
  for (int i = 0; i < 10; ++i) name += directory + "/";
  const std::string a = programs_.Add(name + "a"), b = programs_.Add(name + "b");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(cgroup_.Run(a), Allowed());
    EXPECT_EQ(cgroup_.Run(b), Allowed());
  }
  EXPECT_THAT(gatehouse().TakePosted(), SizeIs(2));
  EXPECT_EQ(Limited(), 2U);
}

}  // namespace
}  // namespace gatehouse::test
