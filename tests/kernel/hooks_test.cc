// SPDX-License-Identifier: Apache-2.0
// Hooks other than those of executions: files, paths, strings, numbers; functions; what is refused.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;

/// One selector on one hook; `hook` and what follows are written as in a policy.
std::string Policy(const std::string& name, const std::string& hook, const std::string& args,
                   const std::string& filters, const std::string& action) {
  const bool lsm = hook.starts_with("hook:");
  return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  " + (lsm ? "lsmhooks" : "kprobes") + ":\n  - " + hook +
         "\n" + (lsm ? "" : "    syscall: false\n") + "    args: [" + args +
         "]\n    selectors:\n    - matchArgs: [" + filters + "]\n      matchActions: [" + action +
         "]\n";
}

const std::string kDeny = "{action: Override, argError: -1}";

class Hooks : public DenyingTest {
 protected:
  void SetUp() override {
    DenyingTest::SetUp();
    (void)Workload(cgroup_.path());
  }

  [[nodiscard]] Outcome Open(const std::string& path, int flags = O_RDONLY) const {
    return cgroup_.Run([&] { return Errno(open(path.c_str(), flags)); });
  }
  [[nodiscard]] Outcome Socket(int family, int type = SOCK_STREAM) const {
    return cgroup_.Run([&] { return Errno(socket(family, type, 0)); });
  }
  /// Events of policies in the workload.
  static std::vector<Event> Events() {
    std::vector<Event> events = gatehouse().TakeEvents();
    std::erase_if(events, [](const Event& event) { return event.AsPolicy() == nullptr; });
    return events;
  }

  const Cgroup cgroup_{"app"};
  const std::string listed_ = programs_.Add("dir/listed"), other_ = programs_.Add("dir/other");
};

const std::string kFileArgument = "{index: 0, type: file, label: opened}";

std::string FileOpen(const std::string& op, const std::string& value,
                     const std::string& action = kDeny) {
  return Policy("files", "hook: file_open", kFileArgument,
                "{index: 0, operator: " + op + ", values: [\"" + value + "\"]}", action);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Hooks);
INSTANTIATE_TEST_SUITE_P(With, Hooks, ::testing::ValuesIn(DenyingBackends()), BackendOf);

TEST(HooksOfSignal, AreThoseOfExecutionsAndSystemCalls) {
  kernel::Options options = DefaultOptions();
  options.backend = kernel::Backend::kSignal;
  Gatehouse gatehouse(options);
  const Cgroup cgroup("app");
  (void)Must(gatehouse.AddWorkload(cgroup.path(), {}));
  const auto applied = gatehouse.Apply(FileOpen("In", "/any"));
  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().Message(),
              HasSubstr("hook/file_open: backend signal serves executions"));
}

TEST_P(Hooks, AFileIsComparedByItsPath) {
  const struct {
    std::string op, value;
    bool listed_denied, other_denied;
  } cases[] = {
      {"Equal", listed_, true, false},
      {"NotIn", listed_, false, true},
      {"Prefix", programs_.path() + "/", true, true},
      {"Postfix", "/listed", true, false},
      {"Prefix", "/nowhere/", false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.op + " " + c.value);
    // An allow-list of files would deny what the test itself needs to run: it opens nothing else.
    Must(gatehouse().Apply(FileOpen(c.op, c.value)));
    EXPECT_EQ(Open(listed_), c.listed_denied ? Denied(EPERM) : Allowed());
    EXPECT_EQ(Open(other_), c.other_denied ? Denied(EPERM) : Allowed());
  }
}

TEST_P(Hooks, EveryFieldOfAFilesEvent) {
  const auto check = [&](const auto& told, const std::string& function) {
    EXPECT_EQ(told.policy_name(), "files");
    EXPECT_EQ(told.function_name(), function);
    EXPECT_EQ(told.action(), tetragon::KPROBE_ACTION_OVERRIDE);
    ASSERT_EQ(told.args_size(), 1);
    EXPECT_EQ(told.args(0).label(), "opened");
    EXPECT_EQ(told.args(0).file_arg().path(), listed_);
    EXPECT_EQ(told.args(0).file_arg().permission(), "-rwxr-xr-x");
  };
  for (const bool lsm : {true, false}) {
    SCOPED_TRACE(lsm ? "lsmhooks" : "kprobes");
    Must(gatehouse().Apply(Policy("files", lsm ? "hook: file_open" : "call: security_file_open",
                                  kFileArgument,
                                  "{index: 0, operator: In, values: [" + listed_ + "]}", kDeny)));
    const Attempt attempt = cgroup_.Try([&] { return Errno(open(listed_.c_str(), O_RDONLY)); });
    EXPECT_EQ(attempt.outcome, Denied(EPERM));
    const std::vector<Event> events = Events();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].process().key.pid, static_cast<uint32_t>(attempt.pid));
    EXPECT_EQ(events[0].AsPolicy()->error, -EPERM);
    if (lsm) {
      check(events[0].enriched->process_lsm(), "file_open");
    } else {
      check(events[0].enriched->process_kprobe(), "security_file_open");
    }
  }
}

TEST_P(Hooks, TwoArgumentsAreBothJudgedAndTold) {
  // MAY_WRITE is 2 (include/linux/fs.h).
  Must(gatehouse().Apply(Policy("files", "hook: file_permission",
                                "{index: 0, type: file}, {index: 1, type: int}",
                                "{index: 0, operator: In, values: [" + listed_ +
                                    "]}, {index: 1, operator: Mask, values: "
                                    "[\"2\"]}",
                                kDeny)));
  const auto write_to = [&](const std::string& path) {
    return cgroup_.Run([&] {
      const int file = open(path.c_str(), O_RDWR | O_APPEND);
      return file < 0 ? EBADF : Errno(write(file, "\n", 1));
    });
  };
  const auto read_from = [&](const std::string& path) {
    return cgroup_.Run([&] {
      char byte = 0;
      return Errno(read(open(path.c_str(), O_RDONLY), &byte, 1));
    });
  };
  EXPECT_EQ(read_from(listed_), Allowed());
  EXPECT_EQ(write_to(listed_), Denied(EPERM));
  const std::vector<Event> events = Events();
  ASSERT_EQ(events.size(), 1U);
  const auto& told = events[0].enriched->process_lsm();
  ASSERT_EQ(told.args_size(), 2);
  EXPECT_EQ(told.args(0).file_arg().path(), listed_);
  EXPECT_EQ(told.args(1).int_arg(), 2);
}

TEST_P(Hooks, APathAndAShortNumber) {
  Must(gatehouse().Apply(
      Policy("modes", "hook: path_chmod", "{index: 0, type: path}, {index: 1, type: uint16}",
             "{index: 0, operator: Postfix, values: [/other]}, {index: 1, operator: Mask, values: "
             "[\"0x800\", \"0x400\"]}",
             kDeny)));  // set-uid and set-gid
  const auto change = [&](const std::string& path, mode_t mode) {
    return cgroup_.Run([&] { return Errno(chmod(path.c_str(), mode)); });
  };
  EXPECT_EQ(change(other_, 04755), Denied(EPERM));
  EXPECT_EQ(change(other_, 02755), Denied(EPERM));
  const std::vector<Event> events = Events();
  ASSERT_EQ(events.size(), 2U);
  const auto& told = events[0].enriched->process_lsm();
  EXPECT_EQ(told.args(0).path_arg().path(), other_);
  EXPECT_EQ(told.args(1).uint_arg() & 07777, 04755U);
  EXPECT_EQ(change(other_, 0755), Allowed());
  EXPECT_EQ(change(programs_.Add("third"), 04755), Allowed());
}

TEST_P(Hooks, StringsArePartOfTheSameOperation) {
  Must(gatehouse().Apply(
      Policy("mounts", "hook: sb_mount",
             "{index: 0, type: string}, {index: 1, type: path}, {index: 2, type: string}, "
             "{index: 3, type: uint64}",
             "{index: 2, operator: Equal, values: [ramfs]}", kDeny)));
  const auto mount_one = [&](const char* type) {
    return cgroup_.Run([&] {
      if (unshare(CLONE_NEWNS) != 0) return errno;
      return Errno(mount("source", programs_.path().c_str(), type, MS_NOSUID, nullptr));
    });
  };
  EXPECT_EQ(mount_one("tmpfs"), Allowed());
  EXPECT_EQ(mount_one("ramfs"), Denied(EPERM));
  const std::vector<Event> events = Events();
  ASSERT_EQ(events.size(), 1U);
  const auto& told = events[0].enriched->process_lsm();
  ASSERT_EQ(told.args_size(), 4);
  EXPECT_EQ(told.args(0).string_arg(), "source");
  EXPECT_EQ(told.args(1).path_arg().path(), programs_.path());
  EXPECT_EQ(told.args(2).string_arg(), "ramfs");
  EXPECT_EQ(told.args(3).size_arg(), static_cast<uint64_t>(MS_NOSUID));
}

TEST_P(Hooks, CapabilitiesHaveNames) {
  Must(gatehouse().Apply(Policy("caps", "call: security_capable", "{index: 2, type: capability}",
                                "{index: 2, operator: In, values: [CAP_SYS_CHROOT]}", kDeny)));
  EXPECT_EQ(cgroup_.Run([] { return Errno(chroot("/")); }), Denied(EPERM));
  const std::vector<Event> events = Events();
  ASSERT_EQ(events.size(), 1U);
  const auto& told = events[0].enriched->process_kprobe();
  EXPECT_EQ(told.function_name(), "security_capable");
  EXPECT_EQ(told.args(0).capability_arg().value().value(), 18);
  EXPECT_EQ(cgroup_.Run([] { return Errno(sethostname("gatehouse-vm", 12)); }), Allowed());
}

TEST_P(Hooks, EveryOperatorOnNumbers) {
  static_assert(AF_UNIX == 1 && AF_INET == 2 && AF_INET6 == 10 && AF_NETLINK == 16);
  const struct {
    std::string op, values;
    std::set<int> denied;
  } cases[] = {
      {"Equal", "\"2\", \"10\"", {AF_INET, AF_INET6}},
      {"NotEqual", "\"2\"", {AF_UNIX, AF_INET6, AF_NETLINK}},
      {"In", "\"0x10\"", {AF_NETLINK}},
      {"NotIn", "\"1\", \"2\", \"10\"", {AF_NETLINK}},
      {"GT", "\"2\"", {AF_INET6, AF_NETLINK}},
      {"LT", "\"2\"", {AF_UNIX}},
      {"Mask", "\"0x2\"", {AF_INET, AF_INET6}},
      {"InRange", "\"2:10\"", {AF_INET, AF_INET6}},
      {"InRange", "\"-5:1\"", {AF_UNIX}},
      {"NotInRange", "\"2:10\"", {AF_UNIX, AF_NETLINK}},
      {"InMap", "\"1\", \"10:16\"", {AF_UNIX, AF_INET6, AF_NETLINK}},
      {"NotInMap", "\"1\", \"10:16\"", {AF_INET}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.op + " " + c.values);
    Must(gatehouse().Apply(Policy("sockets", "hook: socket_create", "{index: 0, type: int}",
                                  "{index: 0, operator: " + c.op + ", values: [" + c.values + "]}",
                                  kDeny)));
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {
      const int type = family == AF_NETLINK ? SOCK_RAW : SOCK_STREAM;
      EXPECT_EQ(Socket(family, type), c.denied.contains(family) ? Denied(EPERM) : Allowed())
          << family;
    }
  }
}

TEST_P(Hooks, ManyNumbersAreSearched) {
  std::string values;
  for (int i = 0; i < 2000; ++i) values += (i == 0 ? "\"" : ", \"") + std::to_string(3 * i) + "\"";
  Must(gatehouse().Apply(Policy("sockets", "hook: socket_create", "{index: 0, type: int}",
                                "{index: 0, operator: In, values: [" + values + "]}", kDeny)));
  EXPECT_EQ(Socket(AF_UNIX), Allowed());
  EXPECT_EQ(Socket(AF_INET), Allowed());
  EXPECT_EQ(Socket(15), Denied(EPERM));  // AF_KEY
}

TEST_P(Hooks, AFunctionThatIsNoHookCanKillAndTell) {
  const std::string truncate_listed = "{index: 0, operator: In, values: [" + listed_ + "]}";
  const std::string arguments = "{index: 0, type: path}, {index: 1, type: int64}";
  Must(gatehouse().Apply(
      Policy("kills", "call: vfs_truncate", arguments, truncate_listed, "{action: Sigkill}")));
  EXPECT_EQ(cgroup_.Run([&] { return Errno(truncate(other_.c_str(), 7)); }), Allowed());
  EXPECT_EQ(cgroup_.Run([&] { return Errno(truncate(listed_.c_str(), 7)); }), Killed(SIGKILL));
  const std::vector<Event> events = Events();
  ASSERT_EQ(events.size(), 1U);
  const auto& told = events[0].enriched->process_kprobe();
  EXPECT_EQ(told.function_name(), "vfs_truncate");
  EXPECT_EQ(told.action(), tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(told.args(0).path_arg().path(), listed_);
  EXPECT_EQ(told.args(1).long_arg(), 7);
  EXPECT_THAT(Refusal(Policy("denies", "call: vfs_truncate", arguments, truncate_listed, kDeny)),
              HasSubstr("Override is not possible"));
}

TEST_P(Hooks, WhatTheKernelLacksIsRefusedByName) {
  const std::string filter = "{index: 0, operator: In, values: [/x]}";
  EXPECT_THAT(Refusal(Policy("p", "hook: file_opened", kFileArgument, filter, kDeny)),
              HasSubstr("hook/file_opened: this kernel has no such LSM hook"));
  EXPECT_THAT(Refusal(Policy("p", "call: no_such_function", kFileArgument, filter, kDeny)),
              HasSubstr("no function of that name"));
  EXPECT_THAT(Refusal(Policy("p", "hook: file_open", "{index: 0, type: path}", filter, kDeny)),
              HasSubstr("a pointer to file"));
  EXPECT_THAT(Refusal(Policy("p", "hook: file_open", "{index: 3, type: file}",
                             "{index: 3, operator: In, values: [/x]}", kDeny)),
              HasSubstr("no argument 3"));
  EXPECT_THAT(Refusal(Policy("p", "hook: socket_create", "{index: 0, type: uint64}",
                             "{index: 0, operator: In, values: [\"1\"]}", kDeny)),
              HasSubstr("has 4 bytes, fewer than the 8"));
}

TEST_P(Hooks, MapsAndProgramsDoNotGrowWithPolicies) {
  constexpr int kPolicies = 300;
  Must(gatehouse().Apply(FileOpen("In", listed_)));
  const kernel::Status one = gatehouse().kernel().status();
  std::string many;
  for (int i = 0; i < kPolicies; ++i) {
    const std::string name = "p" + std::to_string(i);
    many += Policy(name, "hook: file_open", kFileArgument,
                   "{index: 0, operator: In, values: [/opt/" + name + "]}", kDeny);
    many +=
        Policy(name + "-s", "hook: socket_create", "{index: 0, type: int}",
               "{index: 0, operator: In, values: [\"" + std::to_string(1000 + i) + "\"]}", kDeny);
  }
  Must(gatehouse().Apply(many));
  const kernel::Status status = gatehouse().kernel().status();
  EXPECT_EQ(status.maps.size(), one.maps.size());
  uint64_t open_policies = 0;
  for (const kernel::HookStatus& hook : status.hooks) {
    if (hook.name == "file_open") open_policies = hook.policies;
    for (const kernel::HookStatus& before : one.hooks) {
      if (before.name != hook.name) continue;
      EXPECT_EQ(before.program_id, hook.program_id) << hook.name;
    }
  }
  EXPECT_EQ(open_policies, kPolicies + 1U);
  EXPECT_EQ(Open(listed_), Denied(EPERM));
  EXPECT_EQ(Open(other_), Allowed());
}

TEST_P(Hooks, EachWorkloadHasItsOwnFiles) {
  const Cgroup second("second");
  (void)Workload(second.path(), {{"app", "second"}});
  std::string policy = FileOpen("In", other_);
  policy.replace(policy.find("podSelector: {}"), 15, "podSelector: {matchLabels: {app: second}}");
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(Open(other_), Allowed());
  EXPECT_EQ(second.Run([&] { return Errno(open(other_.c_str(), O_RDONLY)); }), Denied(EPERM));
  EXPECT_EQ(second.Run([&] { return Errno(open(listed_.c_str(), O_RDONLY)); }), Allowed());
}

TEST_P(Hooks, TheActingProgramIsAnInputLikeAnyOther) {
  std::string policy = FileOpen("In", listed_);
  const std::string reader = programs_.Add("bin/reader");
  policy.replace(policy.find("      matchActions"), 0,
                 "      matchBinaries: [{operator: In, values: [" + reader + "]}]\n");
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(Open(listed_), Allowed()) << "not by that program";
  policy.replace(policy.find("operator: In, values: [" + reader), 12, "operator: NotIn");
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(Open(listed_), Denied(EPERM));
}

TEST_P(Hooks, MonitorTellsAndDoesNothing) {
  std::string policy = FileOpen("In", listed_);
  policy.replace(policy.find("  podSelector"), 0,
                 "  options: [{name: policy-mode, value: monitor}]\n");
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(Open(listed_), Allowed());
  const std::vector<Event> events = Events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].AsPolicy()->flags, GH_POLICY_MONITOR);
}

TEST_P(Hooks, TheFirstErrnoOfSeveralPoliciesIsReturned) {
  const std::string of_listed = "{index: 0, operator: In, values: [" + listed_ + "]}";
  const auto deny = [&](const std::string& name, int error) {
    return Policy(name, "hook: file_open", kFileArgument, of_listed,
                  "{action: Override, argError: -" + std::to_string(error) + "}");
  };
  Must(gatehouse().Apply(
      deny("b", EBUSY) + deny("a", EACCES) +
      Policy("c", "hook: file_open", kFileArgument, of_listed, "{action: Post}")));
  EXPECT_EQ(Open(listed_), Denied(EACCES));
  EXPECT_EQ(Events().size(), 3U);
}

TEST_P(Hooks, TemplatesTakeNumbers) {
  const std::string tmpl =
      "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicyTemplate\nmetadata: {name: t}\n"
      "spec:\n  variables: [{name: families, type: int}]\n  lsmhooks:\n  - hook: socket_create\n"
      "    args: [{index: 0, type: int}]\n    selectors:\n    - matchArgs: [{index: 0, operator: "
      "NotIn, valuesFromVariable: families}]\n      matchActions: [" +
      kDeny + "]\n";
  const auto binding = [](const std::string& values) {
    return "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicyBinding\nmetadata: {name: b}\n"
           "spec:\n  templateRef: {name: t}\n  podSelector: {}\n  bindings: [{name: families, "
           "values: [" +
           values + "]}]\n";
  };
  Must(gatehouse().Apply(tmpl + binding("\"1\", \"2\"")));
  EXPECT_EQ(Socket(AF_INET), Allowed());
  EXPECT_EQ(Socket(AF_INET6), Denied(EPERM));
  EXPECT_THAT(Refusal(binding("\"many\"")), HasSubstr("\"many\""));
  EXPECT_EQ(Socket(AF_INET6), Denied(EPERM)) << "what was in force stays";
  Must(gatehouse().Apply(binding("\"10\"")));
  EXPECT_EQ(Socket(AF_INET), Denied(EPERM));
  EXPECT_EQ(Socket(AF_INET6), Allowed());
}

TEST_P(Hooks, ManyHooksAndNoMapMore) {
  const size_t maps = gatehouse().kernel().status().maps.size();
  // Those that every backend can serve.
  const std::vector<std::string> hooks{
      "file_open",     "file_permission",    "file_ioctl",    "file_lock",      "file_fcntl",
      "socket_create", "socket_bind",        "socket_listen", "socket_connect", "inode_create",
      "inode_link",    "inode_unlink",       "inode_mkdir",   "inode_rmdir",    "inode_symlink",
      "task_kill",     "task_setnice",       "path_chmod",    "path_mkdir",     "capable",
      "sb_mount",      "ptrace_access_check"};
  std::string policies;
  for (const std::string& hook : hooks) {
    std::string name = "on-" + hook;
    std::ranges::replace(name, '_', '-');
    policies.append("---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: ");
    policies.append(name).append("}\nspec:\n  podSelector: {}\n  lsmhooks: [{hook: ").append(hook);
    policies.append(", selectors: [{matchActions: [{action: NoPost}]}]}]\n");
  }
  Must(gatehouse().Apply(policies));
  const kernel::Status status = gatehouse().kernel().status();
  EXPECT_EQ(status.maps.size(), maps);
  size_t with_policy = 0;  // before 5.13 those of other tests stay attached
  for (const kernel::HookStatus& hook : status.hooks) {
    if (hook.policies == 0) continue;
    ++with_policy;
    EXPECT_TRUE(hook.attached) << hook.name;
  }
  EXPECT_EQ(with_policy, hooks.size());
  EXPECT_EQ(Open(listed_), Allowed());
  EXPECT_EQ(gatehouse().Hits("on-file-open"), 1U);
}

}  // namespace
}  // namespace gatehouse::test
