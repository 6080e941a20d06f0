// SPDX-License-Identifier: Apache-2.0
#include "kernel/loaded_kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "kernel/libbpf_log.h"
#include "kernel/protected.h"

namespace gatehouse::kernel {
namespace {

constexpr uint32_t kSpareScratchSlots =
    32;  // beyond one for each possible CPU: tasks preempted inside

bool KernelHasPrepareExec() {
  const std::unique_ptr<btf, decltype(&btf__free)> kernel_btf(btf__load_vmlinux_btf(), &btf__free);
  return kernel_btf && btf__find_by_name_kind(kernel_btf.get(), "btf_trace_sched_prepare_exec",
                                              BTF_KIND_TYPEDEF) > 0;
}

uint64_t MapMemlock(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  for (std::string key; info >> key;) {
    uint64_t bytes = 0;
    if (key == "memlock:" && info >> bytes) return bytes;
  }
  return 0;
}

void AddProgram(std::vector<ProgramStatus>& programs, const bpf_program* program) {
  const int fd = bpf_program__fd(program);  // negative: not loaded
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return;
  programs.push_back(ProgramStatus{bpf_program__name(program), info.id});
}

void AddMap(std::vector<MapStatus>& maps, int fd) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return;
  maps.push_back(MapStatus{info.name, info.id, MapMemlock(fd)});
}

constexpr std::array<const char*, GH_STAT_COUNT> kStatNames{
    "events_lost_exec", "events_lost_exit",  "events_lost_policy", "scratch_exhausted",
    "path_too_long",    "path_unreachable",  "path_fault",         "no_binary",
    "matches_overflow", "cgroups_untracked", "protected",          "signal_failed",
};

bool Reattaches(const std::vector<BackendProbe>& probes, Backend backend) {
  const auto found = std::ranges::find(probes, backend, &BackendProbe::backend);
  return found != probes.end() && found->reattaches;
}

}  // namespace

LoadedKernel::LoadedKernel(Skeleton skeleton, Backend backend, bool has_prepare,
                           std::vector<BackendProbe> probes)
    : skeleton_(std::move(skeleton)),
      backend_(backend),
      has_prepare_(has_prepare),
      probes_(std::move(probes)),
      hooks_(*skeleton_, backend, has_prepare, Reattaches(probes_, backend)) {}

Result<std::unique_ptr<LoadedKernel>> LoadedKernel::Create(const Options& options,
                                                           compile::StringPool& strings,
                                                           std::vector<BackendProbe> probes,
                                                           Backend backend) {
  const LibbpfLog log;
  Skeleton skeleton(gatehouse_bpf::open());
  if (!skeleton) {
    return FailErrno("bpf", "cannot open the programs", errno, log.Tail());
  }
  std::unique_ptr<LoadedKernel> kernel(
      new LoadedKernel(std::move(skeleton), backend, KernelHasPrepareExec(), std::move(probes)));

  compile::DigestKey key{};
  if (getrandom(key.data(), sizeof(key), 0) != sizeof(key)) {
    return FailErrno("getrandom", "no random key", errno);
  }
  if (auto loaded = kernel->LoadPrograms(options, key); !loaded) {
    Error error = std::move(loaded).error();
    if (const std::string said = log.Tail(); !said.empty()) error.cause += "\n" + said;
    return tl::unexpected(std::move(error));
  }
  GH_TRY(kernel->StartImage(strings, key));
  std::string root = options.cgroup_root;
  if (root.empty()) {
    GH_ASSIGN(root, FindCgroupRoot());
  }
  kernel->cgroups_ =
      std::make_unique<CgroupTree>(bpf_map__fd(kernel->skeleton_->maps.cgroups), std::move(root));
  GH_TRY(kernel->AttachAlways(options));
  return kernel;
}

Result<void> LoadedKernel::LoadPrograms(const Options& options, const compile::DigestKey& key) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return FailErrno("cpus", "cannot tell how many are possible", -cpus);
  GH_ASSIGN(const std::vector<gh_protected> protected_tasks, ProtectedTasks());

  auto& constants = *skeleton_->rodata;
  std::ranges::copy(key, constants.sip_key);
  constants.scratch_slots = static_cast<uint32_t>(cpus) + kSpareScratchSlots;
  constants.base_events = static_cast<uint32_t>(options.base_events);
  constants.deny_with_signal = backend_ == Backend::kSignal;
  constants.binary_is_known = backend_ != Backend::kSignal || has_prepare_;
  std::ranges::copy(protected_tasks, constants.protected_tasks);

  auto& maps = skeleton_->maps;
  bpf_map__set_max_entries(maps.scratch_pool, constants.scratch_slots);
  bpf_map__set_max_entries(maps.cgroups, options.max_cgroups);
  bpf_map__set_max_entries(maps.events, options.ring_bytes);
  if (options.base_events == BaseEvents::kOff) {
    bpf_program__set_autoload(skeleton_->progs.process_exec, false);
    bpf_program__set_autoload(skeleton_->progs.process_exit, false);
  }
  if (const int error = gatehouse_bpf::load(skeleton_.get()); error != 0) {
    return FailErrno("bpf", "the kernel refuses the programs", -error);
  }
  return {};
}

Result<void> LoadedKernel::StartImage(compile::StringPool& strings, const compile::DigestKey& key) {
  const int image_fd = bpf_map__fd(skeleton_->maps.image);
  arena_ = std::make_unique<Arena>(image_fd);
  image_ = std::make_unique<compile::Image>(*arena_, strings, key);
  GH_TRY(image_->Initialize());
  GH_ASSIGN(grace_map_, CreateArenaMap("grace", 1));
  grace_ = std::make_unique<GraceThread>(image_fd, grace_map_.get());
  return {};
}

Result<void> LoadedKernel::AttachAlways(const Options& options) {
  auto& programs = skeleton_->progs;
  std::vector<bpf_program*> always{programs.cgroup_created, programs.cgroup_gone};
  if (options.base_events != BaseEvents::kOff) {
    always.push_back(programs.process_exec);
    always.push_back(programs.process_exit);
  }
  for (bpf_program* program : always) {
    Link link(bpf_program__attach(program));
    if (!link) {
      return FailErrno(bpf_program__section_name(program), "cannot attach", errno);
    }
    links_.push_back(std::move(link));
  }
  ring_.reset(ring_buffer__new(bpf_map__fd(skeleton_->maps.events), OnEvent, this, nullptr));
  if (!ring_) return FailErrno("map/events", "cannot map the ring buffer", errno);
  return {};
}

// ---- what policies may use
// -------------------------------------------------------------------------

Result<void> LoadedKernel::SupportsHook(gh_hook hook) const {
  if (hook < GH_HOOK_COUNT) return {};
  return Fail(ErrorCode::kUnsupported, "hook/" + std::to_string(hook), "there is no such hook");
}

Result<void> LoadedKernel::SupportsSubject(gh_hook hook, gh_subject subject) const {
  if (subject != GH_SUBJECT_BINARY || backend_ != Backend::kSignal || has_prepare_) return {};
  return Fail(ErrorCode::kUnsupported, std::string("hook/") + HookName(hook),
              "matchBinaries: backend signal does not know on this kernel which program executes",
              "use backend lsm or fmod_ret, or kernel 6.10 or later");
}

// ---- changes
// -----------------------------------------------------------------------------------------

std::vector<uint64_t> LoadedKernel::InUse() const {
  std::vector<uint64_t> in_use(GH_HOOK_COUNT);
  for (uint32_t hook = 0; hook < GH_HOOK_COUNT; ++hook) {
    in_use[hook] = image_->InstancesOn(static_cast<gh_hook>(hook));
  }
  return in_use;
}

Result<void> LoadedKernel::Apply(const bind::Delta& delta) {
  image_->Reclaim(grace_->done());
  const auto apply = [&]() -> Result<void> {
    for (const auto& [id, program] : delta.added) {
      for (const compile::HookProgram& hook : program->hooks) GH_TRY(hooks_.Attach(hook.hook));
    }
    return image_->Apply(delta);
  };
  auto applied = apply();
  hooks_.DetachUnused(InUse());
  grace_->Request(image_->generation());
  return applied;
}

Result<uint64_t> LoadedKernel::Track(bind::WorkloadId workload, const std::string& path) {
  auto id = cgroups_->Track(workload, image_->SlotOf(workload), path);
  if (!id) image_->ReleaseSlot(workload);
  return id;
}

void LoadedKernel::Untrack(bind::WorkloadId workload) {
  cgroups_->Untrack(workload);
  image_->ReleaseSlot(workload);
  grace_->Request(image_->generation());
}

// ---- what there is
// ------------------------------------------------------------------------------------

std::vector<RuleHits> LoadedKernel::Hits(bind::InstanceId instance) const {
  std::vector<RuleHits> hits;
  for (const compile::RuleCount& count : image_->Counts(instance)) {
    hits.push_back(RuleHits{count.hook_index, count.rule, count.hits});
  }
  return hits;
}

uint64_t LoadedKernel::MemoryBytes(bind::InstanceId instance) const {
  return image_->MemoryBytes(instance);
}

Status LoadedKernel::status() const {
  Status status;
  status.backend = backend_;
  status.probes = probes_;
  status.hooks = hooks_.status(InUse());
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) AddProgram(status.programs, program);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) AddMap(status.maps, bpf_map__fd(map));
  AddMap(status.maps, arena_->map_fd());
  AddMap(status.maps, grace_map_.get());
  const compile::ImageSizes sizes = image_->sizes();
  status.image = ImageStatus{
      .generation = sizes.generation,
      .arena_bytes = sizes.arena_bytes,
      .used_bytes = sizes.used_bytes,
      .instances = sizes.instances,
      .groups = sizes.groups,
      .sets = sizes.sets,
      .strings = sizes.strings,
      .workloads = sizes.workloads,
  };
  for (uint32_t stat = 0; stat < GH_STAT_COUNT; ++stat) {
    uint64_t value = 0;
    bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.stats), &stat, &value);
    status.counters.emplace_back(kStatNames.at(stat), value);
  }
  return status;
}

int LoadedKernel::OnEvent(void* context, void* data, size_t size) {
  const auto* kernel = static_cast<LoadedKernel*>(context);
  (*kernel->sink_)(std::span(static_cast<const std::byte*>(data), size));
  return 0;
}

Result<size_t> LoadedKernel::PollEvents(
    std::chrono::milliseconds timeout,
    const std::function<void(std::span<const std::byte>)>& sink) {
  sink_ = &sink;
  const int count = ring_buffer__poll(ring_.get(), static_cast<int>(timeout.count()));
  sink_ = nullptr;
  if (count >= 0) return static_cast<size_t>(count);
  if (count == -EINTR) return size_t{0};
  return FailErrno("map/events", "cannot read the ring buffer", -count);
}

}  // namespace gatehouse::kernel
