// SPDX-License-Identifier: Apache-2.0
// Types of arguments that are texts: paths of dentries and of what is read or written, addresses of
// AF_UNIX, names of interfaces and of modules.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <csignal>
#include <cstddef>

#include "network.h"

namespace gatehouse::test {
namespace {

using namespace network;
using ::testing::Contains;
using ::testing::HasSubstr;

class ArgumentTexts : public WithNetworks<DenyingTest> {
 protected:
  [[nodiscard]] std::string Path(const std::string& name) const {
    return tree_.path() + "/" + name;
  }

  ProgramTree tree_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ArgumentTexts);
INSTANTIATE_TEST_SUITE_P(With, ArgumentTexts, ::testing::ValuesIn(DenyingBackends()), BackendOf);

// ---- paths --------------------------------------------------------------------------------------

const std::string kNewDirectory = "{index: 1, type: dentry, label: made}";

std::string OnMkdir(const std::string& filter, const std::string& action = kDeny) {
  return Policy("p", "hook: inode_mkdir", kNewDirectory, Filter(1, filter), action);
}

/// In a mount namespace of its own, with a new file system at `path`.
bool MountAt(const std::string& path) {
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("none", path.c_str(), "tmpfs", 0, nullptr) == 0;
}

TEST_P(ArgumentTexts, ADentryIsComparedByItsPath) {
  const std::string listed = tree_.Add("dir/listed"), other = tree_.Add("dir/other");
  for (const std::string hook : {"hook: inode_unlink", "call: security_inode_unlink"}) {
    SCOPED_TRACE(hook);
    Apply(Policy("p", hook, "{index: 1, type: dentry}", Filter(1, "Equal " + listed), kDeny));
    (void)tree_.Add("dir/other");
    EXPECT_EQ(Try([&] { return Errno(unlink(other.c_str())); }).outcome, Allowed());
    const Attempt attempt = Try([&] { return Errno(unlink(listed.c_str())); });
    EXPECT_EQ(attempt.outcome, Denied(EPERM));
    const Told told =
        TakeOne(attempt, hook.substr(hook.find(' ') + 1), tetragon::KPROBE_ACTION_OVERRIDE);
    EXPECT_EQ(told.args(0).path_arg().path(), listed);
    EXPECT_EQ(told.args(0).path_arg().permission(), "-rwxr-xr-x");
  }
}

TEST_P(ArgumentTexts, WhatIsMadeHasItsPathAlready) {
  Apply(OnMkdir("Prefix " + Path("no")));
  EXPECT_EQ(Try([&] { return Errno(mkdir(Path("yes").c_str(), 0700)); }).outcome, Allowed());
  const Attempt attempt = Try([&] { return Errno(mkdir(Path("no").c_str(), 0700)); });
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "inode_mkdir", tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(told.args(0).path_arg().path(), Path("no"));
  EXPECT_EQ(told.args(0).label(), "made");
}

TEST_P(ArgumentTexts, ADentryIsFoundOnAnyMountOfTheNamespace) {
  ASSERT_EQ(mkdir(Path("mnt").c_str(), 0700), 0);
  const auto make_on = [&](const std::string& directory, const std::string& from) {
    return Try([&] {
             if (!MountAt(Path("mnt")) || chdir(from.c_str()) != 0) return EPROTO;
             return Errno(mkdir(directory.c_str(), 0700));
           })
        .outcome;
  };
  Apply(OnMkdir("Equal " + Path("mnt/no")));
  EXPECT_EQ(make_on(Path("mnt/yes"), "/"), Allowed());
  EXPECT_EQ(make_on(Path("mnt/no"), "/"), Denied(EPERM)) << "the mount is one of many";
  EXPECT_EQ(make_on("no", Path("mnt")), Denied(EPERM)) << "the mount is the current directory's";
  EXPECT_EQ(Names([](const Told& told) { return told.args(0).path_arg().path(); }),
            Path("mnt/no") + " " + Path("mnt/no"));
}

TEST_P(ArgumentTexts, ADentryWithoutMountIsUnreadable) {
  ExpectCounter("path_unreachable");
  ASSERT_EQ(mkdir(Path("mnt").c_str(), 0700), 0);
  const auto make_in_detached = [&] {
    return Try([&] {
      if (!MountAt(Path("mnt")) || chdir(Path("mnt").c_str()) != 0) return EPROTO;
      if (umount2(Path("mnt").c_str(), MNT_DETACH) != 0) return EPROTO;
      return Errno(mkdir("made", 0700));
    });
  };
  Apply(OnMkdir("Postfix made"));
  EXPECT_EQ(make_in_detached().outcome, Allowed());
  Apply(OnMkdir("NotPostfix made"));
  const Attempt attempt = make_in_detached();
  EXPECT_EQ(attempt.outcome, Denied(EPERM));
  const Told told = TakeOne(attempt, "inode_mkdir", tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(told.args(0).path_arg().path(), "");
  EXPECT_THAT(told.tags(), Contains("gatehouse.unreadable.unreachable"));
}

TEST_P(ArgumentTexts, WhatIsWrittenToHasAPath) {
  const std::string listed = tree_.Add("listed"), other = tree_.Add("other");
  Apply(Policy("p", "call: generic_write_checks", "{index: 0, type: kiocb}",
               Filter(0, "Equal " + listed), kKill));
  const auto write_to = [&](const std::string& path) {
    return Try([&] { return Errno(write(open(path.c_str(), O_WRONLY | O_APPEND), "\n", 1)); });
  };
  EXPECT_EQ(write_to(other).outcome, Allowed());
  const Attempt attempt = write_to(listed);
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const Told told = TakeOne(attempt, "generic_write_checks", tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(told.args(0).file_arg().path(), listed);
  EXPECT_EQ(told.args(0).file_arg().permission(), "-rwxr-xr-x");
}

// ---- addresses of AF_UNIX -----------------------------------------------------------------------

/// As many bytes as `name` has, and no NUL behind them. What follows is not part of the address.
Address Unix(const std::string& name) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::ranges::fill(address.sun_path, 'x');
  std::ranges::copy(name, address.sun_path);
  Address whole = ToAddress(address);
  whole.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return whole;
}

const std::string kUnix = "{index: 1, type: sockaddr_un, label: to}";

TEST_P(ArgumentTexts, EveryOperatorOnAddressesOfUnix) {
  using namespace std::string_literals;
  const Address file = Unix("/run/listed"), with_nul = Unix("/run/listed\0rest"s);
  const Address other = Unix("/run/other"), abstract = Unix("\0/run/listed"s);
  const struct {
    std::string filter;
    bool file, other, abstract, inet;  // which are denied
  } cases[] = {
      {"Equal /run/listed", true, false, false, false},
      {"In @/run/listed", false, false, true, false},
      {"NotEqual /run/listed", false, true, true, true},
      {"Prefix /run/", true, true, false, false},
      {"NotPrefix /run/ @", false, false, false, true},
      {"Postfix /listed", true, false, true, false},
      {"Family AF_UNIX", true, true, true, false},
      {"Family AF_INET", false, false, false, true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.filter);
    Apply(Policy("p", "hook: socket_connect", kUnix, Filter(1, c.filter), kDeny));
    EXPECT_EQ(ConnectTo(file), c.file ? Denied(EPERM) : Denied(ENOENT));
    EXPECT_EQ(ConnectTo(with_nul), c.file ? Denied(EPERM) : Denied(ENOENT));
    EXPECT_EQ(ConnectTo(other), c.other ? Denied(EPERM) : Denied(ENOENT));
    EXPECT_EQ(ConnectTo(abstract), c.abstract ? Denied(EPERM) : Denied(ECONNREFUSED));
    EXPECT_EQ(ConnectTo(Inet("127.0.0.1", 80)), c.inet ? Denied(EPERM) : Allowed());
  }
}

TEST_P(ArgumentTexts, EveryFieldOfAnAddressOfUnix) {
  using namespace std::string_literals;
  Apply(Policy("p", "call: security_socket_connect", kUnix, Filter(1, "Family AF_UNIX AF_INET"),
               kDeny));
  for (const Address& to : {Unix("/run/listed"), Unix("\0name"s), Inet("127.0.0.1", 80)})
    EXPECT_EQ(ConnectTo(to), Denied(EPERM));
  const auto text_of = [](const Told& told) {
    const auto& address = told.args(0).sockaddrun_arg();
    return address.family() + "=" + address.path();
  };
  EXPECT_EQ(Names(text_of), "AF_UNIX=/run/listed AF_UNIX=@name AF_INET=");
}

TEST_P(ArgumentTexts, AnAddressWithoutLengthIsRefused) {
  const auto applied = gatehouse().Apply(
      Policy("p", "hook: sb_mount", "{index: 4, type: sockaddr_un}", Filter(4, "Equal /x"), kPost));
  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().Message(), HasSubstr("is not the length of the address"));
}

// ---- names --------------------------------------------------------------------------------------

TEST_P(ArgumentTexts, InterfacesHaveNames) {
  const auto policy = [](const std::string& filter) {
    return Policy("p", "call: dev_change_flags", "{index: 0, type: net_device}", Filter(0, filter),
                  kKill);
  };
  const auto bring_up_loopback = [&] {
    return cgroup_.Try([] { return MakeNetwork() ? Errno(0) : EPROTO; });
  };
  Apply(policy("In l loo eth0"));
  EXPECT_EQ(bring_up_loopback().outcome, Allowed());
  Apply(policy("Equal lo"));
  const Attempt attempt = bring_up_loopback();
  EXPECT_EQ(attempt.outcome, Killed(SIGKILL));
  const Told told = TakeOne(attempt, "dev_change_flags", tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(told.args(0).string_arg(), "lo");
}

constexpr const char* kModule = "/gatehouse-vm/modules/binfmt_misc.ko";

/// Takes the module out of the kernel and loads it again.
int LoadAgain() {
  const int file = open(kModule, O_RDONLY);
  if (syscall(SYS_delete_module, "binfmt_misc", O_NONBLOCK) != 0) return EPROTO;
  return Errno(syscall(SYS_finit_module, file, "", 0));
}

TEST_P(ArgumentTexts, ModulesHaveNames) {
  if (access(kModule, R_OK) != 0) GTEST_SKIP() << "this kernel comes without a module to load";
  Apply(Policy("a", "call: do_init_module", "{index: 0, type: module}",
               Filter(0, "Equal binfmt_misc"), kPost) +
        Policy("b", "call: do_init_module", "{index: 0, type: module}", Filter(0, "Equal overlay"),
               kPost));
  const Attempt attempt = Try(LoadAgain);
  EXPECT_EQ(attempt.outcome, Allowed());
  const Told told = TakeOne(attempt, "do_init_module", tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told.policy_name(), "a");
  EXPECT_EQ(told.args(0).module_arg().name(), "binfmt_misc");
}

// Which of the functions that get it are inlined differs from kernel to kernel.
TEST_P(ArgumentTexts, ModulesThatAreLoadedHaveNames) {
  if (access(kModule, R_OK) != 0) GTEST_SKIP() << "this kernel comes without a module to load";
  const struct {
    std::string function;
    int index;
  } functions[] = {{"find_module_sections", 1},
                   {"mod_sysfs_setup", 1},
                   {"simplify_symbols", 1},
                   {"move_module", 1},
                   {"layout_and_allocate", 0}};
  std::string hook;
  for (const auto& [function, index] : functions) {
    const auto policy = [&](const std::string& name, const std::string& filter) {
      return Policy(name, "call: " + function,
                    "{index: " + std::to_string(index) + ", type: load_info}",
                    Filter(index, filter), kPost);
    };
    if (!gatehouse().Apply(policy("a", "Equal binfmt_misc") + policy("b", "Postfix overlay")))
      continue;
    hook = function;
    break;
  }
  ASSERT_NE(hook, "");
  const Attempt attempt = Try(LoadAgain);
  EXPECT_EQ(attempt.outcome, Allowed());
  const Told told = TakeOne(attempt, hook, tetragon::KPROBE_ACTION_POST);
  EXPECT_EQ(told.policy_name(), "a");
  EXPECT_EQ(told.args(0).module_arg().name(), "binfmt_misc");
}

}  // namespace
}  // namespace gatehouse::test
