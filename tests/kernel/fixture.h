// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bind/resolver.h"
#include "compile/strings.h"
#include "event/assembler.h"
#include "event/decode.h"
#include "event/enrich.h"
#include "event/system_symbols.h"
#include "kernel/kernel.h"
#include "kernel/testing/workload.h"
#include "policy_text.h"
#include "workload/registry.h"

/// From policy text to what happens to a program, through everything that the daemon is made of.
namespace gatehouse::test {

using kernel::testing::Allowed;
using kernel::testing::Attempt;
using kernel::testing::Cgroup;
using kernel::testing::Denied;
using kernel::testing::Killed;
using kernel::testing::Outcome;
using kernel::testing::ProgramTree;

/// The value, or the end of this test with the error as its message.
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().Message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// A system call's result, as the outcome of an attempt: its errno, or the end of the process.
[[nodiscard]] int Errno(long result);

/// What the kernel told, with the names that the agent knows and the event made from it.
struct Event {
  std::shared_ptr<const std::vector<std::byte>> bytes;  ///< what the record's views point into
  event::Whole record;                                  ///< without values, if parts have followed
  std::string policy;  ///< key of the record's policy; "" for base events
  event::EventPtr enriched;

  [[nodiscard]] const event::PolicyRecord* AsPolicy() const {
    return std::get_if<event::PolicyRecord>(&record);
  }
  [[nodiscard]] const event::ExecRecord* AsExec() const {
    return std::get_if<event::ExecRecord>(&record);
  }
  [[nodiscard]] const event::ExitRecord* AsExit() const {
    return std::get_if<event::ExitRecord>(&record);
  }
  [[nodiscard]] const event::ProcessRecord& process() const;
};

/// What tests compare of a policy's event.
struct Posted {
  pid_t pid = 0;
  std::string policy;
  std::string object;
  uint16_t hook = GH_HOOK_BPRM_CREDS_FOR_EXEC;
  uint16_t selector = 0;
  uint16_t actions = GH_ACTION_POST;
  int error = 0;
  int signal = 0;
  int flags = 0;
  gh_unreadable unreadable = GH_READABLE;
  bind::WorkloadId workload = 0;

  auto operator<=>(const Posted&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Posted& posted);
[[nodiscard]] Posted ToPosted(const Event& event);

/// The backend that GATEHOUSE_BACKEND names, or none: the best.
[[nodiscard]] std::optional<kernel::Backend> BackendFromEnvironment();

/// The backend that suites run with, if its programs return errnos; else none.
[[nodiscard]] std::vector<kernel::Backend> DenyingBackends();

/// Base events of workloads alone, as TakeEvents needs them.
[[nodiscard]] kernel::Options DefaultOptions();

/// A loaded kernel and all in front of it and behind it. Errors in the making throw. Not
/// thread-safe.
class Gatehouse {
 public:
  explicit Gatehouse(kernel::Options options = DefaultOptions(),
                     bind::Resolver::Options resolver = {});
  Gatehouse(const Gatehouse&) = delete;
  Gatehouse& operator=(const Gatehouse&) = delete;

  [[nodiscard]] kernel::Kernel& kernel() { return *kernel_; }
  [[nodiscard]] bind::Resolver& resolver() { return resolver_; }
  [[nodiscard]] const workload::Registry& workloads() const { return registry_; }
  /// Whether Override gives an errno; else it kills.
  [[nodiscard]] bool denies() const { return kernel_->backend() != kernel::Backend::kSignal; }
  /// What a program gets that a policy denies with `error`.
  [[nodiscard]] Outcome Denial(int error) const {
    return denies() ? Denied(error) : Killed(SIGKILL);
  }
  /// gh_policy_event_flags of an Override in mode enforce.
  [[nodiscard]] int DenialFlags() const { return denies() ? 0 : GH_POLICY_BY_SIGNAL; }
  /// Whether matchBinaries works on the hook.
  [[nodiscard]] bool KnowsBinary() const;
  /// Whether policy events show the program before the execve: not where the hook is behind it.
  [[nodiscard]] bool JudgesBeforeExec() const { return KnowsBinary(); }

  /// One change of the resolver, carried to the kernel; on error nothing has changed.
  [[nodiscard]] Result<void> Change(
      const std::function<Result<void>(bind::Resolver::Transaction&)>& change);
  /// Adds the policies of a text, or replaces those that exist, in one change.
  [[nodiscard]] Result<void> Apply(std::string_view text);
  [[nodiscard]] Result<void> Apply(const PolicyText& policy) { return Apply(Text(policy)); }
  [[nodiscard]] Result<void> Remove(const std::string& name);
  /// Removes all policies and workloads, and forgets the events.
  void Reset();

  /// Registers a cgroup. `identity`: its labels, or a pod; its cgroup is set here.
  [[nodiscard]] Result<workload::WorkloadPtr> AddWorkload(const std::string& cgroup,
                                                          workload::Workload identity);
  [[nodiscard]] Result<void> RemoveWorkload(bind::WorkloadId id);
  [[nodiscard]] Result<void> Relabel(bind::WorkloadId id, workload::Labels labels);

  /// Everything that happened up to now, in order. With base events only.
  [[nodiscard]] std::vector<Event> TakeEvents();
  /// The events of policies among them, sorted.
  [[nodiscard]] std::vector<Posted> TakePosted();
  /// Decodes and enriches one record.
  [[nodiscard]] std::vector<Event> Read(std::span<const std::byte> bytes);

  /// Decisions of all selectors of a policy.
  [[nodiscard]] uint64_t Hits(const std::string& name) const;
  [[nodiscard]] uint64_t Counter(std::string_view name) const;

 private:
  class Names;
  void Tell(const event::Whole& whole);

  compile::StringPool strings_;
  compile::ValueSets sets_;
  std::unique_ptr<kernel::Kernel> kernel_;
  bind::Resolver resolver_;
  workload::Registry registry_;

  std::shared_ptr<Names> names_;
  event::SystemClock clock_;
  event::ProcFilesystem proc_;
  event::ProcessCache cache_;
  event::SystemSymbols symbols_;
  event::Enricher enricher_;
  event::Assembler assembler_{[this](const event::Whole& whole) { Tell(whole); }};
  std::shared_ptr<const std::vector<std::byte>> read_;  // the last record
  std::vector<Event> told_;                             // with it

  Cgroup marker_;  // a program run here marks the end of what TakeEvents waits for
};

/// All suites share one loaded kernel; each test begins without policies and workloads, but with
/// the hooks that tests before it have loaded. After each test nothing may have been lost or
/// unreadable but what the test expects.
class KernelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] static Gatehouse& gatehouse() { return *gatehouse_; }
  /// A counter of the kernel that this test makes rise.
  void ExpectCounter(std::string name) { expected_counters_.push_back(std::move(name)); }
  /// The error of a text that is refused.
  [[nodiscard]] static std::string Refusal(const std::string& text);
  /// Applies a text with hooks that are programs on perf events: tracepoints by fields, uprobes.
  /// Kernels before 6.1 have to refuse it; then false.
  [[nodiscard]] static bool IsAppliedOnPerfEvents(const std::string& text);
  /// The policies that told something, in order.
  [[nodiscard]] static std::vector<std::string> TakePolicies();
  /// What policies tell, of the type that `of` of an event is.
  template <typename Told>
  [[nodiscard]] static std::vector<Told> TakeTold(const Told& (tetragon::GetEventsResponse::*of)()
                                                      const) {
    std::vector<Told> told;
    for (const Event& event : gatehouse().TakeEvents()) {
      if (event.AsPolicy() != nullptr) told.push_back(((*event.enriched).*of)());
    }
    return told;
  }
  /// Makes `cgroup` a workload with labels.
  static workload::WorkloadPtr Workload(const std::string& cgroup, workload::Labels labels = {});

  ProgramTree programs_;

 private:
  class Environment;

  static std::unique_ptr<Gatehouse> gatehouse_;
  static const ::testing::Environment* const environment_;
  std::vector<std::pair<std::string, uint64_t>> counters_;
  std::vector<std::string> expected_counters_;
};

/// A suite of what needs tracefs: mounted while it runs, unless it is there.
class TracefsTest : public KernelTest {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();

 private:
  static bool mounted_;
};

/// A suite of what backend signal cannot do, such as hooks other than those of executions. It is
/// instantiated with DenyingBackends(), so that none of its tests passes where nothing is tested.
class DenyingTest : public KernelTest, public ::testing::WithParamInterface<kernel::Backend> {
 protected:
  void SetUp() override;
};
/// The name of its parameter.
[[nodiscard]] std::string BackendOf(const ::testing::TestParamInfo<kernel::Backend>& test);

}  // namespace gatehouse::test
