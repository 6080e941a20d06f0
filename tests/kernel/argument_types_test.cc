// SPDX-License-Identifier: Apache-2.0
// Types of arguments that are about one part of the kernel each: sets of capabilities, credentials,
// commands of bpf(2), numbers of system calls.
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <csignal>
#include <cstring>

#include "compat.h"
#include "network.h"
// Behind the messages, whose constants have the names of its macros.
#include <linux/capability.h>

namespace gatehouse::test {
namespace {

using namespace network;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ArgumentTypes : public WithNetworks<DenyingTest> {
 protected:
  ProgramTree tree_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ArgumentTypes);
INSTANTIATE_TEST_SUITE_P(With, ArgumentTypes, ::testing::ValuesIn(DenyingBackends()), BackendOf);

// ---- sets of capabilities -----------------------------------------------------------------------

constexpr uint32_t kChown = 1U << CAP_CHOWN, kKillOthers = 1U << CAP_KILL;

/// Gives itself these; nothing is permitted that is not effective.
int SetCapabilities(uint32_t effective, uint32_t inheritable = 0) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct sets[2] = {
      {.effective = effective, .permitted = effective, .inheritable = inheritable}, {}};
  return Errno(syscall(SYS_capset, &header, sets));
}

const std::string kSets =
    "{index: 2, type: cap_effective}, {index: 3, type: cap_inheritable}, {index: 4, type: "
    "cap_permitted, label: permitted}";

TEST_P(ArgumentTypes, EveryOperatorOnSetsOfCapabilities) {
  const struct {
    std::string filter;
    std::set<uint32_t> denied;
  } cases[] = {
      {"Equal CAP_KILL", {kKillOthers}},
      {"Equal 0x21", {kKillOthers | kChown}},
      {"In CAP_CHOWN,CAP_KILL 0", {0, kKillOthers | kChown}},
      {"NotEqual CAP_KILL", {0, kKillOthers | kChown}},
      {"NotIn 0 0x20", {kKillOthers | kChown}},
      {"Mask CAP_CHOWN,CAP_FOWNER", {kKillOthers | kChown}},
      {"Mask CAP_FOWNER 0x20", {kKillOthers, kKillOthers | kChown}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.filter);
    Apply(Policy("p", "hook: capset", kSets, Filter(2, c.filter), kDeny));
    for (const uint32_t set : {0U, kKillOthers, kKillOthers | kChown}) {
      EXPECT_EQ(Try([&] { return SetCapabilities(set); }).outcome,
                c.denied.contains(set) ? Denied(EPERM) : Allowed())
          << set;
    }
  }
}

// The hook is shown the new sets and the credentials that there were: what is inheritable and not
// effective stands for a gain.
TEST_P(ArgumentTypes, CapabilitiesThatOneSetHasBeyondAnother) {
  const auto policy = [](const std::string& values) {
    return Policy("p", "hook: capset", kSets,
                  "{args: [0, 1], operator: CapabilitiesGained" + values + "}", kDeny);
  };
  Apply(policy(""));
  EXPECT_EQ(Try([] { return SetCapabilities(kKillOthers, kKillOthers); }).outcome, Allowed());
  EXPECT_EQ(Try([] { return SetCapabilities(kKillOthers | kChown, kKillOthers); }).outcome,
            Allowed());
  const Attempt attempt = Try([] { return SetCapabilities(kKillOthers, kKillOthers | kChown); });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "capset", tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(told.args(1).cap_inheritable_arg(), "0000000000000021");
  Apply(policy(", values: [CAP_FOWNER]"));
  EXPECT_EQ(Try([] { return SetCapabilities(kKillOthers, kKillOthers | kChown); }).outcome,
            Allowed());
}

TEST_P(ArgumentTypes, EverySetOfCapabilitiesIsTold) {
  for (const std::string hook : {"hook: capset", "call: security_capset"}) {
    SCOPED_TRACE(hook);
    Apply(Policy("p", hook, kSets, Filter(3, "Equal CAP_CHOWN"), kDeny));
    EXPECT_EQ(Try([] { return SetCapabilities(kKillOthers | kChown); }).outcome, Allowed());
    const Attempt attempt = Try([] { return SetCapabilities(kKillOthers | kChown, kChown); });
    EXPECT_EQ(attempt.outcome, Denied(EPERM));
    const Told told =
        TakeOne(attempt, hook.substr(hook.find(' ') + 1), tetragon::KPROBE_ACTION_OVERRIDE);
    ASSERT_EQ(told.args_size(), 3);
    EXPECT_EQ(told.args(0).cap_effective_arg(), "0000000000000021");
    EXPECT_EQ(told.args(1).cap_inheritable_arg(), "0000000000000001");
    EXPECT_EQ(told.args(2).cap_permitted_arg(), "0000000000000021");
    EXPECT_EQ(told.args(2).label(), "permitted");
  }
}

// The options of a mount are a `void *`, which may be anything, and here is null.
TEST_P(ArgumentTypes, ASetThatCannotBeReadIsNone) {
  ExpectCounter("number_fault");
  const auto mount_one = [&] {
    return Try([&] {
      if (unshare(CLONE_NEWNS) != 0) return EPROTO;
      return Errno(mount("none", tree_.path().c_str(), "tmpfs", 0, nullptr));
    });
  };
  const auto policy = [](const std::string& filter) {
    return Policy("p", "hook: sb_mount", "{index: 4, type: kernel_cap_t}", Filter(4, filter),
                  kDeny);
  };
  Apply(policy("In 0 CAP_KILL"));
  EXPECT_EQ(mount_one().outcome, Allowed());
  Apply(policy("Mask 0xffffffffffffffff"));
  EXPECT_EQ(mount_one().outcome, Allowed());
  Apply(policy("NotIn 0 CAP_KILL"));
  const Attempt attempt = mount_one();
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "sb_mount", tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(told.args(0).arg_case(), tetragon::KprobeArgument::ARG_NOT_SET);
  EXPECT_THAT(told.tags(), Contains("gatehouse.unreadable.fault"));
}

TEST_P(ArgumentTypes, TypesThatAreOthersAreRefused) {
  EXPECT_THAT(Refusal(Policy("p", "hook: capable", "{index: 2, type: cap_effective}",
                             Filter(2, "Equal 0"), kDeny)),
              HasSubstr("is a number, and its type in the policy is read from a pointer to "
                        "kernel_cap_t"));
  EXPECT_THAT(
      Refusal(Policy("p", "hook: capset", "{index: 2, type: file}", Filter(2, "Equal /x"), kDeny)),
      HasSubstr("is a pointer to kernel_cap_"));
  EXPECT_THAT(Refusal(Policy("p", "hook: socket_create", "{index: 0, type: syscall64}",
                             Filter(0, "Equal 1"), kDeny)),
              HasSubstr("has 4 bytes, fewer than the 8"));
}

// ---- credentials --------------------------------------------------------------------------------

// Of a capset(2), what the process will have and what it has.
TEST_P(ArgumentTypes, EveryFieldOfCredentials) {
  Apply(Policy("p", "hook: capset",
               "{index: 0, type: cred}, {index: 1, type: cred, label: old}, " + kSets,
               Filter(2, "Equal CAP_KILL"), kDeny));
  const Attempt attempt = Try([] {
    // Groups first: an ordinary user cannot change them.
    const bool ready = setresgid(11, 12, 13) == 0 &&
                       prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS) == 0 &&
                       setresuid(21, 22, 23) == 0;
    return ready ? SetCapabilities(kKillOthers) : EPROTO;
  });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "capset", tetragon::KPROBE_ACTION_OVERRIDE);
  ASSERT_EQ(told.args_size(), 5);
  const tetragon::ProcessCredentials& cred = told.args(1).process_credentials_arg();
  EXPECT_EQ(told.args(1).label(), "old");
  EXPECT_EQ(cred.uid().value(), 21U);
  EXPECT_EQ(cred.euid().value(), 22U);
  EXPECT_EQ(cred.suid().value(), 23U);
  EXPECT_EQ(cred.fsuid().value(), 22U);
  EXPECT_EQ(cred.gid().value(), 11U);
  EXPECT_EQ(cred.egid().value(), 12U);
  EXPECT_EQ(cred.sgid().value(), 13U);
  EXPECT_EQ(cred.fsgid().value(), 12U);
  EXPECT_THAT(cred.securebits(), ElementsAre(tetragon::SecBitKeepCaps));
  EXPECT_GT(cred.caps().permitted_size(), 30);
  EXPECT_EQ(cred.caps().effective_size(), 0) << "an ordinary user";
  EXPECT_EQ(cred.caps().inheritable_size(), 0);
  EXPECT_EQ(cred.user_ns().level().value(), 0);
  EXPECT_TRUE(cred.user_ns().ns().is_host());
  struct stat own{};
  ASSERT_EQ(stat("/proc/self/ns/user", &own), 0);
  EXPECT_EQ(cred.user_ns().ns().inum(), own.st_ino);
  // The new ones are a copy that capset(2) has not changed yet.
  EXPECT_EQ(told.args(0).process_credentials_arg().uid().value(), 21U);
}

TEST_P(ArgumentTypes, AUserNamespaceHasALevel) {
  Apply(Policy("p", "hook: capable",
               "{index: 1, type: user_namespace}, {index: 2, type: capability}",
               Filter(2, "Equal CAP_SYS_CHROOT"), kDeny));
  const Attempt attempt = Try([] {
    if (unshare(CLONE_NEWUSER) != 0) return EPROTO;
    return Errno(chroot("/"));
  });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "capable", tetragon::KPROBE_ACTION_OVERRIDE);
  const tetragon::UserNamespace& user_ns = told.args(0).user_ns_arg();
  EXPECT_EQ(user_ns.level().value(), 1);
  EXPECT_FALSE(user_ns.ns().is_host());
  EXPECT_NE(user_ns.ns().inum(), 0U);
  EXPECT_EQ(user_ns.uid().value(), getuid());
}

// ---- numbers ------------------------------------------------------------------------------------

TEST_P(ArgumentTypes, CommandsOfBpfAreDeniedByName) {
  Apply(Policy("p", "hook: bpf", "{index: 0, type: bpf_cmd}",
               Filter(0, "In BPF_MAP_FREEZE BPF_PROG_DETACH"), kDeny));
  const auto ask = [&](bpf_cmd command) {
    return Try([&] {
      bpf_attr attributes{};
      attributes.map_fd = UINT32_MAX;
      return Errno(syscall(SYS_bpf, command, &attributes, sizeof(attributes.map_fd)));
    });
  };
  EXPECT_EQ(ask(BPF_MAP_LOOKUP_ELEM).outcome, Denied(EBADF));
  const Attempt attempt = ask(BPF_MAP_FREEZE);
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "bpf", tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(told.args(0).bpf_cmd_arg(), tetragon::BPF_MAP_FREEZE);
}

/// As a program of 32 bits does: with the number and the arguments of the 32-bit table.
long CompatTruncate(const char* path, long length) {
  constexpr long kTruncate = 92;
  return CompatCall(kTruncate, reinterpret_cast<long>(path), length);
}

// The length of a file stands for the number: what is compared and told is the argument's value,
// and in which table the process is.
TEST_P(ArgumentTypes, NumbersOfSystemCallsSayOfWhichTableTheyAre) {
  const std::string path = tree_.Add("file");
  Apply(Policy("p", "call: vfs_truncate", "{index: 0, type: path}, {index: 1, type: syscall64}",
               Filter(0, "Equal " + path) + ", " + Filter(1, "Equal 0x80000007 8"), kKill));
  const auto cut = [&](long length) {
    return Try([&] { return Errno(truncate(path.c_str(), length)); });
  };
  const auto cut_by_compat = [&](long length) {
    return Try([&] {
      void* const low = mmap(nullptr, path.size() + 1, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
      if (low == MAP_FAILED) return EPROTO;
      return Errno(CompatTruncate(std::strcpy(static_cast<char*>(low), path.c_str()), length));
    });
  };
  EXPECT_EQ(cut(7).outcome, Allowed());
  EXPECT_EQ(cut_by_compat(8).outcome, Allowed());
  EXPECT_EQ(TellingPolicies(), "");
  const Attempt native = cut(8);
  EXPECT_EQ(native.outcome, Killed(SIGKILL));
  const Told of_native = TakeOne(native, "vfs_truncate", tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(of_native.args(1).syscall_id().id(), 8U);
  EXPECT_EQ(of_native.args(1).syscall_id().abi(), "x64");
  const Attempt compat = cut_by_compat(7);
  EXPECT_EQ(compat.outcome, Killed(SIGKILL));
  const Told of_compat = TakeOne(compat, "vfs_truncate", tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(of_compat.args(1).syscall_id().id(), 7U);
  EXPECT_EQ(of_compat.args(1).syscall_id().abi(), "i386");
}

}  // namespace
}  // namespace gatehouse::test
