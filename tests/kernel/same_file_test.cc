// SPDX-License-Identifier: Apache-2.0
// Files by what they are, whatever their names: SameFile and NotSameFile.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "fixture.h"
#include "kernel/file_identity.h"

namespace gatehouse::test {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Policy(const std::string& hook, const std::string& type, const std::string& filters,
                   const std::string& action = "{action: Override, argError: -1}") {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
         "  podSelector: {}\n  lsmhooks:\n  - hook: " +
         hook + "\n    args: [{index: 0, type: " + type + "}]\n    selectors:\n    - " + filters +
         "\n      matchActions: [" + action + "]\n";
}

std::string Argument(const std::string& op, const std::string& value) {
  return "matchArgs: [{index: 0, operator: " + op + ", values: [\"" + value + "\"]}]";
}

std::string OnExec(const std::string& filters) {
  return Policy("bprm_creds_for_exec", "linux_binprm", filters);
}

/// The kernel's name of a file that has not changed since: device and inode.
std::string IdentityOf(const std::string& path) {
  const gh_address_range file = kernel::FindFile(path).value();
  constexpr uint32_t kMinorBits = 20;
  return std::to_string(file.first >> kMinorBits) + ":" +
         std::to_string(file.first & ((1U << kMinorBits) - 1)) + ":" +
         std::to_string(file.first_low);
}

/// A program that is a file of its own; those of a ProgramTree are names of one.
std::string Copy(const ProgramTree& programs, const std::string& name) {
  std::string path = programs.path() + "/" + name;
  fs::copy_file(kernel::testing::ActorPath(), path);
  return path;
}

class SameFile : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
    fs::create_hard_link(listed_, name_);
  }
  [[nodiscard]] Outcome denied() const { return gatehouse().Denial(EPERM); }

  const Cgroup cgroup_{"app"};
  const std::string listed_ = Copy(programs_, "listed"), other_ = Copy(programs_, "other"),
                    name_ = programs_.path() + "/name";
};

TEST_F(SameFile, AHardLinkOfAListedProgramIsTheListedProgram) {
  Must(gatehouse().Apply(OnExec(Argument("SameFile", listed_))));
  EXPECT_EQ(cgroup_.Run(listed_), denied());
  EXPECT_EQ(cgroup_.Run(name_), denied());
  EXPECT_EQ(cgroup_.Run(other_), Allowed()) << "a copy";
  fs::rename(name_, other_);
  EXPECT_EQ(cgroup_.Run(other_), denied()) << "under the name of another";
}

TEST_F(SameFile, AnAllowListOfFiles) {
  const std::string link = programs_.path() + "/link";
  fs::create_symlink(listed_, link);
  Must(gatehouse().Apply(OnExec(Argument("NotSameFile", link))));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  EXPECT_EQ(cgroup_.Run(name_), Allowed());
  EXPECT_EQ(cgroup_.Run(other_), denied());
}

TEST_F(SameFile, IsNamedByDeviceAndInodeAsWell) {
  Must(gatehouse().Apply(OnExec(Argument("SameFile", IdentityOf(listed_)))));
  EXPECT_EQ(cgroup_.Run(name_), denied());
  EXPECT_EQ(cgroup_.Run(other_), Allowed());
}

TEST_F(SameFile, ABindMountOfAListedProgramIsTheListedProgram) {
  Must(gatehouse().Apply(OnExec(Argument("SameFile", listed_))));
  const auto run = [&](const std::string& mounted) {
    return cgroup_.Run([&]() -> int {
      if (unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          mount(mounted.c_str(), other_.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        return errno;
      }
      execl(other_.c_str(), other_.c_str(), nullptr);
      return errno;
    });
  };
  EXPECT_EQ(run(listed_), denied());
  EXPECT_EQ(run(Copy(programs_, "third")), Allowed());
}

TEST_F(SameFile, AFileThatIsNotThereIsNone) {
  Must(gatehouse().Apply(OnExec(Argument("SameFile", programs_.path() + "/none"))));
  EXPECT_EQ(cgroup_.Run(listed_), Allowed());
  Must(gatehouse().Apply(OnExec(Argument("NotSameFile", programs_.path() + "/none"))));
  EXPECT_EQ(cgroup_.Run(listed_), denied());
}

TEST_F(SameFile, WhoActsIsAFileToo) {
  const std::string filters = "matchBinaries: [{operator: SameFile, values: [\"" + listed_ +
                              "\"]}]\n      " + Argument("Equal", other_);
  if (!gatehouse().KnowsBinary()) {
    EXPECT_THAT(Refusal(OnExec(filters)), ::testing::HasSubstr("use backend lsm or fmod_ret"));
    return;
  }
  Must(gatehouse().Apply(OnExec(filters)));
  EXPECT_EQ(cgroup_.TryChain({name_, other_}).outcome, denied());
  EXPECT_EQ(cgroup_.TryChain({Copy(programs_, "third"), other_}).outcome, Allowed());
}

class SameFileHooks : public DenyingTest {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SameFileHooks);
INSTANTIATE_TEST_SUITE_P(With, SameFileHooks, ::testing::ValuesIn(DenyingBackends()), BackendOf);

TEST_P(SameFileHooks, OfOpenedFilesAndNames) {
  const Cgroup cgroup("app");
  (void)Workload(cgroup.path());
  const std::string listed = Copy(programs_, "listed"), name = programs_.path() + "/name";
  fs::create_hard_link(listed, name);
  const std::string other = Copy(programs_, "other"), made = programs_.path() + "/made";
  const auto open_it = [&](const std::string& path) {
    return cgroup.Run([&] { return Errno(open(path.c_str(), O_RDONLY)); });
  };
  Must(gatehouse().Apply(Policy("file_open", "file", Argument("SameFile", listed))));
  EXPECT_EQ(open_it(name), Denied(EPERM));
  EXPECT_EQ(open_it(other), Allowed());
  EXPECT_THAT(TakePolicies(), ElementsAre("p"));
  const auto make_it = [&](const std::string& op) {
    Must(
        gatehouse().Apply("---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: "
                          "{name: p}\nspec:\n  podSelector: {}\n  lsmhooks:\n  - hook: "
                          "inode_mkdir\n    args: [{index: 1, type: dentry}]\n    selectors:\n"
                          "    - matchArgs: [{index: 1, operator: " +
                          op + ", values: [\"" + listed + "\"]}]\n"));
    EXPECT_EQ(cgroup.Run([&] { return Errno(mkdir(made.c_str(), 0700)); }), Allowed());
    rmdir(made.c_str());
    return TakePolicies();
  };
  EXPECT_THAT(make_it("SameFile"), IsEmpty()) << "it is not there yet";
  EXPECT_THAT(make_it("NotSameFile"), ElementsAre("p"));
}

}  // namespace
}  // namespace gatehouse::test
