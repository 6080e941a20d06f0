// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "bpf/gatehouse.skel.h"
#include "compile/image.h"
#include "kernel/arena.h"
#include "kernel/cgroup_tree.h"
#include "kernel/entering.h"
#include "kernel/hooks.h"
#include "kernel/kernel.h"
#include "kernel/lineages.h"

namespace gatehouse::kernel {

struct RingDeleter {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

/// The real Kernel: the skeleton's programs and maps on the running kernel.
class LoadedKernel : public Kernel {
 public:
  /// In order: open, set what is constant, load, make the arena, publish the empty image, load the
  /// programs for executions, attach what does not depend on policies.
  [[nodiscard]] static Result<std::unique_ptr<LoadedKernel>> Create(
      const Options& options, compile::StringPool& strings, std::vector<BackendProbe> probes,
      Backend backend);

  [[nodiscard]] Backend backend() const override { return backend_; }
  [[nodiscard]] Result<void> Supports(const compile::HookProgram& hook) const override;
  [[nodiscard]] bool Has(const policy::Site& site) const override;
  [[nodiscard]] std::vector<std::string> Names(policy::Site::Kind kind) const override;
  [[nodiscard]] std::vector<Result<void>> CanAttach(
      std::span<const policy::Site> sites) const override;
  [[nodiscard]] std::vector<Result<Settled>> Settle(std::span<const Unsettled> all) const override;
  [[nodiscard]] Result<std::vector<ProbePlace>> Places(const policy::Site& site) const override;
  [[nodiscard]] Result<bool> HasDigest(const std::string& path,
                                       std::span<const std::string> digests) const override;
  [[nodiscard]] std::optional<gh_address_range> FindFile(const std::string& path) const override;
  [[nodiscard]] Result<void> Apply(const bind::Delta& delta) override;
  [[nodiscard]] Result<uint64_t> Track(bind::WorkloadId workload, const std::string& path) override;
  void Untrack(bind::WorkloadId workload) override;
  [[nodiscard]] Result<void> LetEnter(pid_t pid) override;
  [[nodiscard]] std::vector<RuleHits> Hits(bind::InstanceId instance) const override;
  [[nodiscard]] uint64_t MemoryBytes(bind::InstanceId instance) const override;
  [[nodiscard]] Status status() const override;
  [[nodiscard]] Result<size_t> PollEvents(
      std::chrono::milliseconds timeout,
      const std::function<void(std::span<const std::byte>)>& sink) override;

 private:
  LoadedKernel(Skeleton skeleton, Backend backend, std::vector<BackendProbe> probes, Sites sites,
               bool prepare_exec);

  [[nodiscard]] Result<void> LoadPrograms(const Options& options, const compile::DigestKey& key);
  [[nodiscard]] Result<void> StartImage(compile::StringPool& strings,
                                        const compile::DigestKey& key);
  [[nodiscard]] Result<void> LoadGates();
  [[nodiscard]] Result<void> AttachAlways(const Options& options);
  [[nodiscard]] std::function<uint64_t(uint16_t)> PoliciesOn() const;
  void ForgetSocketOwners() const;
  static int OnEvent(void* context, void* data, size_t size);

  Skeleton skeleton_;
  const Backend backend_;
  const std::vector<BackendProbe> probes_;
  Hooks hooks_;
  std::unique_ptr<Lineages> lineages_;
  std::unique_ptr<Entering> entering_;
  std::vector<Link> links_;  // of programs that are always attached
  std::unique_ptr<Arena> arena_;
  Fd grace_map_;
  std::unique_ptr<compile::Image> image_;
  std::unique_ptr<CgroupTree> cgroups_;
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
  const std::function<void(std::span<const std::byte>)>* sink_ = nullptr;  // while polling
  std::unique_ptr<GraceThread> grace_;  // last: ends before what it uses
};

}  // namespace gatehouse::kernel
