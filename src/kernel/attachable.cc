// SPDX-License-Identifier: Apache-2.0
#include "kernel/attachable.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <unordered_set>

#include "base/fd.h"
#include "kernel/sites.h"
#include "policy/sites.h"
#include "policy/system_calls.h"

namespace gatehouse::kernel {
namespace {

/// The functions that ftrace can trace. BTF has others, too: that nothing can be attached to these,
/// the kernel would only say when it is tried.
class TracedFunctions {
 public:
  TracedFunctions() {
    std::ifstream file("/sys/kernel/tracing/available_filter_functions");
    for (std::string line; std::getline(file, line);) {
      names_.insert(line.substr(0, line.find(' ')));  // behind it, the module
    }
  }
  /// True for all if tracefs is not mounted.
  [[nodiscard]] bool MayHave(const std::string& function) const {
    return names_.empty() || names_.contains(function);
  }

 private:
  std::unordered_set<std::string> names_;
};

struct Program {
  bpf_prog_type type;
  bpf_attach_type attach;
};

/// For ways that are about a function of the kernel.
std::optional<Program> ProgramOf(Way way) {
  switch (way) {
    case Way::kLsm:
      return Program{BPF_PROG_TYPE_LSM, BPF_LSM_MAC};
    case Way::kFmodRet:
      return Program{BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN};
    case Way::kFentry:
      return Program{BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY};
    case Way::kFexit:
      return Program{BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT};
    default:
      return std::nullopt;
  }
}

}  // namespace

bool TakesProgram(bpf_prog_type type, bpf_attach_type attach, uint32_t function, bool sleeps) {
  constexpr std::array<bpf_insn, 2> kAllow{{
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  }};
  bpf_prog_load_opts options{};
  options.sz = sizeof(options);
  options.expected_attach_type = attach;
  options.attach_btf_id = function;
  if (sleeps) options.prog_flags = BPF_F_SLEEPABLE;
  const Fd program(
      bpf_prog_load(type, "probe", "Dual BSD/GPL", kAllow.data(), kAllow.size(), &options));
  return program.valid();
}

bool MayWriteToProcesses() {
  constexpr int32_t kBytes = 8;
  // A number on the stack, to be written to address 0.
  constexpr std::array<bpf_insn, 7> kWrite{{
      {BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -kBytes, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 0},
      {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0},
      {BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -kBytes},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, kBytes},
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_write_user},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  }};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_KPROBE, "probe", "Dual BSD/GPL", kWrite.data(),
                                 kWrite.size(), nullptr));
  return program.valid();
}

std::vector<std::string> Sites::Names(policy::Site::Kind kind) {
  const KernelTypes types;
  if (!types.loaded()) return {};
  std::vector<std::string> names;
  if (kind == policy::Site::Kind::kSystemCall) {
    names = types.Functions(policy::FunctionName(policy::Site{.kind = kind, .name = {}}));
    std::ranges::move(types.Functions(kWithoutParameters), std::back_inserter(names));
    std::erase_if(names, [](const std::string& name) { return !policy::MayBeNative(name); });
  } else {
    names = types.Functions({});
  }
  std::ranges::sort(names);
  const auto rest = std::ranges::unique(names);
  names.erase(rest.begin(), rest.end());
  return names;
}

std::vector<Result<void>> Sites::CanAttach(std::span<const policy::Site> sites) const {
  const TracedFunctions traced;
  Types types;
  const auto takes = [&](const Plan& plan) {
    const std::optional<Program> program = ProgramOf(plan.way);
    if (!program) return true;
    const bool of_lsm = plan.way == Way::kLsm;
    if (!of_lsm && !traced.MayHave(plan.target)) return false;
    if (!types) types.emplace();
    const int function = types->FindFunction(of_lsm ? HookOfLsm(plan.target) : plan.target);
    return TakesProgram(program->type, program->attach, static_cast<uint32_t>(function));
  };
  std::vector<Result<void>> results;
  results.reserve(sites.size());
  for (const policy::Site& site : sites) {
    const Result<const Plan*> plan = Find(site, types);
    if (!plan) {
      results.emplace_back(tl::unexpected(plan.error()));
    } else if (!takes(**plan)) {
      results.emplace_back(Fail(ErrorCode::kUnsupported, "hook/" + policy::NameOf(site),
                                "the kernel lets no program be attached there"));
    } else {
      results.emplace_back();
    }
  }
  return results;
}

}  // namespace gatehouse::kernel
