// SPDX-License-Identifier: Apache-2.0
#include "kernel/hooks.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "kernel/libbpf_log.h"
#include "policy/sites.h"

namespace gatehouse::kernel {
namespace {

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

Constants ConstantsOf(const Plan& plan, uint16_t number) {
  const size_t words = plan.registers != GH_REGISTERS_NONE ? 1 : plan.parameters.size();
  const bool returns = plan.overrides || plan.way == Way::kFexit;
  Constants constants{};
  constants[GH_CONSTANT_HOOK] = number;
  constants[GH_CONSTANT_ARGUMENTS] = static_cast<int32_t>(plan.readable());
  constants[GH_CONSTANT_RETURN] = static_cast<int32_t>(returns ? words : GH_PARAMETERS_MAX + 1);
  constants[GH_CONSTANT_REGISTERS] = plan.registers;
  for (size_t i = 0; i < std::min<size_t>(plan.parameters.size(), GH_ARGUMENTS_MAX); ++i) {
    constants.at(GH_CONSTANT_PLACE_0 + i) = static_cast<int32_t>(plan.parameters[i].place);
  }
  return constants;
}

void LoadOnly(gatehouse_bpf& skeleton, bpf_program* program) {
  bpf_program* each = nullptr;
  bpf_object__for_each_program(each, skeleton.obj) {
    bpf_program__set_autoload(each, each == program);
  }
}

/// Whether a program is loaded for one place; else it is attached anywhere.
bool NeedsTarget(Way way) { return way != Way::kRecord && way != Way::kUprobe; }

bpf_link* AttachProgram(const bpf_program* program, const policy::Site& site, const Plan& plan) {
  constexpr pid_t kAnyProcess = -1;
  switch (plan.way) {
    case Way::kRecord:
      return bpf_program__attach_tracepoint(program, site.source.c_str(), site.name.c_str());
    case Way::kUprobe:
      return bpf_program__attach_uprobe(program, false, kAnyProcess, plan.target.c_str(),
                                        plan.offset);
    default:
      return bpf_program__attach(program);
  }
}

bpf_prog_info InfoOf(const bpf_program* program) {
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size);
  return info;
}

}  // namespace

/// One set of maps for all programs, the configuration in .rodata among them.
Result<void> Hooks::ShareMaps(gatehouse_bpf& skeleton) const {
  bpf_map* own = nullptr;
  bpf_object__for_each_map(own, skeleton.obj) {
    const bpf_map* theirs = bpf_object__find_map_by_name(shared_.obj, bpf_map__name(own));
    const int error = theirs == nullptr ? -ENOENT : bpf_map__reuse_fd(own, bpf_map__fd(theirs));
    if (error != 0) {
      return FailErrno(std::string("map/") + bpf_map__name(own), "cannot be shared", -error);
    }
  }
  return {};
}

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
    case Way::kEnter:
      return skeleton.progs.gate_enter;
    case Way::kLeave:
      return skeleton.progs.gate_leave;
    case Way::kSignal:
      return prepare_exec_ ? skeleton.progs.gate_prepare : skeleton.progs.gate_exec;
  }
  __builtin_unreachable();
}

Result<std::shared_ptr<Hooks::Gate>> Hooks::LoadGate(const Plan& plan, uint16_t number) const {
  auto gate = std::make_shared<Gate>();
  const LibbpfLog log;
  gate->skeleton.reset(gatehouse_bpf::open());
  if (!gate->skeleton) return FailErrno("bpf", "cannot open the programs", errno);
  gate->program = ProgramFor(*gate->skeleton, plan.way);
  LoadOnly(*gate->skeleton, gate->program);
  GH_TRY(ShareMaps(*gate->skeleton));
  if (!IsShared(plan.way)) {
    GH_TRY(WriteConstants(gate->program, ConstantsOf(plan, number)));
    const int error = NeedsTarget(plan.way)
                          ? bpf_program__set_attach_target(gate->program, 0, plan.target.c_str())
                          : 0;
    if (error != 0) {
      return FailErrno("hook/" + plan.target, "the kernel has no place to attach to", -error,
                       log.Tail());
    }
  }
  if (const int error = gatehouse_bpf::load(gate->skeleton.get()); error != 0) {
    Error refused =
        FailErrno("hook/" + plan.target, "the kernel refuses the program", -error).value();
    if (const std::string said = log.Tail(); !said.empty()) refused.cause += "\n" + said;
    return tl::unexpected(std::move(refused));
  }
  return gate;
}

Result<void> Hooks::Load(const policy::Site& site, uint16_t number) {
  if (hooks_.contains(number)) return {};
  GH_ASSIGN(const Plan* const plan, sites_.Find(site));
  std::shared_ptr<Gate> gate = IsShared(plan->way) ? shared_gates_[plan->way] : nullptr;
  if (!gate) {
    GH_ASSIGN(gate, LoadGate(*plan, number));
    if (IsShared(plan->way)) shared_gates_[plan->way] = gate;
  }
  hooks_.emplace(number, Hook{site, std::move(gate)});
  if (plan->system_call) {
    shared_.bss->system_calls[plan->way == Way::kLeave ? 1 : 0].hooks[*plan->system_call] = number;
  }
  return {};
}

Result<void> Hooks::Attach(const policy::Site& site, uint16_t number) {
  GH_TRY(Load(site, number));
  Gate& gate = *hooks_.at(number).gate;
  if (gate.link) return {};
  GH_ASSIGN(const Plan* const plan, sites_.Find(site));
  const LibbpfLog log;
  gate.link.reset(AttachProgram(gate.program, site, *plan));
  if (gate.link) return {};
  const int error = errno;
  return FailErrno("hook/" + policy::NameOf(site),
                   std::string("cannot attach ") + bpf_program__name(gate.program), error,
                   log.Tail());
}

void Hooks::DetachUnused(const std::function<uint64_t(uint16_t)>& policies) {
  if (!reattaches_) return;
  for (const auto& [number, hook] : hooks_) {
    const auto needed = [&, gate = hook.gate](const auto& other) {
      return other.second.gate == gate && policies(other.first) != 0;
    };
    if (hook.gate->link && std::ranges::none_of(hooks_, needed)) hook.gate->link.reset();
  }
}

std::vector<HookStatus> Hooks::status(const std::function<uint64_t(uint16_t)>& policies) const {
  std::vector<HookStatus> result;
  for (const auto& [number, hook] : hooks_) {
    const bpf_prog_info info = InfoOf(hook.gate->program);
    result.push_back(HookStatus{
        .name = policy::NameOf(hook.site),
        .program = bpf_program__name(hook.gate->program),
        .program_id = info.id,
        .attached = hook.gate->link != nullptr,
        .policies = policies(number),
        .run_count = info.run_cnt,
        .run_time_ns = info.run_time_ns,
    });
  }
  return result;
}

std::vector<const bpf_program*> Hooks::programs() const {
  std::vector<const bpf_program*> programs;
  for (const auto& [number, hook] : hooks_) {
    const bpf_program* const program = hook.gate->program;
    if (std::ranges::find(programs, program) == programs.end()) programs.push_back(program);
  }
  return programs;
}

uint64_t Hooks::RunsLeftOut() const {
  uint64_t sum = 0;
  for (const bpf_program* program : programs()) sum += InfoOf(program).recursion_misses;
  return sum;
}

}  // namespace gatehouse::kernel
