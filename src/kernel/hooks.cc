// SPDX-License-Identifier: Apache-2.0
#include "kernel/hooks.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse::kernel {

const char* HookName(gh_hook hook) {
  switch (hook) {
    case GH_HOOK_BPRM_CREDS_FOR_EXEC:
      return "bprm_creds_for_exec";
    case GH_HOOK_BPRM_CHECK:
      return "bprm_check";
    case GH_HOOK_COUNT:
      break;
  }
  return "";
}

Hooks::Hooks(gatehouse_bpf& skeleton, Backend backend, bool has_prepare, bool reattaches)
    : reattaches_(reattaches) {
  auto& programs = skeleton.progs;
  for (bpf_program* program :
       {programs.lsm_creds, programs.lsm_check, programs.fmod_creds, programs.fmod_check,
        programs.signal_prepare, programs.signal_exec}) {
    bpf_program__set_autoload(program, false);
  }
  const auto add = [this](bpf_program* program, std::vector<gh_hook> hooks) {
    bpf_program__set_autoload(program, true);
    gates_.push_back(Gate{program, std::move(hooks), nullptr});
  };
  switch (backend) {
    case Backend::kLsm:
      add(programs.lsm_creds, {GH_HOOK_BPRM_CREDS_FOR_EXEC});
      add(programs.lsm_check, {GH_HOOK_BPRM_CHECK});
      break;
    case Backend::kFmodRet:
      add(programs.fmod_creds, {GH_HOOK_BPRM_CREDS_FOR_EXEC});
      add(programs.fmod_check, {GH_HOOK_BPRM_CHECK});
      break;
    case Backend::kSignal:
      add(has_prepare ? programs.signal_prepare : programs.signal_exec,
          {GH_HOOK_BPRM_CREDS_FOR_EXEC, GH_HOOK_BPRM_CHECK});
      break;
  }
}

Hooks::Gate& Hooks::GateOf(gh_hook hook) {
  return *std::ranges::find_if(gates_, [hook](const Gate& gate) {
    return std::ranges::find(gate.hooks, hook) != gate.hooks.end();
  });
}

Result<void> Hooks::Attach(gh_hook hook) {
  Gate& gate = GateOf(hook);
  if (gate.link) return {};
  gate.link.reset(bpf_program__attach(gate.program));
  if (!gate.link) {
    return FailErrno(std::string("hook/") + HookName(hook),
                     "cannot attach " + std::string(bpf_program__section_name(gate.program)),
                     errno);
  }
  return {};
}

void Hooks::DetachUnused(const std::vector<uint64_t>& in_use) {
  if (!reattaches_) return;
  for (Gate& gate : gates_) {
    const auto unused = [&](gh_hook hook) { return in_use.at(hook) == 0; };
    if (gate.link && std::ranges::all_of(gate.hooks, unused)) gate.link.reset();
  }
}

std::vector<HookStatus> Hooks::status(const std::vector<uint64_t>& in_use) const {
  std::vector<HookStatus> result;
  for (const Gate& gate : gates_) {
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    bpf_obj_get_info_by_fd(bpf_program__fd(gate.program), &info, &size);
    for (const gh_hook hook : gate.hooks) {
      result.push_back(HookStatus{
          .name = HookName(hook),
          .program = bpf_program__name(gate.program),
          .program_id = info.id,
          .attached = gate.link != nullptr,
          .policies = in_use.at(hook),
          .run_count = info.run_cnt,
          .run_time_ns = info.run_time_ns,
      });
    }
  }
  return result;
}

}  // namespace gatehouse::kernel
