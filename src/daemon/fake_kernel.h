// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/kernel.h"

namespace gatehouse::daemon {

/// A Kernel without a kernel, for tests: keeps what it is told in plain maps, checks that every
/// change is one that a real image could take, and fails where a test says so. Any thread.
class FakeKernel final : public kernel::Kernel {
 public:
  explicit FakeKernel(kernel::Backend backend = kernel::Backend::kLsm) : backend_(backend) {}

  // ---- what a test arranges ----
  void RefuseHook(const policy::Site& site, Error reason);
  /// As RefuseHook, and there is no such place.
  void RemoveHook(const policy::Site& site);
  /// Of whichever hook.
  void RefuseSubject(gh_subject subject, Error reason);
  /// A path of `resolve` leads nowhere; "": nor has a value without one a type. All others lead to
  /// numbers, and are of type int32 if it is auto.
  void RefusePath(const std::string& path, Error reason);
  /// The names of all functions and system calls, for lists.
  void SetNames(policy::Site::Kind kind, std::vector<std::string> names);
  /// The places of every static probe; without this call, one without arguments.
  void SetPlaces(std::vector<kernel::ProbePlace> places);
  /// The one digest that every file has.
  void SetDigest(std::string digest);
  /// There is a file at `path`, on device 1:2.
  void SetFile(const std::string& path, uint64_t inode);
  /// The next Apply fails with `reason` and changes nothing.
  void FailNextApply(Error reason);
  /// The next Track fails with `reason` and ties nothing.
  void FailNextTrack(Error reason);
  void SetHits(bind::InstanceId instance, std::vector<kernel::RuleHits> hits);
  /// Queues one record for PollEvents.
  void PushEvent(std::vector<std::byte> record);

  // ---- what a test looks at ----
  [[nodiscard]] std::vector<bind::InstanceId> Group(bind::WorkloadId workload) const;
  /// The programs that judge `workload`, in order of evaluation.
  [[nodiscard]] std::vector<compile::ProgramPtr> Programs(bind::WorkloadId workload) const;
  [[nodiscard]] std::map<bind::WorkloadId, std::string> Tracked() const;
  [[nodiscard]] size_t instance_count() const;
  /// Successful Apply calls with a change in them.
  [[nodiscard]] uint64_t generation() const;
  /// What an image could not have taken; empty if the caller kept to the contract of Delta.
  [[nodiscard]] std::vector<std::string> violations() const;

  // ---- kernel::Kernel ----
  [[nodiscard]] kernel::Backend backend() const override { return backend_; }
  [[nodiscard]] Result<void> LetEnter(pid_t pid) override {
    entering.push_back(pid);
    return {};
  }
  std::vector<pid_t> entering;  ///< given to LetEnter
  [[nodiscard]] Result<void> Supports(const compile::HookProgram& hook) const override;
  [[nodiscard]] bool Has(const policy::Site& site) const override;
  [[nodiscard]] std::vector<std::string> Names(policy::Site::Kind kind) const override;
  [[nodiscard]] std::vector<Result<void>> CanAttach(
      std::span<const policy::Site> sites) const override;
  [[nodiscard]] std::vector<Result<kernel::Settled>> Settle(
      std::span<const kernel::Unsettled> all) const override;
  [[nodiscard]] Result<std::vector<kernel::ProbePlace>> Places(
      const policy::Site& site) const override;
  [[nodiscard]] Result<bool> HasDigest(const std::string& path,
                                       std::span<const std::string> digests) const override;
  [[nodiscard]] std::optional<gh_address_range> FindFile(const std::string& path) const override;
  [[nodiscard]] Result<void> Apply(const bind::Delta& delta) override;
  [[nodiscard]] Result<uint64_t> Track(bind::WorkloadId workload, const std::string& path) override;
  void Untrack(bind::WorkloadId workload) override;
  [[nodiscard]] std::vector<kernel::RuleHits> Hits(bind::InstanceId instance) const override;
  [[nodiscard]] uint64_t MemoryBytes(bind::InstanceId instance) const override;
  [[nodiscard]] kernel::Status status() const override;
  [[nodiscard]] Result<size_t> PollEvents(
      std::chrono::milliseconds timeout,
      const std::function<void(std::span<const std::byte>)>& sink) override;

 private:
  void Check(const bind::Delta& delta);

  const kernel::Backend backend_;
  mutable std::mutex mutex_;
  std::condition_variable event_arrived_;
  std::map<policy::Site, Error> refused_hooks_;
  std::map<uint8_t, Error> refused_subjects_;
  std::map<std::string, Error> refused_paths_;
  std::set<policy::Site> missing_;
  std::map<policy::Site::Kind, std::vector<std::string>> names_;
  std::vector<kernel::ProbePlace> places_{kernel::ProbePlace{}};
  std::string digest_;
  std::map<std::string, uint64_t> files_;  // inodes by path
  std::optional<Error> next_apply_;
  std::optional<Error> next_track_;
  std::map<bind::InstanceId, compile::ProgramPtr> instances_;
  std::map<bind::WorkloadId, std::vector<bind::InstanceId>> groups_;
  std::map<bind::WorkloadId, std::string> tracked_;
  std::map<bind::InstanceId, std::vector<kernel::RuleHits>> hits_;
  std::deque<std::vector<std::byte>> events_;
  std::vector<std::string> violations_;
  uint64_t generation_ = 0;
};

}  // namespace gatehouse::daemon
