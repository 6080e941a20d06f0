// SPDX-License-Identifier: Apache-2.0
// System calls, before them and at their return; and filters on the process that makes them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

/// A hook of a policy, in parts as they are written.
struct CallText {
  std::string call = "sys_mkdirat";
  std::string args = "{index: 0, type: int}, {index: 1, type: string, label: path}";
  std::string returned = {};  ///< type of returnArg; not empty: `return: true`
  std::string selectors = {};
};

std::string Policy(const std::string& name, const CallText& text) {
  std::string policy =
      "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
      "}\nspec:\n  podSelector: {}\n  kprobes:\n  - call: " + text.call + "\n    args: [" +
      text.args + "]\n";
  if (!text.returned.empty())
    policy += "    return: true\n    returnArg: {index: 0, type: " + text.returned + "}\n";
  if (!text.selectors.empty()) policy += "    selectors:\n" + text.selectors;
  return policy;
}

std::string Selector(const std::string& filters, const std::string& action = "{action: Post}") {
  return "    - " + (filters.empty() ? "" : filters + "\n      ") + "matchActions: [" + action +
         "]\n";
}

std::string PathIs(const std::string& op, const std::string& path) {
  return "matchArgs: [{index: 1, operator: " + op + ", values: [\"" + path + "\"]}]";
}

constexpr const char* kKill = "{action: Sigkill}";

class SystemCalls : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  /// Makes a directory below the tree's, with that system call.
  [[nodiscard]] Attempt MakeDirectory(const std::string& name) const {
    return cgroup_.Try(
        [&] { return Errno(syscall(SYS_mkdirat, AT_FDCWD, Path(name).c_str(), 0700)); });
  }
  [[nodiscard]] std::string Path(const std::string& name) const {
    return programs_.path() + "/" + name;
  }
  static std::vector<tetragon::ProcessKprobe> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_kprobe);
  }

  const Cgroup cgroup_{"app"};
};

TEST_F(SystemCalls, EveryFieldOfAnEvent) {
  Must(gatehouse().Apply(Policy("p", {.selectors = Selector(PathIs("Postfix", "/made"))})));
  EXPECT_EQ(MakeDirectory("other").outcome, Allowed());
  const Attempt attempt = MakeDirectory("made");
  EXPECT_EQ(attempt.outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].function_name(), "__x64_sys_mkdirat");
  EXPECT_EQ(told[0].policy_name(), "p");
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(attempt.pid));
  ASSERT_EQ(told[0].args_size(), 2);
  EXPECT_EQ(told[0].args(0).int_arg(), AT_FDCWD);
  EXPECT_EQ(told[0].args(1).string_arg(), Path("made"));
  EXPECT_EQ(told[0].args(1).label(), "path");
  EXPECT_FALSE(told[0].has_return_());
}

TEST_F(SystemCalls, TheKernelsNameIsTheSameCall) {
  Must(gatehouse().Apply(Policy("a", {.call = "sys_mkdirat"}) +
                         Policy("b", {.call = "__x64_sys_mkdirat"})));
  EXPECT_EQ(MakeDirectory("made").outcome, Allowed());
  EXPECT_EQ(Told().size(), 2U);
  size_t hooks = 0;
  for (const kernel::HookStatus& hook : gatehouse().kernel().status().hooks) {
    if (hook.name != "sys_mkdirat") continue;
    ++hooks;
    EXPECT_EQ(hook.policies, 2U);
  }
  EXPECT_EQ(hooks, 1U);
}

TEST_F(SystemCalls, KillsByAnArgument) {
  Must(gatehouse().Apply(Policy("p", {.selectors = Selector(PathIs("Equal", Path("no")), kKill)})));
  EXPECT_EQ(MakeDirectory("yes").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("no").outcome, Killed(SIGKILL));
}

TEST_F(SystemCalls, CommandsOfBpfHaveNames) {
  Must(gatehouse().Apply(
      Policy("p", {.call = "sys_bpf",
                   .args = "{index: 0, type: bpf_cmd, label: command}, {index: 2, type: syscall64}",
                   .selectors = Selector("matchArgs: [{index: 0, operator: Equal, values: "
                                         "[BPF_MAP_FREEZE]}]",
                                         kKill)})));
  const auto ask = [&](bpf_cmd command) {
    return cgroup_.Try([&] {
      bpf_attr attributes{};
      attributes.map_fd = UINT32_MAX;
      return Errno(syscall(SYS_bpf, command, &attributes, sizeof(attributes.map_fd)));
    });
  };
  EXPECT_EQ(ask(BPF_MAP_LOOKUP_ELEM).outcome, Denied(EBADF));
  EXPECT_EQ(ask(BPF_MAP_FREEZE).outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).bpf_cmd_arg(), tetragon::BPF_MAP_FREEZE);
  EXPECT_EQ(told[0].args(0).label(), "command");
  EXPECT_EQ(told[0].args(1).syscall_id().id(), sizeof(bpf_attr::map_fd));
  EXPECT_EQ(told[0].args(1).syscall_id().abi(), "x64");
}

TEST_F(SystemCalls, AddressesOfUnixAreReadFromTheProcess) {
  Must(gatehouse().Apply(Policy("p", {.call = "sys_connect",
                                      .args = "{index: 1, type: sockaddr_un}",
                                      .selectors = Selector(PathIs("Equal", "/run/no"), kKill)})));
  const auto connect_to = [&](const std::string& path) {
    return cgroup_.Try([&] {
      sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
      std::memset(address.sun_path, 'x', sizeof(address.sun_path));
      std::memcpy(address.sun_path, path.data(), path.size());
      return Errno(connect(socket(AF_UNIX, SOCK_STREAM, 0),
                           reinterpret_cast<const sockaddr*>(&address),
                           static_cast<socklen_t>(sizeof(sa_family_t) + path.size())));
    });
  };
  EXPECT_EQ(connect_to("/run/yes").outcome, Denied(ENOENT));
  EXPECT_EQ(connect_to("/run/no").outcome, Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).sockaddrun_arg().family(), "AF_UNIX");
  EXPECT_EQ(told[0].args(0).sockaddrun_arg().path(), "/run/no");
}

TEST_F(SystemCalls, OverrideIsWhatTheCallReturns) {
  const std::string policy = Policy(
      "p",
      {.selectors = Selector(PathIs("Equal", Path("no")), "{action: Override, argError: -28}")});
  if (!gatehouse().denies()) {
    EXPECT_THAT(Refusal(policy), HasSubstr("cannot deny a system call"));
    return;
  }
  if (const auto applied = gatehouse().Apply(policy); !applied) {
    // Debian's kernels are built without it; so far no kernel with it was tried. With full
    // preemption there is no fmod_ret.
    EXPECT_THAT(applied.error().Message(), AnyOf(HasSubstr("CONFIG_FUNCTION_ERROR_INJECTION"),
                                                 HasSubstr("by fmod_ret programs")));
    return;
  }
  EXPECT_EQ(MakeDirectory("yes").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("no").outcome, Denied(ENOSPC));
  EXPECT_NE(access(Path("no").c_str(), F_OK), 0);
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_OVERRIDE);
}

TEST_F(SystemCalls, TellWhatIsReturned) {
  Must(gatehouse().Apply(Policy("p", {.returned = "int"})));
  EXPECT_EQ(MakeDirectory("made").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("made").outcome, Denied(EEXIST));
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  ASSERT_TRUE(told[0].has_return_());
  EXPECT_EQ(told[0].return_().int_arg(), 0);
  EXPECT_EQ(told[0].args(1).string_arg(), Path("made"));
  EXPECT_EQ(told[1].return_().int_arg(), -EEXIST);
}

TEST_F(SystemCalls, AreJudgedByWhatIsReturned) {
  Must(gatehouse().Apply(Policy(
      "p",
      {.returned = "int",
       .selectors = Selector("matchReturnArgs: [{index: 0, operator: Equal, values: [\"-17\"]}]") +
                    Selector(PathIs("Postfix", "/told"))})));
  EXPECT_EQ(MakeDirectory("made").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("made").outcome, Denied(EEXIST));
  EXPECT_EQ(MakeDirectory("told").outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].return_().int_arg(), -EEXIST);
  EXPECT_EQ(told[1].args(1).string_arg(), Path("told"));
  EXPECT_EQ(gatehouse().Hits("p"), 2U);
}

TEST_F(SystemCalls, KillByWhatIsReturned) {
  Must(gatehouse().Apply(Policy(
      "p", {.returned = "int",
            .selectors = Selector("matchReturnArgs: [{operator: LT, values: [\"0\"]}]", kKill)})));
  EXPECT_EQ(MakeDirectory("made").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("made").outcome, Killed(SIGKILL));
}

// A selector that kills acts before the call; what only tells, tells of the return.
TEST_F(SystemCalls, ASelectorActsOnce) {
  Must(gatehouse().Apply(Policy("p", {.returned = "int",
                                      .selectors = Selector(PathIs("Postfix", "/no"), kKill) +
                                                   Selector(PathIs("Postfix", "/told"))})));
  EXPECT_EQ(MakeDirectory("no").outcome, Killed(SIGKILL));
  EXPECT_EQ(MakeDirectory("told").outcome, Allowed());
  EXPECT_EQ(MakeDirectory("other").outcome, Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_FALSE(told[0].has_return_());
  EXPECT_EQ(told[1].action(), tetragon::KPROBE_ACTION_POST);
  EXPECT_TRUE(told[1].has_return_());
  EXPECT_EQ(gatehouse().Hits("p"), 2U);
}

TEST_F(SystemCalls, ADescriptorIsItsFilesPath) {
  const std::string listed = programs_.Add("listed"), other = programs_.Add("other");
  Must(gatehouse().Apply(Policy(
      "p", {.call = "sys_fchmod",
            .args = "{index: 0, type: fd}, {index: 1, type: uint32}",
            .selectors = Selector("matchArgs: [{index: 0, operator: Equal, values: [" + listed +
                                  "]}, {index: 1, operator: Mask, values: "
                                  "[\"0x800\"]}]")})));
  const auto change = [&](const std::string& path, mode_t mode) {
    return cgroup_.Run([&] { return Errno(fchmod(open(path.c_str(), O_RDONLY), mode)); });
  };
  EXPECT_EQ(change(other, 04755), Allowed());
  EXPECT_EQ(change(listed, 0755), Allowed());
  EXPECT_EQ(change(listed, 04755), Allowed());
  EXPECT_EQ(cgroup_.Run([&] { return Errno(fchmod(12345, 04755)); }), Denied(EBADF));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).file_arg().path(), listed);
  EXPECT_EQ(told[0].args(1).uint_arg(), 04755U);
  ExpectCounter("path_fault");  // of the descriptor that nobody has
}

TEST_F(SystemCalls, AFileHasAType) {
  const auto policy = [](const std::string& name, const std::string& filter) {
    return Policy(name,
                  {.call = "sys_fchmod",
                   .args = "{index: 0, type: fd}",
                   .selectors = Selector("matchArgs: [{index: 0, operator: " + filter + "}]")});
  };
  Must(gatehouse().Apply(policy("dir", "FileType, values: [dir]") +
                         policy("not-reg", "NotFileType, values: [reg, sock]") +
                         policy("pipe-or-file", "FileType, values: [fifo, reg]")));
  const auto change = [&](const std::function<int()>& open_one) {
    return cgroup_.Run([&] { return Errno(fchmod(open_one(), 0755)); });
  };
  const auto told = [] {
    std::string names;
    for (const auto& event : Told()) names += (names.empty() ? "" : " ") + event.policy_name();
    return names;
  };
  const std::string file = programs_.Add("file");
  EXPECT_EQ(change([&] { return open(file.c_str(), O_RDONLY); }), Allowed());
  EXPECT_EQ(told(), "pipe-or-file");
  EXPECT_EQ(change([&] { return open(programs_.path().c_str(), O_RDONLY); }), Allowed());
  EXPECT_EQ(told(), "dir not-reg");
  EXPECT_EQ(change([] {
              int ends[2];
              return pipe(ends) == 0 ? ends[0] : -1;
            }),
            Allowed());
  EXPECT_EQ(told(), "not-reg pipe-or-file");
  // What is not there has no type; its path cannot be read either, which is counted.
  EXPECT_EQ(change([] { return 12345; }), Denied(EBADF));
  EXPECT_EQ(told(), "not-reg");
  ExpectCounter("path_fault");
}

TEST_F(SystemCalls, AnUnreadableStringIsInNoSet) {
  Must(gatehouse().Apply(
      Policy("in", {.selectors = Selector(PathIs("Prefix", "/"))}) +
      Policy("not-in", {.selectors = Selector(PathIs("NotPrefix", "/"), kKill)})));
  EXPECT_EQ(cgroup_.Run([&] { return Errno(syscall(SYS_mkdirat, AT_FDCWD, 1, 0700)); }),
            Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].policy_name(), "not-in");
  ExpectCounter("string_fault");
}

TEST_F(SystemCalls, AnArgumentThatIsNotRead) {
  Must(gatehouse().Apply(Policy("p", {.call = "sys_getpgid", .args = "{index: 0, type: nop}"})));
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_getpgid, 0)); }), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args_size(), 0);
}

TEST_F(SystemCalls, AreRefusedByName) {
  EXPECT_THAT(Refusal(Policy("p", {.call = "sys_no_such_call"})), HasSubstr("sys_no_such_call"));
  EXPECT_THAT(Refusal(Policy("p", {.call = "mkdirat"})),
              HasSubstr("\"mkdirat\" is no system call"));
}

// ---- who makes the call
// -------------------------------------------------------------------------

class Callers : public SystemCalls {
 protected:
  static std::string CallOf(const std::string& filters) {
    return Policy(
        "p",
        {.call = "sys_getpgid", .args = "{index: 0, type: nop}", .selectors = Selector(filters)});
  }
  /// Whether the policy tells of a call by a process that `prepare` has made ready.
  [[nodiscard]] bool Tells(const std::function<bool()>& prepare) const {
    const Outcome outcome = cgroup_.Run([&] {
      if (!prepare()) return EINVAL;
      return Errno(syscall(SYS_getpgid, 0));
    });
    EXPECT_EQ(outcome, Allowed());
    return !Told().empty();
  }
  [[nodiscard]] bool Tells() const {
    return Tells([] { return true; });
  }
};

TEST_F(Callers, ByProcessId) {
  const auto with = [](const std::string& op, pid_t pid) {
    return CallOf("matchPIDs: [{operator: " + op + ", values: [" + std::to_string(pid) + "]}]");
  };
  const pid_t child = kernel::testing::ForkInto(cgroup_.path());
  if (child == 0) {
    raise(SIGSTOP);
    _exit(syscall(SYS_getpgid, 0) < 0 ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  Must(gatehouse().Apply(with("In", child)));
  EXPECT_FALSE(Tells()) << "another process";
  kill(child, SIGCONT);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].process().pid().value(), static_cast<uint32_t>(child));
  Must(gatehouse().Apply(with("NotIn", child)));
  EXPECT_TRUE(Tells());
}

TEST_F(Callers, ByProcessIdInTheirNamespace) {
  Must(gatehouse().Apply(CallOf("matchPIDs: [{operator: In, isNamespacePID: true, values: [1]}]")));
  EXPECT_FALSE(Tells());
  const Outcome outcome = cgroup_.Run([] {
    if (unshare(CLONE_NEWPID) != 0) return errno;
    const pid_t child = fork();
    if (child == 0) _exit(syscall(SYS_getpgid, 0) < 0 ? 1 : 0);
    int status = 0;
    waitpid(child, &status, 0);
    return Errno(status == 0 ? 0 : -1);
  });
  EXPECT_EQ(outcome, Allowed());
  EXPECT_EQ(Told().size(), 1U);
}

TEST_F(Callers, ByCapabilities) {
  // capset(2); <linux/capability.h> does not go together with the API's names of capabilities.
  constexpr int kChown = 0;
  const auto drop = [](int capability) {
    struct {
      uint32_t version = 0x20080522;
      int pid = 0;
    } header;
    struct {
      uint32_t effective, permitted, inheritable;
    } data[2]{};
    if (syscall(SYS_capget, &header, data) != 0) return false;
    data[capability / 32].effective &= ~(1U << (capability % 32));
    return syscall(SYS_capset, &header, data) == 0;
  };
  const auto with = [](const std::string& type, const std::string& op, const std::string& values) {
    return CallOf("matchCapabilities: [{type: " + type + ", operator: " + op + ", values: [" +
                  values + "]}]");
  };
  const struct {
    std::string type, op, values;
    bool whole, dropped;  // tells with all capabilities, without CAP_CHOWN's effect
  } cases[] = {
      {"Effective", "In", "CAP_CHOWN", true, false},
      {"Effective", "In", "CAP_CHOWN, CAP_KILL", true, true},
      {"Effective", "In", "\"0\"", true, false},
      {"Effective", "NotIn", "CAP_CHOWN", false, true},
      {"Permitted", "In", "CAP_CHOWN", true, true},
      {"Inheritable", "In", "CAP_CHOWN", false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.type + " " + c.op + " " + c.values);
    Must(gatehouse().Apply(with(c.type, c.op, c.values)));
    EXPECT_EQ(Tells(), c.whole);
    EXPECT_EQ(Tells([&] { return drop(kChown); }), c.dropped);
  }
}

TEST_F(Callers, ByNamespaces) {
  const auto with = [](const std::string& kind, const std::string& op, const std::string& value) {
    return CallOf("matchNamespaces: [{namespace: " + kind + ", operator: " + op + ", values: [\"" +
                  value + "\"]}]");
  };
  struct stat status{};
  if (stat("/proc/1/ns/uts", &status) != 0) {
    EXPECT_THAT(Refusal(with("Uts", "In", "host_ns")), HasSubstr("matchNamespaces"));
    return;
  }
  const std::string number = std::to_string(status.st_ino);
  const struct {
    std::string kind, op, value;
    bool host, own;
  } cases[] = {
      {"Uts", "In", "host_ns", true, false},   {"Uts", "NotIn", "host_ns", false, true},
      {"Uts", "In", number, true, false},      {"Uts", "NotIn", number, false, true},
      {"Uts", "In", "1", false, false},        {"Mnt", "In", "host_ns", true, true},
      {"Ipc", "In", "host_ns", true, true},    {"Net", "In", "host_ns", true, true},
      {"User", "In", "host_ns", true, true},   {"Pid", "In", "host_ns", true, true},
      {"Cgroup", "In", "host_ns", true, true}, {"PidForChildren", "In", "host_ns", true, true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.kind + " " + c.op + " " + c.value);
    Must(gatehouse().Apply(with(c.kind, c.op, c.value)));
    EXPECT_EQ(Tells(), c.host);
    EXPECT_EQ(Tells([] { return unshare(CLONE_NEWUTS) == 0; }), c.own);
  }
}

}  // namespace
}  // namespace gatehouse::test
