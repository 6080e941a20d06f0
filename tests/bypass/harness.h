// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "compile/strings.h"
#include "kernel/kernel.h"
#include "kernel/testing/workload.h"
#include "policy/sites.h"
#include "sandbox.h"

/// The corpus of ways around a policy. Each test is one way, named as in docs/bypasses.md, and runs
/// under each of the policies that Policies() lists, with the backend in GATEHOUSE_BACKEND (lsm,
/// fmod_ret, signal; default: the best there is).
namespace gatehouse::bypass {

using kernel::testing::Allowed;
using kernel::testing::Cgroup;
using kernel::testing::Denied;
using kernel::testing::Killed;
using kernel::testing::Outcome;

enum class List { kAllow, kDeny };

/// One policy: on which hook, and whether it lists what may run or what may not.
struct Policy {
  policy::Site site = policy::kCredsForExec;
  List list = List::kAllow;
};
[[nodiscard]] std::vector<Policy> Policies();
[[nodiscard]] std::string PolicyName(const Policy& policy);
std::ostream& operator<<(std::ostream& out, const Policy& policy);

// Which program ran: its exit status.
inline constexpr int kGoodStatus = 10;
inline constexpr int kEvilStatus = 20;
inline constexpr int kPreloadStatus = 30;
/// Of a program that could not execute another one (program.c).
inline constexpr int kInnerDeniedStatus = 100 + 1;  // EPERM

/// A program that is built with the tests and stands beside them.
[[nodiscard]] std::string BuiltProgram(const std::string& name);

/// Where tests make files: a file system in memory, mounted in a mount namespace of this process
/// alone. Aborts if it cannot be made.
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// A new empty directory.
  [[nodiscard]] std::string MakeDirectory();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  int made_ = 0;
};

/// An object as the gate saw it: a path, or why it has none.
struct Seen {
  std::string path;
  gh_unreadable unreadable = GH_READABLE;

  Seen(std::string text) : path(std::move(text)) {}  // NOLINT: a path is what is seen
  Seen(const char* text) : path(text) {}             // NOLINT
  Seen(gh_unreadable why) : unreadable(why) {}       // NOLINT
  bool operator==(const Seen&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Seen& seen);

/// An event of the policy that denies.
struct Denial {
  Seen object;
  uint16_t hook = 0;  ///< enum gh_hook
  int16_t error = 0;
  uint8_t flags = 0;
};

/// What came of one attempt: for the process, and in the events.
struct Attempt {
  Outcome outcome;
  std::vector<Seen> seen;  ///< everything that passed the hook, in order
  std::vector<Denial> denials;
};

/// Gatehouse with one workload and one policy. Beside the policy stands a witness, which posts an
/// event for everything that passes the hook.
class Gate {
 public:
  explicit Gate(kernel::Options options);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Puts the policy, which lists `paths`, in force on `workload`, a cgroup.
  void Enforce(const Policy& policy, const std::vector<std::string>& paths,
               const std::string& workload);
  /// Takes it back.
  void Withdraw();
  [[nodiscard]] kernel::Kernel& kernel() { return *kernel_; }
  [[nodiscard]] bool by_signal() const { return kernel_->backend() == kernel::Backend::kSignal; }
  /// Events since the last call; `fence` runs a program of this path in the workload, so that all
  /// events before it have come when its own comes.
  [[nodiscard]] Attempt Events(const std::string& fence_path, const std::function<void()>& fence);

 private:
  [[nodiscard]] compile::ProgramPtr Compile(const Policy& policy,
                                            const std::vector<std::string>& paths);

  compile::StringPool strings_;
  compile::ValueSets sets_{strings_};
  std::unique_ptr<kernel::Kernel> kernel_;
  bind::InstanceId next_ = 1;
  bind::InstanceId witness_ = 0, policy_ = 0;  // 0: none in force
  bind::WorkloadId workload_ = 0;
};

class Way : public ::testing::TestWithParam<Policy> {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  /// Makes the directory of the test with the programs allowed(), denied() (listed by the
  /// policies), and other() (listed by none), and puts the policy in force.
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] bool allow_list() const { return GetParam().list == List::kAllow; }
  [[nodiscard]] bool by_signal() const { return gate_->by_signal(); }
  /// Whether the hook is once for each execve, or once for each format step.
  [[nodiscard]] bool once() const { return GetParam().site == policy::kCredsForExec; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  [[nodiscard]] std::string allowed() const { return Path("allowed"); }
  [[nodiscard]] std::string denied() const { return Path("denied"); }
  [[nodiscard]] std::string other() const { return Path("other"); }
  [[nodiscard]] Gate& gate() { return *gate_; }
  [[nodiscard]] const Cgroup& cgroup() const { return *cgroup_; }
  [[nodiscard]] const std::string& workload() const { return workload_; }
  [[nodiscard]] const std::string& sibling() const { return sibling_; }

  /// Replaces the listed paths: `paths` for either kind of list.
  void Enforce(const std::vector<std::string>& paths);
  /// Copies a program; makes the directories on the way.
  void Install(const std::string& program, const std::string& path) const;
  void InstallGood(const std::string& path) const { Install(BuiltProgram("bypass_good"), path); }
  void InstallEvil(const std::string& path) const { Install(BuiltProgram("bypass_evil"), path); }

  /// Runs `execute` in the workload. It returns only if its execve failed: errno.
  [[nodiscard]] Attempt Try(const std::function<int()>& execute) { return Try(*gate_, execute); }
  [[nodiscard]] Attempt Try(Gate& gate, const std::function<int()>& execute);
  [[nodiscard]] Attempt Try(const std::string& program, std::vector<std::string> arguments = {});

  /// Of the files that one execve goes through, script first, those that the hook sees.
  [[nodiscard]] std::vector<Seen> Steps(std::vector<Seen> files) const;

  /// The program did not run: EPERM, or SIGKILL with backend signal; the last of `seen` was denied.
  void ExpectStopped(const Attempt& attempt, const std::vector<Seen>& seen) const;
  /// The program, or one that stands in its place, ran and exited with `status`; nothing was
  /// denied.
  void ExpectRuns(const Attempt& attempt, int status, const std::vector<Seen>& seen) const;
  /// What a list does with a path that it has: an allow-list lets it run, a deny-list stops it.
  void ExpectListed(const Attempt& attempt, int status, const std::vector<Seen>& seen) const;
  /// What a list does with a path that no list has: an allow-list stops it, a deny-list lets it
  /// run.
  void ExpectUnlisted(const Attempt& attempt, int status, const std::vector<Seen>& seen) const;
  void ExpectDenial(const Attempt& attempt, const Seen& object) const;

 private:
  static inline std::unique_ptr<Workspace> workspace_;
  static inline std::unique_ptr<Gate> gate_;

  std::string directory_;
  std::unique_ptr<Cgroup> cgroup_;  // around the workload: untracked
  std::string workload_, sibling_;
};

/// A way that sets something for the whole machine; tried in virtual machines only.
class MachineWay : public Way {};

}  // namespace gatehouse::bypass
