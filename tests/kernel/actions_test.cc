// SPDX-License-Identifier: Apache-2.0
// Actions, modes, and verdicts of several policies on one workload.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <random>

#include "event/text.h"
#include "fixture.h"
#include "settings.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint16_t kPostOverride = GH_ACTION_POST | GH_ACTION_OVERRIDE;
constexpr uint16_t kPostSignal = GH_ACTION_POST | GH_ACTION_SIGNAL;
constexpr uint16_t kAll = GH_ACTION_POST | GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL;

struct ActionCase {
  const char* name;
  std::vector<ActionText> actions;
  Outcome denied;   ///< what the program gets where Override gives an errno
  Outcome killed;   ///< and where it kills
  uint16_t posted;  ///< actions in the event; without GH_ACTION_POST there is none
  int error = 0;
  int signal = 0;
};

const ActionCase kCases[] = {
    {"Nothing", {}, Allowed(), Allowed(), GH_ACTION_POST},
    {"Post", {Post()}, Allowed(), Allowed(), GH_ACTION_POST},
    {"NoPost", {NoPost()}, Allowed(), Allowed(), 0},
    {"OverrideEperm", {Override(EPERM)}, Denied(EPERM), Killed(SIGKILL), kPostOverride, -EPERM},
    {"OverrideEnoent", {Override(ENOENT)}, Denied(ENOENT), Killed(SIGKILL), kPostOverride, -ENOENT},
    {"OverrideEtxtbsy",
     {Post(), Override(ETXTBSY)},
     Denied(ETXTBSY),
     Killed(SIGKILL),
     kPostOverride,
     -ETXTBSY},
    {"OverrideLargest", {Override(4095)}, Denied(4095), Killed(SIGKILL), kPostOverride, -4095},
    {"OverrideNoPost", {Override(EACCES), NoPost()}, Denied(EACCES), Killed(SIGKILL), 0, -EACCES},
    {"Sigkill", {Sigkill()}, Killed(SIGKILL), Killed(SIGKILL), kPostSignal, 0, SIGKILL},
    {"SigkillNoPost", {NoPost(), Sigkill()}, Killed(SIGKILL), Killed(SIGKILL), 0, 0, SIGKILL},
    {"SigkillOverride",
     {Sigkill(), Override(EPERM)},
     Killed(SIGKILL),
     Killed(SIGKILL),
     kAll,
     -EPERM,
     SIGKILL},
    {"SignalUsr1", {Signal(SIGUSR1)}, Killed(SIGUSR1), Killed(SIGUSR1), kPostSignal, 0, SIGUSR1},
    {"SignalTerm",
     {Signal(SIGTERM), Post()},
     Killed(SIGTERM),
     Killed(SIGTERM),
     kPostSignal,
     0,
     SIGTERM},
    {"SignalCont", {Signal(SIGCONT)}, Allowed(), Allowed(), kPostSignal, 0, SIGCONT},
    {"SignalRealTime", {Signal(64)}, Killed(64), Killed(64), kPostSignal, 0, 64},
    {"SignalContOverride",
     {Signal(SIGCONT), Override(EAGAIN)},
     Denied(EAGAIN),
     Killed(SIGKILL),
     kAll,
     -EAGAIN,
     SIGCONT},
};

void PrintTo(const ActionCase& c, std::ostream* out) { *out << c.name; }

std::string CaseName(const ::testing::TestParamInfo<ActionCase>& info) { return info.param.name; }

class Actions : public KernelTest, public ::testing::WithParamInterface<ActionCase> {
 protected:
  PolicyText Policy(const std::string& program) const {
    PolicyText policy = OneRule("one", {Object("Equal", {program})}, GetParam().actions);
    return policy;
  }
};

TEST_P(Actions, Enforced) {
  const Cgroup cgroup("app");
  const auto workload = Workload(cgroup.path());
  const std::string program = programs_.Add("program");
  EXPECT_EQ(cgroup.Run(program, {program, "exit", "3"}), Allowed(3)) << "positive control";

  Must(gatehouse().Apply(Policy(program)));
  const Attempt attempt = cgroup.Try(program);
  EXPECT_EQ(attempt.outcome, gatehouse().denies() ? GetParam().denied : GetParam().killed);
  EXPECT_EQ(gatehouse().Hits("one"), 1);
  const auto posted = gatehouse().TakePosted();
  if ((GetParam().posted & GH_ACTION_POST) == 0) {
    EXPECT_THAT(posted, IsEmpty());
    return;
  }
  EXPECT_THAT(posted,
              ElementsAre(Posted{.pid = attempt.pid,
                                 .policy = "one",
                                 .object = program,
                                 .actions = GetParam().posted,
                                 .error = GetParam().error,
                                 .signal = GetParam().signal,
                                 .flags = GetParam().error != 0 ? gatehouse().DenialFlags() : 0,
                                 .workload = workload->id}));
}

TEST_P(Actions, Monitored) {
  const Cgroup cgroup("app");
  const auto workload = Workload(cgroup.path());
  const std::string program = programs_.Add("program");
  PolicyText policy = Policy(program);
  policy.monitor = true;
  Must(gatehouse().Apply(policy));
  const Attempt attempt = cgroup.Try(program);
  EXPECT_EQ(attempt.outcome, Allowed());
  EXPECT_EQ(gatehouse().Hits("one"), 1);
  const auto posted = gatehouse().TakePosted();
  if ((GetParam().posted & GH_ACTION_POST) == 0) {
    EXPECT_THAT(posted, IsEmpty());
    return;
  }
  EXPECT_THAT(posted, ElementsAre(Posted{.pid = attempt.pid,
                                         .policy = "one",
                                         .object = program,
                                         .actions = GetParam().posted,
                                         .error = GetParam().error,
                                         .signal = GetParam().signal,
                                         .flags = GH_POLICY_MONITOR,
                                         .workload = workload->id}));
}

INSTANTIATE_TEST_SUITE_P(All, Actions, ::testing::ValuesIn(kCases), CaseName);

// ---- the event
// ---------------------------------------------------------------------------------------

class PolicyEvents : public KernelTest {
 protected:
  static uint64_t BootTimeNs() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }
  static uint32_t LoginUid() {
    std::ifstream file("/proc/self/loginuid");
    uint32_t uid = 0xffffffff;
    file >> uid;
    return uid;
  }
  static workload::Workload Pod() {
    workload::Workload pod;
    pod.ns = "shop";
    pod.pod = "web-0";
    pod.container = "nginx";
    pod.container_id = "containerd://0123456789abcdef";
    pod.image = "docker.io/library/nginx:1.25";
    pod.labels = {{"app", "web"}};
    return pod;
  }
  /// Two hooks, the second with two selectors, of which the second decides on `program`.
  static PolicyText Policy(const std::string& program, bool lsm) {
    HookText idle{.call = std::string(kCheck),
                  .selectors = {{{Object("Equal", {"/none"})}, {Post()}}}};
    HookText hook{.selectors = {{{Object("Equal", {"/none"})}, {Post()}},
                                {{Object("Equal", {program})}, {Override(EPERM), Signal(SIGCONT)}}},
                  .label = "program",
                  .message = "not on the list",
                  .tags = {"exec", "list"}};
    if (lsm) {
      idle.call = "bprm_check_security";
      hook.call = "bprm_creds_for_exec";
      idle.lsm = hook.lsm = true;
    }
    return {.name = "one", .ns = "shop", .pods = {{"app", "web"}}, .hooks = {idle, hook}};
  }
};

TEST_F(PolicyEvents, EveryFieldOfTheRecord) {
  const Cgroup cgroup("app");
  const auto workload = Must(gatehouse().AddWorkload(cgroup.path(), Pod()));
  const std::string program = programs_.Add("program");
  Must(gatehouse().Apply(Policy(program, false)));

  const uint64_t before_ns = BootTimeNs();
  const Attempt attempt = cgroup.Try(program);
  const uint64_t after_ns = BootTimeNs();
  EXPECT_EQ(attempt.outcome, gatehouse().Denial(EPERM));

  struct stat file{}, directory{};
  ASSERT_EQ(stat(program.c_str(), &file), 0);
  ASSERT_EQ(stat(cgroup.path().c_str(), &directory), 0);
  std::vector<Event> events = gatehouse().TakeEvents();
  std::erase_if(events, [](const Event& event) { return event.AsPolicy() == nullptr; });
  ASSERT_THAT(events, SizeIs(1));
  const event::PolicyRecord& record = *events[0].AsPolicy();
  const event::ProcessRecord& process = record.process;
  EXPECT_GT(record.time_ns, before_ns);
  EXPECT_LT(record.time_ns, after_ns);
  EXPECT_EQ(process.key.pid, static_cast<uint32_t>(attempt.pid));
  EXPECT_EQ(process.tid, static_cast<uint32_t>(attempt.pid));
  EXPECT_GT(process.key.start_ns, before_ns);
  EXPECT_LE(process.key.start_ns, record.time_ns);
  EXPECT_EQ(process.parent.pid, static_cast<uint32_t>(getpid()));
  EXPECT_LT(process.parent.start_ns, before_ns);
  EXPECT_EQ(process.parent.start_ns / event::kTickNs,
            event::ProcFilesystem().Read(static_cast<uint32_t>(getpid()))->start_ticks);
  // A fork has its parent's number of execves; where the hook is behind the execve, it is one more.
  EXPECT_EQ(process.key.exec_seq,
            process.parent.exec_seq + (gatehouse().JudgesBeforeExec() ? 0 : 1));
  EXPECT_EQ(process.uid, geteuid());
  EXPECT_EQ(process.auid, LoginUid());
  EXPECT_EQ(process.cgroup_id, directory.st_ino);
  EXPECT_EQ(process.workload, workload->id);
  EXPECT_EQ(record.instance, Must(gatehouse().resolver().Status({"one", "shop"})).instances.at(0));
  EXPECT_EQ(record.hook, GH_HOOK_BPRM_CREDS_FOR_EXEC);
  EXPECT_EQ(record.hook_index, 1);
  EXPECT_EQ(record.rule, 1);
  EXPECT_EQ(record.actions, kAll);
  EXPECT_EQ(record.error, -EPERM);
  EXPECT_EQ(record.signal, SIGCONT);
  EXPECT_EQ(record.flags, gatehouse().DenialFlags());
  ASSERT_EQ(record.n_values, 1U);
  const event::ValueRecord& value = record.values[0];
  EXPECT_EQ(value.subject, GH_SUBJECT_ARGUMENT_0);
  EXPECT_EQ(value.read, GH_READ_BINPRM);
  EXPECT_EQ(value.unreadable, GH_READABLE);
  EXPECT_EQ(value.file_mode, file.st_mode);
  EXPECT_EQ(value.text, program);
}

TEST_F(PolicyEvents, EveryFieldOfTheEvent) {
  const Cgroup cgroup("app");
  (void)Must(gatehouse().AddWorkload(cgroup.path(), Pod()));
  const std::string program = programs_.Add("program");
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  for (const bool lsm : {false, true}) {
    SCOPED_TRACE(lsm ? "lsm" : "kprobe");
    Must(gatehouse().Apply(Policy(program, lsm)));
    const Attempt attempt = cgroup.Try(program);
    std::vector<Event> events = gatehouse().TakeEvents();
    std::erase_if(events, [](const Event& event) { return event.AsPolicy() == nullptr; });
    ASSERT_THAT(events, SizeIs(1));

    const tetragon::GetEventsResponse& event = *events[0].enriched;
    EXPECT_EQ(event.node_name(), "node");
    EXPECT_TRUE(event.has_time());
    const auto check = [&](const auto& policy_event) {
      EXPECT_EQ(policy_event.policy_name(), "one");
      EXPECT_EQ(policy_event.function_name(),
                lsm ? "bprm_creds_for_exec" : "security_bprm_creds_for_exec");
      EXPECT_EQ(policy_event.action(), tetragon::KPROBE_ACTION_OVERRIDE);
      EXPECT_EQ(policy_event.message(), "not on the list");
      std::vector<std::string> tags{"exec", "list"};
      if (!gatehouse().denies()) tags.emplace_back(event::kTagBySignal);
      EXPECT_THAT(policy_event.tags(), ::testing::ElementsAreArray(tags));
      ASSERT_EQ(policy_event.args_size(), 1);
      EXPECT_EQ(policy_event.args(0).label(), "program");
      EXPECT_EQ(policy_event.args(0).linux_binprm_arg().path(), program);
      EXPECT_EQ(policy_event.args(0).linux_binprm_arg().permission(), "-rwxr-xr-x");
      EXPECT_EQ(policy_event.args(0).linux_binprm_arg().flags(), "");
      const tetragon::Process& process = policy_event.process();
      EXPECT_EQ(process.pid().value(), static_cast<uint32_t>(attempt.pid));
      EXPECT_EQ(process.tid().value(), static_cast<uint32_t>(attempt.pid));
      EXPECT_EQ(process.uid().value(), geteuid());
      EXPECT_EQ(process.auid().value(), LoginUid());
      EXPECT_EQ(process.binary(), gatehouse().JudgesBeforeExec() ? self : program);
      EXPECT_EQ(process.cwd(), std::filesystem::current_path().string());
      EXPECT_NE(process.exec_id(), "");
      EXPECT_NE(process.parent_exec_id(), "");
      EXPECT_EQ(process.pod().namespace_(), "shop");
      EXPECT_EQ(process.pod().name(), "web-0");
      EXPECT_EQ(process.pod().container().name(), "nginx");
      EXPECT_EQ(process.pod().container().image().name(), "docker.io/library/nginx:1.25");
      EXPECT_EQ(process.pod().pod_labels().at("app"), "web");
      EXPECT_EQ(policy_event.parent().pid().value(), static_cast<uint32_t>(getpid()));
      EXPECT_EQ(policy_event.parent().binary(), self);
    };
    if (lsm) {
      check(event.process_lsm());
    } else {
      check(event.process_kprobe());
    }
  }
}

TEST_F(PolicyEvents, BothHooksHaveTheirOwnVerdicts) {
  const Cgroup cgroup("app");
  Workload(cgroup.path());
  const std::string program = programs_.Add("program");
  PolicyText policy = OneRule("one", {Object("Equal", {program})}, {Post()});
  policy.hooks.push_back({.call = std::string(kCheck),
                          .selectors = {{{Object("Equal", {program})}, {Override(EACCES)}}}});
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(cgroup.Run(program), gatehouse().Denial(EACCES));
  const auto posted = gatehouse().TakePosted();
  ASSERT_THAT(posted, SizeIs(2));
  EXPECT_EQ(posted[0].hook, GH_HOOK_BPRM_CREDS_FOR_EXEC);
  EXPECT_EQ(posted[0].error, 0);
  EXPECT_EQ(posted[1].hook, GH_HOOK_BPRM_CHECK);
  EXPECT_EQ(posted[1].error, -EACCES);
  EXPECT_EQ(gatehouse().Hits("one"), 2);
}

// ---- several policies
// ----------------------------------------------------------------------------------

class Combined : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    Workload(cgroup_.path());
  }
  /// The policies in an order of their own, one change each.
  void ApplyShuffled(std::vector<PolicyText> policies, unsigned seed) {
    std::shuffle(policies.begin(), policies.end(), std::mt19937(seed));
    for (const PolicyText& policy : policies) Must(gatehouse().Apply(policy));
  }
  std::vector<std::string> PostedPolicies() {
    std::vector<std::string> names;
    for (const Posted& posted : gatehouse().TakePosted()) names.push_back(posted.policy);
    return names;
  }

  const Cgroup cgroup_{"app"};
  const std::string program_ = programs_.Add("program");
};

TEST_F(Combined, DenialWinsWhateverTheOrder) {
  const PolicyText allows = OneRule("a", {Object("NotIn", {program_})}, {Override(EPERM)});
  const PolicyText posts = OneRule("b", {}, {Post()});
  const PolicyText denies = OneRule("c", {Object("In", {program_})}, {Override(EACCES)});
  for (unsigned seed = 0; seed < 6; ++seed) {
    gatehouse().Reset();
    Workload(cgroup_.path());
    ApplyShuffled({allows, posts, denies}, seed);
    EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EACCES));
    EXPECT_THAT(PostedPolicies(), ElementsAre("b", "c"));
  }
}

TEST_F(Combined, FirstErrnoByNameThenNamespace) {
  std::vector<PolicyText> policies{
      OneRule("b", {}, {Override(ENOENT)}), OneRule("a", {}, {Override(EIO)}),
      OneRule("a", {}, {Override(EBUSY)}), OneRule("a", {}, {Override(ENOMEM)})};
  policies[2].ns = "x";
  policies[3].ns = "y";
  workload::Workload pod;
  pod.ns = "x";
  for (unsigned seed = 0; seed < 6; ++seed) {
    gatehouse().Reset();
    (void)Must(gatehouse().AddWorkload(cgroup_.path(), pod));
    ApplyShuffled(policies, seed);
    EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EIO));
    EXPECT_THAT(PostedPolicies(), ElementsAre("a", "b", "x/a"));
    Must(gatehouse().Remove("a"));
    EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EBUSY));
    EXPECT_THAT(PostedPolicies(), ElementsAre("b", "x/a"));
  }
}

TEST_F(Combined, MonitoredPolicyTakesNoPartInTheVerdict) {
  PolicyText first = OneRule("a", {}, {Override(EIO)});
  first.monitor = true;
  const PolicyText second = OneRule("b", {}, {Override(ENOENT)});
  Must(gatehouse().Apply(first));
  EXPECT_EQ(cgroup_.Run(program_), Allowed());
  Must(gatehouse().Apply(second));
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(ENOENT));
  const auto configure = [&](std::optional<bool> enabled, std::optional<policy::Mode> mode) {
    Must(gatehouse().Change([&](bind::Resolver::Transaction& transaction) {
      return transaction.Configure({"a", ""}, enabled, mode);
    }));
  };
  configure({}, policy::Mode::kEnforce);
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EIO));
  configure(false, {});
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(ENOENT));
  configure(true, {});
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EIO));
}

TEST_F(Combined, EverySignalIsSent) {
  Must(gatehouse().Apply(OneRule("a", {}, {Signal(SIGCONT)})));
  Must(gatehouse().Apply(OneRule("b", {}, {Override(EPERM)})));
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EPERM));
  Must(gatehouse().Apply(OneRule("c", {}, {Sigkill()})));
  EXPECT_EQ(cgroup_.Run(program_), Killed(SIGKILL)) << "a kill, if any policy says so";
}

TEST_F(Combined, TwentyPoliciesOnOneWorkload) {
  std::vector<PolicyText> policies;
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::string(1, static_cast<char>('a' + i));
    names.push_back(name);
    policies.push_back(OneRule(name, {Object("Prefix", {programs_.path()})},
                               {i == 7    ? Override(EBUSY)
                                : i == 13 ? Override(EIO)
                                          : Post()}));
  }
  ApplyShuffled(policies, 1);
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EBUSY));
  EXPECT_EQ(PostedPolicies(), names);
  for (const std::string& name : names) EXPECT_EQ(gatehouse().Hits(name), 1) << name;
  Must(gatehouse().Remove("h"));
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EIO));
  EXPECT_THAT(PostedPolicies(), SizeIs(19));
}

TEST_F(Combined, ThousandPoliciesOnOneHook) {
  constexpr int kPolicies = 1000;
  const std::string other = programs_.Add("other");
  std::vector<PolicyText> policies;
  for (int i = 0; i < kPolicies; ++i) {
    policies.push_back(OneRule(
        "p" + std::to_string(1000 + i),
        {Object("In", {"/opt/program-" + std::to_string(i), i == 700 ? program_ : "/opt/common"})},
        {Override(i == 700 ? ENOENT : EIO), NoPost()}));
  }
  const auto programs_before = gatehouse().kernel().status().hooks;
  Must(gatehouse().Apply(Text(policies)));
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(ENOENT));
  EXPECT_EQ(cgroup_.Run(other), Allowed());
  EXPECT_EQ(gatehouse().Hits("p1700"), 1);
  const kernel::Status status = gatehouse().kernel().status();
  ASSERT_THAT(status.hooks, SizeIs(2));
  EXPECT_EQ(status.hooks[GH_HOOK_BPRM_CREDS_FOR_EXEC].policies, kPolicies);
  EXPECT_EQ(status.hooks[0].program_id, programs_before[0].program_id) << "no program was loaded";

  // Each on a workload of its own hook list: a policy that denies at the end of a thousand.
  Must(gatehouse().Apply(OneRule("zzz", {Object("In", {other})}, {Override(EBUSY)})));
  EXPECT_EQ(cgroup_.Run(other), gatehouse().Denial(EBUSY));
}

TEST_F(Combined, MorePoliciesThanAGateHoldsAreRefused) {
  std::vector<PolicyText> policies;
  for (int i = 0; i < GH_POLICIES_PER_GATE_MAX; ++i) {
    policies.push_back(OneRule("p" + std::to_string(10000 + i), {Object("In", {"/none"})},
                               {Override(EIO), NoPost()}));
  }
  policies.back() = OneRule("p99999", {Object("In", {program_})}, {Override(EBUSY)});
  Must(gatehouse().Apply(Text(policies)));
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EBUSY)) << "the last one is judged";
  const auto refused =
      gatehouse().Apply(OneRule("one-more", {Object("In", {program_})}, {Override(EIO)}));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().Message(),
              ::testing::HasSubstr(std::to_string(GH_POLICIES_PER_GATE_MAX)));
  EXPECT_EQ(cgroup_.Run(program_), gatehouse().Denial(EBUSY)) << "the image stands";
}

TEST_F(Combined, OnePolicyOnManyWorkloads) {
  const auto many = static_cast<int>(Setting("GATEHOUSE_WORKLOADS", 1000));
  std::deque<Cgroup> cgroups;
  std::vector<workload::WorkloadPtr> workloads;
  PolicyText policy = OneRule("one", {Object("In", {program_})}, {Override(EPERM)});
  policy.pods = {{"app", "yes"}};
  for (int i = 0; i < many / 2; ++i) {  // half before the policy, half after
    workloads.push_back(
        Workload(cgroups.emplace_back("w" + std::to_string(i)).path(), {{"app", "yes"}}));
  }
  Must(gatehouse().Apply(policy));
  for (int i = many / 2; i < many; ++i) {
    workloads.push_back(
        Workload(cgroups.emplace_back("w" + std::to_string(i)).path(), {{"app", "yes"}}));
  }
  const kernel::ImageStatus image = gatehouse().kernel().status().image;
  EXPECT_EQ(image.instances, 1);
  EXPECT_EQ(image.groups, 1);
  std::vector<bind::WorkloadId> expected, seen;
  for (int i = 0; i < many; ++i) {
    EXPECT_EQ(cgroups[static_cast<size_t>(i)].Run(program_), gatehouse().Denial(EPERM)) << i;
    expected.push_back(workloads[static_cast<size_t>(i)]->id);
  }
  EXPECT_EQ(cgroup_.Run(program_), Allowed()) << "a workload without the label";
  for (const Posted& posted : gatehouse().TakePosted()) seen.push_back(posted.workload);
  EXPECT_THAT(seen, ::testing::UnorderedElementsAreArray(expected));
  EXPECT_EQ(gatehouse().Hits("one"), expected.size());
}

}  // namespace
}  // namespace gatehouse::test
