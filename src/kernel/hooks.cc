// SPDX-License-Identifier: Apache-2.0
#include "kernel/hooks.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "kernel/libbpf_log.h"
#include "kernel/mappings.h"
#include "policy/sites.h"

namespace gatehouse::kernel {
namespace {

using compile::Extent;
using Constants = std::array<int32_t, GH_CONSTANT_COUNT>;

/// Writes what is special about one hook into the program's instructions: see enum gh_constant.
Result<void> WriteConstants(bpf_program* program, const Constants& constants) {
  const bpf_insn* const first = bpf_program__insns(program);
  std::vector<bpf_insn> code(first, first + bpf_program__insn_cnt(program));
  for (bpf_insn& instruction : code) {
    const uint32_t constant = static_cast<uint32_t>(instruction.imm) - GH_CONSTANT;
    if (instruction.code == (BPF_ALU64 | BPF_MOV | BPF_K) && constant < constants.size()) {
      instruction.imm = constants.at(constant);
    }
  }
  const int error = bpf_program__set_insns(program, code.data(), code.size());
  if (error != 0) return FailErrno("bpf", "cannot specialise a program", -error);
  return {};
}

Constants ConstantsOf(const Plan& plan, uint16_t number, uint32_t cookie, Extent extent) {
  const size_t words = plan.registers != GH_REGISTERS_NONE ? 1 : plan.parameters.size();
  const bool returns = plan.overrides || plan.way == Way::kFexit;
  Constants constants{};
  constants[GH_CONSTANT_HOOK] = number;
  constants[GH_CONSTANT_ARGUMENTS] = static_cast<int32_t>(plan.readable());
  constants[GH_CONSTANT_RETURN] = static_cast<int32_t>(returns ? words : GH_PARAMETERS_MAX + 1);
  constants[GH_CONSTANT_REGISTERS] = plan.registers;
  for (size_t i = 0; i < std::min<size_t>(plan.parameters.size(), GH_ARGUMENTS_MAX); ++i) {
    constants.at(GH_CONSTANT_PLACE_0 + i) = static_cast<int32_t>(plan.parameters[i].place);
    if (i < GH_OPERANDS_MAX) constants.at(GH_CONSTANT_NUMBER_0 + i) = plan.parameters[i].number;
  }
  constants[GH_CONSTANT_WRITES] = plan.writes ? 1 : 0;
  constants[GH_CONSTANT_TABLE] = plan.table;
  constants[GH_CONSTANT_COOKIE] = static_cast<int32_t>(cookie);
  constants[GH_CONSTANT_READS_MORE] = extent >= Extent::kMore ? 1 : 0;
  constants[GH_CONSTANT_HASHES] = extent == Extent::kHashes ? 1 : 0;
  return constants;
}

/// Whether a program is loaded for one place, and the kernel attaches it there; else it is attached
/// anywhere, by way of a perf event.
bool HasTarget(Way way) { return way != Way::kRecord && !IsOfProgram(way); }

/// Whether another program can take the place of one while it is attached: what is kept of a call
/// until it returns, or set in it, is there once.
bool CanBePlain(Way way) { return HasTarget(way) && !IsShared(way) && way != Way::kLoader; }

/// `at_return`: of the function that is there.
bpf_link* AttachToFile(const bpf_program* program, const Plan& plan, bool at_return) {
  constexpr pid_t kAnyProcess = -1;
  bpf_uprobe_opts options{};
  options.sz = sizeof(options);
  options.ref_ctr_offset = plan.counter;
  options.retprobe = at_return;
  return bpf_program__attach_uprobe_opts(program, kAnyProcess, plan.target.c_str(), plan.offset,
                                         &options);
}

/// Attaches a program without target.
bpf_link* AttachToEvent(const bpf_program* program, const policy::Site& site, const Plan& plan) {
  if (plan.way == Way::kRecord) {
    return bpf_program__attach_tracepoint(program, site.source.c_str(), site.name.c_str());
  }
  return AttachToFile(program, plan, plan.way == Way::kUretprobe);
}

constexpr const char* kEnter = "sys_enter";

/// Whether the site is, or hangs on, the tracepoint that gate_enter is on.
bool IsToldAtEnter(const policy::Site& site) {
  if (site.kind == policy::Site::Kind::kRawTracepoint) return site.name == kEnter;
  return site.kind == policy::Site::Kind::kTracepoint && site.name.starts_with(kEnter);
}

/// What tells the hash of the file that is, or is in, the first argument of an LSM hook.
bpf_program* HasherFor(const gatehouse_bpf& skeleton, const Plan& plan) {
  return plan.parameters.front().pointee == "file" ? skeleton.progs.hash_file
                                                   : skeleton.progs.hash_program;
}

bpf_prog_info InfoOf(int program) {
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  bpf_obj_get_info_by_fd(program, &info, &size);
  return info;
}

}  // namespace

bpf_program* Hooks::ProgramFor(gatehouse_bpf& skeleton, Way way) const {
  switch (way) {
    case Way::kLsm:
      return skeleton.progs.gate_lsm;
    case Way::kFmodRet:
      return skeleton.progs.gate_fmod_ret;
    case Way::kFentry:
      return skeleton.progs.gate_fentry;
    case Way::kFexit:
      return skeleton.progs.gate_fexit;
    case Way::kRaw:
      return skeleton.progs.gate_raw;
    case Way::kRecord:
      return skeleton.progs.gate_record;
    case Way::kUprobe:
      return skeleton.progs.gate_uprobe;
    case Way::kUretprobe:
      return skeleton.progs.gate_uretprobe;
    case Way::kUsdt:
      return skeleton.progs.gate_usdt;
    case Way::kLoader:
      return skeleton.progs.gate_loader;
    case Way::kEnter:
      return skeleton.progs.gate_enter;
    case Way::kLeave:
      return skeleton.progs.gate_leave;
    case Way::kSignal:
      return prepare_exec_ ? skeleton.progs.gate_prepare : skeleton.progs.gate_exec;
  }
  __builtin_unreachable();
}

Result<std::shared_ptr<Hooks::Gate>> Hooks::LoadGate(const Plan& plan, uint16_t number,
                                                     Extent extent, bool explains) const {
  auto gate = std::make_shared<Gate>();
  gate->extent = extent;
  const LibbpfLog log;
  GH_ASSIGN(Skeleton skeleton, OpenSharing(shared_));
  bpf_program* const program = ProgramFor(*skeleton, plan.way);
  bpf_program* const keeper = plan.way == Way::kUretprobe ? skeleton->progs.keep_call : nullptr;
  bpf_program__set_autoload(program, true);
  if (keeper != nullptr) bpf_program__set_autoload(keeper, true);
  bpf_program* const hasher = extent == Extent::kHashes ? HasherFor(*skeleton, plan) : nullptr;
  if (hasher != nullptr) {
    bpf_program__set_autoload(hasher, true);
    bpf_program__set_attach_target(hasher, 0, plan.target.c_str());
  }
  if (!IsShared(plan.way)) {
    const Constants constants = ConstantsOf(plan, number, cookie_, extent);
    GH_TRY(WriteConstants(program, constants));
    if (keeper != nullptr) GH_TRY(WriteConstants(keeper, constants));
    const int error =
        HasTarget(plan.way) ? bpf_program__set_attach_target(program, 0, plan.target.c_str()) : 0;
    if (error != 0) {
      return FailErrno("hook/" + plan.target, "the kernel has no place to attach to", -error,
                       log.Tail());
    }
  }
  std::optional<VerifierStats> stats;
  if (!explains) stats.emplace(program);
  if (const int error = gatehouse_bpf::load(skeleton.get()); error != 0) {
    if (!explains) return LoadGate(plan, number, extent, true);
    Error refused =
        FailErrno("hook/" + plan.target, "the kernel refuses the program", -error).value();
    if (const std::string said = log.Tail(); !said.empty()) refused.cause += "\n" + said;
    return tl::unexpected(std::move(refused));
  }
  if (stats) gate->verified_instructions = stats->instructions();
  gate->name = bpf_program__name(program);
  gate->program = Fd(fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0));
  if (hasher != nullptr) gate->hasher = Fd(fcntl(bpf_program__fd(hasher), F_DUPFD_CLOEXEC, 0));
  if (!gate->program.valid() || (hasher != nullptr && !gate->hasher.valid())) {
    return FailErrno("bpf", "cannot keep a program", errno);
  }
  if (!HasTarget(plan.way)) {
    gate->attachable = program;
    gate->keeper = keeper;
    gate->skeleton = std::move(skeleton);
  }
  return gate;
}

Result<void> Hooks::Load(const policy::Site& site, uint16_t number, Extent extent) {
  if (hooks_.contains(number)) return {};
  GH_ASSIGN(const Plan* const plan, sites_.Find(site));
  std::shared_ptr<Gate> gate = IsShared(plan->way) ? shared_gates_[plan->way] : nullptr;
  if (!gate) {
    if (!CanBePlain(plan->way)) extent = std::max(extent, Extent::kMore);
    GH_ASSIGN(gate, LoadGate(*plan, number, extent));
    if (IsShared(plan->way)) shared_gates_[plan->way] = gate;
  }
  hooks_.emplace(number, Hook{site, std::move(gate)});
  if (plan->system_call) {
    const size_t table =
        (plan->way == Way::kLeave ? 1 : 0) + (plan->table == GH_TABLE_COMPAT ? 2 : 0);
    shared_.bss->system_calls[table].hooks[*plan->system_call] = number;
  }
  return {};
}

Result<void> Hooks::Attach(const policy::Site& site, uint16_t number, Extent extent) {
  GH_TRY(Load(site, number, extent));
  std::shared_ptr<Gate>& gate = hooks_.at(number).gate;
  GH_ASSIGN(const Plan* const plan, sites_.Find(site));
  if (gate->extent >= extent) return AttachGate(*gate, site, *plan);
  GH_ASSIGN(std::shared_ptr<Gate> other, LoadGate(*plan, number, extent));
  GH_TRY(AttachGate(*other, site, *plan));
  gate = std::move(other);
  return {};
}

/// Attaches the gate, if it is not.
Result<void> Hooks::AttachGate(Gate& gate, const policy::Site& site, const Plan& plan) {
  if (gate.attached()) return {};
  if (plan.way == Way::kLoader) {
    GH_ASSIGN(gate.mappings, TellMappings(cookie_));
  }
  const LibbpfLog log;
  if (gate.keeper != nullptr && !gate.keeper_link) {
    gate.keeper_link.reset(AttachToFile(gate.keeper, plan, false));
  }
  const bool ready = gate.keeper == nullptr || gate.keeper_link != nullptr;
  if (gate.hasher.valid() && !gate.hasher_link.valid()) {
    // What comes later is called earlier, as Sites::Check has seen.
    gate.hasher_link = Fd(bpf_raw_tracepoint_open(nullptr, gate.hasher.get()));
    if (!gate.hasher_link.valid()) {
      return FailErrno("hook/" + policy::NameOf(site), "cannot attach what tells hashes", errno);
    }
  }
  if (HasTarget(plan.way)) {
    // BPF_RAW_TRACEPOINT_OPEN attaches whatever was loaded for a place in the kernel, since 5.5.
    gate.link_fd = Fd(bpf_raw_tracepoint_open(nullptr, gate.program.get()));
  } else if (ready) {
    gate.link.reset(AttachToEvent(gate.attachable, site, plan));
  }
  if (!gate.attached()) {
    const int error = errno;
    return FailErrno("hook/" + policy::NameOf(site), "cannot attach " + gate.name, error,
                     log.Tail());
  }
  return IsToldAtEnter(site) ? PutEnterLast() : Result<void>();
}

/// What a system call's enforcer is notified of at a tracepoint of its begin, gate_enter finds, as
/// the kernel calls programs in the order in which they came. Until the old gate is gone, both are
/// there.
Result<void> Hooks::PutEnterLast() {
  const auto found = shared_gates_.find(Way::kEnter);
  if (found == shared_gates_.end() || !found->second->attached()) return {};
  constexpr uint16_t kShared = 0;
  GH_ASSIGN(const std::shared_ptr<Gate> last,
            LoadGate(Plan{.way = Way::kEnter, .target = kEnter, .parameters = {}}, kShared,
                     Extent::kMore));
  last->link_fd = Fd(bpf_raw_tracepoint_open(nullptr, last->program.get()));
  if (!last->attached()) {
    return FailErrno(std::string("hook/") + kEnter, "cannot attach " + last->name, errno);
  }
  *found->second = std::move(*last);
  return {};
}

void Hooks::DetachUnused(const std::function<uint64_t(uint16_t)>& policies) {
  if (!reattaches_) return;
  for (const auto& [number, hook] : hooks_) {
    const auto needed = [&, gate = hook.gate](const auto& other) {
      return other.second.gate == gate && policies(other.first) != 0;
    };
    if (std::ranges::any_of(hooks_, needed)) continue;
    hook.gate->link.reset();
    hook.gate->link_fd = Fd();
    hook.gate->hasher_link = Fd();
    hook.gate->keeper_link.reset();
    hook.gate->mappings.clear();
  }
}

std::vector<HookStatus> Hooks::status(const std::function<uint64_t(uint16_t)>& policies) const {
  std::vector<HookStatus> result;
  for (const auto& [number, hook] : hooks_) {
    const bpf_prog_info info = InfoOf(hook.gate->program.get());
    result.push_back(HookStatus{
        .name = policy::NameOf(hook.site),
        .program = hook.gate->name,
        .program_id = info.id,
        .attached = hook.gate->attached(),
        .policies = policies(number),
        .run_count = info.run_cnt,
        .run_time_ns = info.run_time_ns,
    });
  }
  return result;
}

std::vector<const Hooks::Gate*> Hooks::gates() const {
  std::vector<const Gate*> gates;
  for (const auto& [number, hook] : hooks_) {
    if (std::ranges::find(gates, hook.gate.get()) == gates.end()) gates.push_back(hook.gate.get());
  }
  return gates;
}

std::vector<ProgramStatus> Hooks::programs() const {
  std::vector<ProgramStatus> programs;
  for (const Gate* gate : gates()) {
    programs.push_back(
        ProgramStatus{gate->name, InfoOf(gate->program.get()).id, gate->verified_instructions});
    if (gate->hasher.valid()) {
      const bpf_prog_info info = InfoOf(gate->hasher.get());
      programs.push_back(ProgramStatus{info.name, info.id, info.verified_insns});
    }
    if (gate->keeper == nullptr) continue;
    const char* const name = bpf_program__name(gate->keeper);
    const bpf_prog_info info = InfoOf(bpf_program__fd(gate->keeper));
    programs.push_back(ProgramStatus{name, info.id, info.verified_insns});
  }
  return programs;
}

uint64_t Hooks::RunsLeftOut() const {
  uint64_t sum = 0;
  for (const Gate* gate : gates()) sum += InfoOf(gate->program.get()).recursion_misses;
  return sum;
}

}  // namespace gatehouse::kernel
