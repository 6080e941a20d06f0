// SPDX-License-Identifier: Apache-2.0
#include "kernel/loaded_kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "kernel/file_identity.h"
#include "kernel/libbpf_log.h"
#include "kernel/namespaces.h"
#include "kernel/program_sites.h"
#include "kernel/protected.h"
#include "policy/catalog.h"
#include "policy/sites.h"

namespace gatehouse::kernel {
namespace {

constexpr uint32_t kSpareScratchSlots =
    32;  // beyond one for each possible CPU: tasks preempted inside

uint64_t MapMemlock(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  for (std::string key; info >> key;) {
    uint64_t bytes = 0;
    if (key == "memlock:" && info >> bytes) return bytes;
  }
  return 0;
}

void AddMap(std::vector<MapStatus>& maps, int fd) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return;
  maps.push_back(MapStatus{info.name, info.id, MapMemlock(fd)});
}

constexpr std::array<const char*, GH_STAT_COUNT> kStatNames{
    "events_lost_exec",    "events_lost_exit",
    "events_lost_policy",  "events_lost_part",
    "events_limited",      "scratch_exhausted",
    "path_too_long",       "path_unreachable",
    "path_fault",          "no_binary",
    "string_fault",        "socket_fault",
    "number_fault",        "resolve_fault",
    "matches_overflow",    "lineage_unknown",
    "lineages_full",       "cgroups_untracked",
    "protected",           "signal_failed",
    "set_failed",          "notification_replaced",
    "notification_unused", "notification_lost",
    "call_forgotten",
};

/// Whether the kernel has the tracepoint sched_prepare_exec (6.10, commit 5c5fad46e48c). Loads its
/// BTF.
bool HasPrepareExec() {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__load_vmlinux_btf(), &btf__free);
  return types &&
         btf__find_by_name_kind(types.get(), "btf_trace_sched_prepare_exec", BTF_KIND_TYPEDEF) > 0;
}

const BackendProbe& ProbeOf(const std::vector<BackendProbe>& probes, Backend backend) {
  return *std::ranges::find(probes, backend, &BackendProbe::backend);
}

}  // namespace

LoadedKernel::LoadedKernel(Skeleton skeleton, Backend backend, std::vector<BackendProbe> probes,
                           Sites sites, bool prepare_exec)
    : skeleton_(std::move(skeleton)),
      backend_(backend),
      probes_(std::move(probes)),
      hooks_(*skeleton_, std::move(sites), ProbeOf(probes_, backend).reattaches, prepare_exec) {}

Result<std::unique_ptr<LoadedKernel>> LoadedKernel::Create(const Options& options,
                                                           compile::StringPool& strings,
                                                           std::vector<BackendProbe> probes,
                                                           Backend backend) {
  const LibbpfLog log;
  Skeleton skeleton(gatehouse_bpf::open());
  if (!skeleton) {
    return FailErrno("bpf", "cannot open the programs", errno, log.Tail());
  }
  const bool prepare_exec = backend == Backend::kSignal && HasPrepareExec();
  const bool binary_is_known = backend != Backend::kSignal || prepare_exec;
  Sites sites(backend, ProbeOf(probes, Backend::kFmodRet).available, binary_is_known,
              HostNamespaces());
  std::unique_ptr<LoadedKernel> kernel(new LoadedKernel(
      std::move(skeleton), backend, std::move(probes), std::move(sites), prepare_exec));

  compile::DigestKey key{};
  if (getrandom(key.data(), sizeof(key), 0) != sizeof(key)) {
    return FailErrno("getrandom", "no random key", errno);
  }
  if (auto loaded = kernel->LoadPrograms(options, key); !loaded) {
    Error error = std::move(loaded).error();
    if (const std::string said = log.Tail(); !said.empty()) error.cause += "\n" + said;
    return tl::unexpected(std::move(error));
  }
  kernel->entering_ = std::make_unique<Entering>(*kernel->skeleton_);
  kernel->lineages_ =
      std::make_unique<Lineages>(*kernel->skeleton_, key, backend != Backend::kSignal);
  GH_TRY(kernel->StartImage(strings, key));
  GH_TRY(kernel->LoadGates());
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
  std::ranges::copy(protected_tasks, constants.protected_tasks);
  std::ranges::copy(hooks_.sites().host_namespaces(), constants.host_namespaces);

  auto& maps = skeleton_->maps;
  bpf_map__set_max_entries(maps.scratch_pool, constants.scratch_slots);
  bpf_map__set_max_entries(maps.cgroups, options.max_cgroups);
  bpf_map__set_max_entries(maps.events, options.ring_bytes);
  auto& programs = skeleton_->progs;
  std::vector<bpf_program*> unused{
      programs.gate_lsm,     programs.gate_fmod_ret, programs.gate_fentry,    programs.gate_fexit,
      programs.gate_raw,     programs.gate_record,   programs.gate_uprobe,    programs.gate_prepare,
      programs.gate_exec,    programs.gate_enter,    programs.gate_leave,     programs.lineage_exec,
      programs.lineage_fork, programs.lineage_exit,  programs.gate_uretprobe, programs.keep_call,
      programs.gate_usdt,    programs.gate_loader,   programs.lineage_execve, programs.hash_file,
      programs.hash_program, programs.entered};
  if (options.base_events == BaseEvents::kOff) {
    unused.insert(unused.end(), {programs.process_exec, programs.process_exit});
  }
  for (bpf_program* program : unused) bpf_program__set_autoload(program, false);
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

/// The gates of executions are loaded before there is a policy: a kernel that refuses them shall
/// say so at the start.
Result<void> LoadedKernel::LoadGates() {
  GH_TRY(hooks_.Load(policy::kCredsForExec, GH_HOOK_BPRM_CREDS_FOR_EXEC, compile::Extent::kPlain));
  return hooks_.Load(policy::kBprmCheck, GH_HOOK_BPRM_CHECK, compile::Extent::kPlain);
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

Result<void> LoadedKernel::Supports(const compile::HookProgram& hook) const {
  return hooks_.sites().Check(hook);
}

bool LoadedKernel::Has(const policy::Site& site) const { return hooks_.sites().Has(site); }

std::vector<std::string> LoadedKernel::Names(policy::Site::Kind kind) const {
  return Sites::Names(kind);
}

std::vector<Result<void>> LoadedKernel::CanAttach(std::span<const policy::Site> sites) const {
  return hooks_.sites().CanAttach(sites);
}

std::vector<Result<Settled>> LoadedKernel::Settle(std::span<const Unsettled> all) const {
  return hooks_.sites().Settle(all);
}

Result<std::vector<ProbePlace>> LoadedKernel::Places(const policy::Site& site) const {
  return hooks_.sites().Places(site);
}

Result<bool> LoadedKernel::HasDigest(const std::string& path,
                                     std::span<const std::string> digests) const {
  return kernel::HasDigest(path, digests, "file/" + path);
}

std::optional<gh_address_range> LoadedKernel::FindFile(const std::string& path) const {
  return kernel::FindFile(path);
}

// ---- changes
// -----------------------------------------------------------------------------------------

std::function<uint64_t(uint16_t)> LoadedKernel::PoliciesOn() const {
  return [this](uint16_t hook) { return image_->InstancesOn(hook); };
}

/// What is left of policies that are gone: the kernel has given these addresses to other sockets.
void LoadedKernel::ForgetSocketOwners() const {
  const int map = bpf_map__fd(skeleton_->maps.socket_owners);
  uint64_t socket = 0;
  while (bpf_map_get_next_key(map, nullptr, &socket) == 0) bpf_map_delete_elem(map, &socket);
}

Result<void> LoadedKernel::Apply(const bind::Delta& delta) {
  image_->Reclaim(grace_->done());
  const auto apply = [&]() -> Result<void> {
    for (const auto& [id, program] : delta.added) {
      for (const compile::HookProgram& hook : program->hooks) {
        if (Lineages::IsAskedBy(hook)) GH_TRY(lineages_->Start());
        GH_ASSIGN(const uint16_t number, image_->NumberOf(*hook.site));
        GH_TRY(hooks_.Attach(*hook.site, number, hook.extent()));
      }
    }
    const bool tracks = std::ranges::any_of(
        delta.added, [](const auto& added) { return added.second->TracksSockets(); });
    if (tracks && !image_->tracks_sockets()) ForgetSocketOwners();
    return image_->Apply(delta);
  };
  auto applied = apply();
  hooks_.DetachUnused(PoliciesOn());
  grace_->Request(image_->generation());
  return applied;
}

Result<uint64_t> LoadedKernel::Track(bind::WorkloadId workload, const std::string& path) {
  auto id = cgroups_->Track(workload, image_->SlotOf(workload), path);
  if (!id) image_->ReleaseSlot(workload);
  return id;
}

Result<void> LoadedKernel::LetEnter(pid_t pid) { return entering_->Add(pid); }

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
  status.hooks = hooks_.status(PoliciesOn());
  status.programs = ProgramsIn(*skeleton_);
  std::ranges::move(hooks_.programs(), std::back_inserter(status.programs));
  std::ranges::move(lineages_->programs(), std::back_inserter(status.programs));
  std::ranges::move(entering_->programs(), std::back_inserter(status.programs));
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
  status.counters.emplace_back("runs_left_out", hooks_.RunsLeftOut());
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
