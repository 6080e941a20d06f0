// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <utility>

#include "base/fd.h"
#include "bpf/baseline_empty.skel.h"
#include "bpf/baseline_inner_map.skel.h"
#include "bpf/baseline_per_policy.skel.h"
#include "design.h"
#include "kernel/hooks.h"
#include "kernel/libbpf_log.h"

namespace gatehouse::bench {
namespace {

constexpr size_t kPathKeyBytes = 72;  // PATH_KEY_BYTES of baseline_state.h
using PathKey = std::array<char, kPathKeyBytes>;

Result<PathKey> KeyOf(const std::string& path) {
  if (path.size() > kPathKeyBytes) {
    return Fail(ErrorCode::kUnsupported, path, "longer than a key of the baselines");
  }
  PathKey key{};
  std::ranges::copy(path, key.begin());
  return key;
}

Result<uint64_t> CgroupId(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return FailErrno(path, "no such cgroup", errno);
  return info.st_ino;
}

Result<void> Put(int map, const void* key, const void* value) {
  if (bpf_map_update_elem(map, key, value, BPF_ANY) == 0) return {};
  return FailErrno("map", "cannot add an entry", errno);
}

Result<void> Fill(int map, const std::vector<std::string>& paths) {
  constexpr uint8_t kPresent = 1;
  for (const std::string& path : paths) {
    GH_ASSIGN(const PathKey key, KeyOf(path));
    GH_TRY(Put(map, &key, &kPresent));
  }
  return {};
}

bool KernelHasPrepareExec() {
  const std::unique_ptr<btf, decltype(&btf__free)> kernel_btf(btf__load_vmlinux_btf(), &btf__free);
  return kernel_btf && btf__find_by_name_kind(kernel_btf.get(), "btf_trace_sched_prepare_exec",
                                              BTF_KIND_TYPEDEF) > 0;
}

/// Loads one of a baseline's programs, that for the backend, and attaches it.
template <typename Skeleton>
class Loaded {
 public:
  Loaded(kernel::Backend backend, bool has_prepare) {
    skeleton_.reset(Skeleton::open());
    if (!skeleton_) return;
    auto& programs = skeleton_->progs;
    const bool lsm = backend == kernel::Backend::kLsm;
    program_ = lsm           ? programs.on_lsm
               : has_prepare ? programs.on_prepare_exec
                             : programs.on_process_exec;
    for (bpf_program* program :
         {programs.on_lsm, programs.on_prepare_exec, programs.on_process_exec}) {
      bpf_program__set_autoload(program, program == program_);
    }
  }

  [[nodiscard]] auto& maps() { return skeleton_->maps; }

  [[nodiscard]] Result<void> Load() {
    const kernel::LibbpfLog log;
    if (!skeleton_) return FailErrno("baseline", "cannot open the programs", errno);
    if (const int error = Skeleton::load(skeleton_.get()); error != 0) {
      return FailErrno("baseline", "cannot load the program", -error, log.Tail());
    }
    return {};
  }

  [[nodiscard]] Result<void> Attach() {
    const kernel::LibbpfLog log;
    link_.reset(bpf_program__attach(program_));
    if (!link_) return FailErrno("baseline", "cannot attach the program", errno);
    return {};
  }

  [[nodiscard]] uint32_t program_id() const {
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    bpf_obj_get_info_by_fd(bpf_program__fd(program_), &info, &size);
    return info.id;
  }

 private:
  struct Destroy {
    void operator()(Skeleton* skeleton) const { Skeleton::destroy(skeleton); }
  };
  std::unique_ptr<Skeleton, Destroy> skeleton_;
  bpf_program* program_ = nullptr;
  kernel::Link link_;
};

/// Knows the cgroup of each workload.
class Baseline : public Design {
 public:
  explicit Baseline(const DesignOptions& options)
      : backend_(options.backend), has_prepare_(KernelHasPrepareExec()) {}

  [[nodiscard]] Result<void> AddWorkloads(std::span<const Workload> workloads) override {
    for (const Workload& workload : workloads) {
      GH_ASSIGN(cgroups_[workload.number], CgroupId(workload.cgroup));
    }
    return {};
  }

  void RemoveWorkloads(std::span<const Workload> workloads) override {
    for (const Workload& workload : workloads) cgroups_.erase(workload.number);
  }

 protected:
  const kernel::Backend backend_;
  const bool has_prepare_;
  std::map<uint32_t, uint64_t> cgroups_;
};

class PerPolicy : public Baseline {
 public:
  using Baseline::Baseline;

  [[nodiscard]] const char* name() const override { return "program per policy"; }
  [[nodiscard]] bool takes_many() const override { return false; }

  [[nodiscard]] Result<void> AddPolicies(std::span<const Policy> policies) override {
    for (const Policy& policy : policies) {
      Program program(backend_, has_prepare_);
      bpf_map__set_max_entries(program.maps().allowed,
                               static_cast<uint32_t>(policy.allowed.size()));
      GH_TRY(program.Load());
      constexpr uint8_t kPresent = 1;
      GH_TRY(Put(bpf_map__fd(program.maps().workloads), &cgroups_.at(policy.number), &kPresent));
      GH_TRY(Fill(bpf_map__fd(program.maps().allowed), policy.allowed));
      GH_TRY(program.Attach());
      programs_.emplace(policy.number, std::move(program));
    }
    return {};
  }

  [[nodiscard]] Result<void> ReplacePolicy(const Policy& policy) override {
    auto old = programs_.extract(policy.number);  // stays attached until the new one is
    return AddPolicies({&policy, 1});
  }

  [[nodiscard]] Result<void> RemovePolicies(std::span<const Policy> policies) override {
    for (const Policy& policy : policies) programs_.erase(policy.number);
    return {};
  }

  [[nodiscard]] std::vector<uint32_t> GatePrograms() const override {
    std::vector<uint32_t> ids;
    for (const auto& [number, program] : programs_) ids.push_back(program.program_id());
    return ids;
  }

 private:
  using Program = Loaded<baseline_per_policy_bpf>;
  std::map<uint32_t, Program> programs_;
};

class InnerMap : public Baseline {
 public:
  explicit InnerMap(const DesignOptions& options)
      : Baseline(options), program_(backend_, has_prepare_) {}

  [[nodiscard]] Result<void> Load() { return program_.Load(); }

  [[nodiscard]] const char* name() const override { return "inner map per policy"; }

  [[nodiscard]] Result<void> AddPolicies(std::span<const Policy> policies) override {
    for (const Policy& policy : policies) {
      GH_TRY(ReplacePolicy(policy));
      GH_TRY(
          Put(bpf_map__fd(program_.maps().workloads), &cgroups_.at(policy.number), &policy.number));
    }
    if (attached_) return {};
    attached_ = true;
    return program_.Attach();
  }

  [[nodiscard]] Result<void> ReplacePolicy(const Policy& policy) override {
    Fd inner(bpf_map_create(BPF_MAP_TYPE_HASH, "allowed", kPathKeyBytes, sizeof(uint8_t),
                            static_cast<uint32_t>(policy.allowed.size()), nullptr));
    if (!inner.valid()) return FailErrno("map", "cannot create an inner map", errno);
    GH_TRY(Fill(inner.get(), policy.allowed));
    const int fd = inner.get();
    GH_TRY(Put(bpf_map__fd(program_.maps().policies), &policy.number, &fd));
    inner_[policy.number] = std::move(inner);  // held, so that it can be counted
    return {};
  }

  [[nodiscard]] Result<void> RemovePolicies(std::span<const Policy> policies) override {
    for (const Policy& policy : policies) {
      bpf_map_delete_elem(bpf_map__fd(program_.maps().workloads), &cgroups_.at(policy.number));
      bpf_map_delete_elem(bpf_map__fd(program_.maps().policies), &policy.number);
      inner_.erase(policy.number);
    }
    return {};
  }

  [[nodiscard]] std::vector<uint32_t> GatePrograms() const override {
    return attached_ ? std::vector<uint32_t>{program_.program_id()} : std::vector<uint32_t>{};
  }

 private:
  Loaded<baseline_inner_map_bpf> program_;
  bool attached_ = false;
  std::map<uint32_t, Fd> inner_;
};

class Empty : public Baseline {
 public:
  explicit Empty(const DesignOptions& options)
      : Baseline(options), program_(backend_, has_prepare_) {}

  [[nodiscard]] Result<void> Load() {
    GH_TRY(program_.Load());
    return program_.Attach();
  }

  [[nodiscard]] const char* name() const override { return "empty program"; }
  [[nodiscard]] Result<void> AddPolicies(std::span<const Policy>) override { return {}; }
  [[nodiscard]] Result<void> ReplacePolicy(const Policy&) override { return {}; }
  [[nodiscard]] Result<void> RemovePolicies(std::span<const Policy>) override { return {}; }
  [[nodiscard]] std::vector<uint32_t> GatePrograms() const override {
    return {program_.program_id()};
  }

 private:
  Loaded<baseline_empty_bpf> program_;
};

}  // namespace

Result<std::unique_ptr<Design>> StartPerPolicy(const DesignOptions& options) {
  return std::make_unique<PerPolicy>(options);
}

Result<std::unique_ptr<Design>> StartInnerMap(const DesignOptions& options) {
  auto design = std::make_unique<InnerMap>(options);
  GH_TRY(design->Load());
  return design;
}

Result<std::unique_ptr<Design>> StartEmpty(const DesignOptions& options) {
  auto design = std::make_unique<Empty>(options);
  GH_TRY(design->Load());
  return design;
}

}  // namespace gatehouse::bench
