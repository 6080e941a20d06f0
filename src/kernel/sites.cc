// SPDX-License-Identifier: Apache-2.0
#include "kernel/sites.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include "kernel/attachable.h"
#include "kernel/hashes.h"
#include "kernel/kernel_types.h"
#include "kernel/mappings.h"
#include "kernel/parameters.h"
#include "kernel/program_sites.h"
#include "kernel/tracepoint_format.h"
#include "policy/catalog.h"
#include "policy/sites.h"
#include "policy/system_calls.h"

namespace gatehouse::kernel {
namespace {

constexpr std::string_view kSecurity = "security_";

/// The function that calls an LSM hook: security/security.c has one for each, of the same name but
/// for this one.
std::string CallerOf(const policy::Site& site) {
  if (site == policy::kBprmCheck) return "security_bprm_check";
  return std::string(kSecurity) + site.name;
}

/// Whether a program may answer in the place of a function that may be told to fail
/// (ALLOW_ERROR_INJECTION; check_attach_modify_return() in kernel/bpf/verifier.c).
bool CanModify(uint32_t function) {
  return TakesProgram(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, function);
}

Plan MakePlan(Way way, std::string target, Prototype prototype) {
  return Plan{.way = way,
              .target = std::move(target),
              .parameters = std::move(prototype.parameters),
              .returned = prototype.returned.value_or(Parameter{}),
              .overrides = (way == Way::kLsm || way == Way::kFmodRet) && prototype.returns()};
}

std::string WithoutParameters(const policy::Site& site) {
  return std::string(kWithoutParameters) + policy::SystemCallOf(site.name).name;
}

/// The functions that a system call can have, the likeliest first. In the 32-bit table it is the
/// first that there is: see arch/x86/entry/syscalls/syscall_32.tbl, whose names these begin.
std::vector<std::string> FunctionsOf(const policy::Site& site) {
  const policy::SystemCallName call = policy::SystemCallOf(site.name);
  if (!call.compat) return {policy::FunctionName(site), WithoutParameters(site)};
  std::vector<std::string> functions;
  for (const char* prefix :
       {"__ia32_compat_sys_ia32_", "__ia32_sys_ia32_", "__ia32_compat_sys_", "__ia32_sys_"}) {
    functions.push_back(prefix + call.name);
  }
  functions.push_back(WithoutParameters(site));
  return functions;
}

Result<Plan> OnLsmHook(const KernelTypes& types, const policy::Site& site, Backend backend) {
  const std::string caller = CallerOf(site);
  std::optional<Prototype> of_hook = types.Function(HookOfLsm(site.name));
  if (backend == Backend::kLsm && of_hook) {
    return MakePlan(Way::kLsm, site.name, std::move(*of_hook));
  }
  std::optional<Prototype> of_caller = types.Function(caller);
  if (!of_hook && !of_caller) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site), "this kernel has no such LSM hook",
                "see security/security.c of the kernel, or its BTF for functions bpf_lsm_*");
  }
  if (!of_caller || (of_hook && of_hook->parameters != of_caller->parameters)) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "backend fmod_ret cannot serve this LSM hook: the kernel has no function " +
                    caller + " with the same arguments",
                "boot with \"bpf\" in lsm= and use backend lsm");
  }
  const Way way = of_caller->returns() ? Way::kFmodRet : Way::kFentry;
  return MakePlan(way, caller, std::move(*of_caller));
}

tl::unexpected<Error> NoSuchFunction(const policy::Site& site) {
  return Fail(ErrorCode::kUnsupported, ObjectOf(site),
              "this kernel has no function of that name that can be traced",
              "it may be inlined, or in a module; `bpftool btf dump file "
              "/sys/kernel/btf/vmlinux` lists what there is");
}

/// Of security_* functions: through the LSM hook that they call, if they give it what they get. BPF
/// LSM runs where fmod_ret is left out (see preemption.h), and asks in the order of lsm=.
Result<Plan> OnFunction(const KernelTypes& types, const policy::Site& site, Backend backend,
                        bool fmod_ret) {
  std::optional<Prototype> prototype = types.Function(site.name);
  if (backend == Backend::kLsm && site.name.starts_with(kSecurity)) {
    const std::string hook = site.name.substr(kSecurity.size());
    std::optional<Prototype> of_hook = types.Function(HookOfLsm(hook));
    if (of_hook && (!prototype || of_hook->parameters == prototype->parameters)) {
      return MakePlan(Way::kLsm, hook, std::move(*of_hook));
    }
  }
  if (!prototype) return NoSuchFunction(site);
  const bool modifies = fmod_ret && prototype->returns() && site.name.starts_with(kSecurity);
  return MakePlan(modifies ? Way::kFmodRet : Way::kFentry, site.name, std::move(*prototype));
}

/// When a function returns: any that returns something.
Result<Plan> AtReturn(const KernelTypes& types, const policy::Site& site) {
  std::optional<Prototype> prototype = types.Function(site.name);
  if (!prototype) return NoSuchFunction(site);
  if (!prototype->returns()) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site), site.name + " returns nothing",
                "remove `return: true`");
  }
  return MakePlan(Way::kFexit, site.name, std::move(*prototype));
}

/// The function's argument, if the kernel's BTF has its type. Until about 5.15 a file of the kernel
/// that only declares struct pt_regs has functions whose argument no program may read; but it is
/// the frame at the top of the task's stack (task_pt_regs() in arch/x86/include/asm/processor.h),
/// as long as that stack has its usual size.
Result<gh_registers> RegistersOf(const KernelTypes& types, const policy::Site& site,
                                 const std::string& function) {
  const std::optional<Prototype> prototype = types.Function(function);
  const bool takes_none = prototype && prototype->parameters.empty();
  if (takes_none || (prototype && prototype->parameters.front().readable)) {
    return GH_REGISTERS_GIVEN;
  }
  if (types.FindFunction("kasan_report") < 0) return GH_REGISTERS_ON_STACK;
  return Fail(ErrorCode::kUnsupported, ObjectOf(site),
              "the arguments of this system call cannot be read: the kernel's BTF does not have "
              "their type, and with CONFIG_KASAN they are not where they are else",
              "use a kernel without CONFIG_KASAN, or a newer one");
}

/// `both`: what is there serves both tables.
gh_table TableOf(const policy::Site& site, bool both) {
  if (policy::SystemCallOf(site.name).compat) return GH_TABLE_COMPAT;
  return both ? GH_TABLE_NATIVE : GH_TABLE_ANY;
}

/// A function for each, whose one argument are the registers.
Result<Plan> OnSystemCall(const KernelTypes& types, const policy::Site& site, bool fmod_ret) {
  int id = -1;
  std::string function;
  for (const std::string& each : FunctionsOf(site)) {
    if (id >= 0) break;
    function = each;
    id = types.FindFunction(function);
  }
  if (id < 0) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site), "this kernel has no such system call",
                "`ausyscall --dump` lists what there is");
  }
  GH_ASSIGN(const gh_registers registers, RegistersOf(types, site, function));
  const Way way = site.at_return                                     ? Way::kFexit
                  : fmod_ret && CanModify(static_cast<uint32_t>(id)) ? Way::kFmodRet
                                                                     : Way::kFentry;
  const bool both = function == WithoutParameters(site);
  return Plan{.way = way,
              .target = function,
              .parameters = ParametersInRegisters(),
              .overrides = way == Way::kFmodRet,
              .registers = registers,
              .table = TableOf(site, both)};
}

Result<Plan> OnRawTracepoint(const KernelTypes& types, const policy::Site& site) {
  std::optional<Prototype> prototype = types.Tracepoint(site.name);
  if (prototype) return MakePlan(Way::kRaw, site.name, std::move(*prototype));
  return Fail(ErrorCode::kUnsupported, ObjectOf(site),
              "this kernel has no tracepoint of that name whose arguments are known",
              "`bpftool btf dump file /sys/kernel/btf/vmlinux` lists them as btf_trace_*; without "
              "`raw: true`, tracepoints of modules can be had, too");
}

/// The path of a tracepoint in tracefs is what it is attached to by.
Result<Plan> OnTracepoint(const policy::Site& site) {
  GH_ASSIGN(const std::string format, ReadTracepointFormat(site.source, site.name, ObjectOf(site)));
  return Plan{.way = Way::kRecord,
              .target = site.source + "/" + site.name,
              .parameters = ParseTracepointFormat(format)};
}

/// See mappings.h; the program tells the path, the build id, and how many bytes that has.
Result<Plan> OnLoader(const KernelTypes& types, const policy::Site& site) {
  constexpr const char* kFunction = "perf_event_mmap_output";
  GH_TRY(TellMappings(0));
  if (types.FindFunction(kFunction) < 0) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                std::string("this kernel has no function ") + kFunction + " that can be traced",
                "use another kernel");
  }
  return Plan{.way = Way::kLoader,
              .target = kFunction,
              .parameters = {{.readable = true, .pointer = true, .pointee = "char"},
                             {.readable = true, .pointer = true, .pointee = "void"},
                             {.readable = true, .bytes = sizeof(uint64_t)}}};
}

/// Whether an argument can be a length.
bool IsLength(const Plan& plan, uint32_t index) {
  const bool there = index < std::min<size_t>(plan.parameters.size(), GH_ARGUMENTS_MAX) &&
                     plan.parameters[index].readable;
  const bool of_call = plan.registers != GH_REGISTERS_NONE || plan.system_call;
  return there && (of_call || !plan.parameters[index].pointer);
}

/// The name of a socket ends with its address, whose length is the next argument.
Result<void> CheckLengthOfAddress(const std::string& object, const Plan& plan, uint32_t index) {
  if (IsLength(plan, index)) return {};
  return Fail(ErrorCode::kUnsupported, object,
              "argument " + std::to_string(index) + " of " + plan.target +
                  " is not the length of the address before it, or is beyond what can be read",
              "use another hook, such as socket_connect, or type sockaddr for its family alone");
}

Result<void> CheckArgument(const std::string& object, const Plan& plan,
                           const compile::Input& input) {
  if (input.read == GH_READ_USER_IOVEC && plan.table == GH_TABLE_COMPAT) {
    return Fail(ErrorCode::kUnsupported, object,
                "argument " + std::to_string(input.subject) +
                    ": in the 32-bit table a char_iovec has another form",
                "remove the argument");
  }
  if (input.subject < plan.parameters.size()) {
    if (input.read == GH_READ_SOCKADDR_UN || input.read == GH_READ_USER_SOCKADDR_UN) {
      GH_TRY(CheckLengthOfAddress(object, plan, input.subject + 1U));
    }
    const bool has_length = gh_is_buffer(input.read) && input.read != GH_READ_IOV_ITER;
    if (has_length && input.bytes != GH_SUBJECT_RETURN && !IsLength(plan, input.bytes)) {
      return Fail(ErrorCode::kUnsupported, object,
                  "sizeArgIndex: argument " + std::to_string(input.bytes) + " of " + plan.target +
                      " is no length",
                  "write the position of the argument that is, counted from 1");
    }
    return CheckParameter(object,
                          "argument " + std::to_string(input.subject) + " of " + plan.target,
                          plan.parameters[input.subject], input);
  }
  return Fail(ErrorCode::kUnsupported, object,
              plan.target + " has " + std::to_string(plan.parameters.size()) +
                  " arguments, no argument " + std::to_string(input.subject),
              plan.way == Way::kRecord
                  ? "the fields of its format count from 0, the common ones too"
                  : "arguments are counted from 0");
}

std::string WhyNoOverride(const policy::Site& site, const Plan& plan, bool fmod_ret) {
  if (plan.way == Way::kRaw || plan.way == Way::kRecord) return "a tracepoint only tells";
  if (plan.way == Way::kUsdt) return "a static probe only tells";
  if (IsOfProgram(plan.way)) return "a uprobe only tells";
  if (plan.system_call) return "backend signal cannot deny a system call";
  if (site.kind == policy::Site::Kind::kSystemCall && !fmod_ret) {
    return "system calls are denied by fmod_ret programs, which do not work here (`gatehouse "
           "status` says why)";
  }
  if (site.kind == policy::Site::Kind::kSystemCall) {
    return "this kernel lets no program answer for " + plan.target +
           " (CONFIG_FUNCTION_ERROR_INJECTION)";
  }
  const bool hook = site.kind == policy::Site::Kind::kLsm || site.name.starts_with(kSecurity);
  return plan.target + (hook ? " returns nothing" : " is no security_* function");
}

}  // namespace

uint32_t Plan::readable() const {
  uint32_t bits = 0;
  for (size_t i = 0; i < std::min<size_t>(parameters.size(), GH_PARAMETERS_MAX); ++i) {
    if (parameters[i].readable) bits |= 1U << i;
  }
  return bits;
}

Result<Plan> Sites::MakeForSignal(const policy::Site& site) const {
  if (policy::IsOfExec(site)) {
    const Parameter program{.readable = true, .pointer = true, .pointee = "linux_binprm"};
    return Plan{.way = Way::kSignal,
                .target = "sched_process_exec",
                .parameters = {program},
                .overrides = true};
  }
  constexpr const char* kRemedy =
      "use a kernel on which backend lsm or fmod_ret works (`gatehouse status` says why they do "
      "not)";
  if (site.kind != policy::Site::Kind::kSystemCall) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "backend signal serves executions, on bprm_creds_for_exec and bprm_check_security, "
                "system calls, tracepoints, uprobes and usdts",
                kRemedy);
  }
  const std::optional<uint32_t> number = policy::NumberOf(policy::SystemCallOf(site.name));
  if (!number || *number >= GH_SYSTEM_CALLS_MAX) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "backend signal does not know the number of this system call",
                "`ausyscall --dump` lists what there is");
  }
  return Plan{.way = site.at_return ? Way::kLeave : Way::kEnter,
              .target = site.at_return ? "sys_exit" : "sys_enter",
              .parameters = ParametersInRegisters(),
              .table = TableOf(site, true),
              .system_call = number};
}

/// Before BPF had an allocator of its own (6.1, commit 7c8199e24fa0), the kernel warned of programs
/// of these types with our map of cgroups, which takes memory as it grows; with panic_on_warn the
/// machine would stop (is_tracing_prog_type() in kernel/bpf/verifier.c).
Result<Plan> Sites::MakeOnPerfEvent(const policy::Site& site) const {
  if (!on_perf_events_) {
    const KernelTypes types;
    on_perf_events_ = types.loaded() && types.FindFunction("bpf_mem_alloc_init") >= 0;
  }
  if (!*on_perf_events_) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "this kernel allows no such program a map that grows",
                policy::IsOfProgram(site)
                    ? "use kernel 6.1 or later"
                    : "use kernel 6.1 or later, or write `raw: true` and the arguments of the "
                      "tracepoint's call");
  }
  if (site.kind == policy::Site::Kind::kUsdt) return OnUsdt(site);
  return site.kind == policy::Site::Kind::kUprobe ? OnUprobe(site) : OnTracepoint(site);
}

Result<Plan> Sites::Make(const policy::Site& site, Types& loaded) const {
  using Kind = policy::Site::Kind;
  if (policy::IsOfProgram(site) || site.kind == Kind::kTracepoint) return MakeOnPerfEvent(site);
  if (backend_ == Backend::kSignal && site.kind != Kind::kRawTracepoint) {
    return MakeForSignal(site);
  }
  const KernelTypes& types = loaded ? *loaded : loaded.emplace();
  if (!types.loaded()) {
    return FailErrno(ObjectOf(site), "the kernel's BTF cannot be read", errno,
                     "use a kernel with CONFIG_DEBUG_INFO_BTF");
  }
  if (site.kind == Kind::kRawTracepoint) return OnRawTracepoint(types, site);
  if (site.kind == Kind::kLoader) return OnLoader(types, site);
  if (site.kind == Kind::kLsm) return OnLsmHook(types, site, backend_);
  if (site.kind == Kind::kSystemCall) return OnSystemCall(types, site, fmod_ret_);
  if (site.at_return) return AtReturn(types, site);
  return OnFunction(types, site, backend_, fmod_ret_);
}

bool Sites::Has(const policy::Site& site) const {
  if (known_.contains(site) || policy::IsOfExec(site)) return true;
  const KernelTypes types;
  if (!types.loaded()) return true;
  const auto is_there = [&](const std::string& function) {
    return types.FindFunction(function) >= 0;
  };
  switch (site.kind) {
    case policy::Site::Kind::kSystemCall:
      return std::ranges::any_of(FunctionsOf(site), is_there);
    case policy::Site::Kind::kLsm:
      return is_there(HookOfLsm(site.name)) || is_there(CallerOf(site));
    case policy::Site::Kind::kTracepoint:
    case policy::Site::Kind::kRawTracepoint:
    case policy::Site::Kind::kUprobe:
    case policy::Site::Kind::kUsdt:
    case policy::Site::Kind::kLoader:
      return true;  // nothing asks
    case policy::Site::Kind::kFunction:
      break;
  }
  // A function that only calls an LSM hook may be served there (OnFunction).
  return is_there(site.name) || (!site.at_return && site.name.starts_with(kSecurity) &&
                                 is_there(HookOfLsm(site.name.substr(kSecurity.size()))));
}

Result<const Plan*> Sites::Find(const policy::Site& site) const {
  Types types;
  return Find(site, types);
}

Result<const Plan*> Sites::Find(const policy::Site& site, Types& types) const {
  const auto known = known_.find(site);
  // A file can be another one by now, in which an old offset is the middle of an instruction.
  const bool may_change = policy::IsOfProgram(site);
  if (known != known_.end() && !may_change) return &known->second;
  GH_ASSIGN(Plan plan, Make(site, types));
  return &known_.insert_or_assign(site, std::move(plan)).first->second;
}

Result<std::vector<ProbePlace>> Sites::Places(const policy::Site& site) const {
  GH_TRY(Find(site));
  return PlacesOf(site);
}

/// A namespace can be compared if it is known which one is the host's.
Result<void> Sites::CheckNamespace(const std::string& object, uint32_t kind) const {
  if (host_.at(kind) != 0) return {};
  return Fail(ErrorCode::kUnsupported, object,
              "matchNamespaces: which " + std::string(policy::Namespaces()[kind].name) +
                  " namespace is the host's is not known",
              "give gatehoused CAP_SYS_PTRACE and the host's pid namespace, so that it can read "
              "/proc/1/ns; or the kernel has no such namespaces");
}

Result<void> Sites::Check(const compile::HookProgram& program) const {
  const policy::Site& site = *program.site;
  GH_ASSIGN(const Plan* const plan, Find(site));
  if (program.Overrides() && !plan->overrides && program.rules.front().enforcer) {
    return Fail(
        ErrorCode::kUnsupported, ObjectOf(site),
        "argError of NotifyEnforcer is not possible: " + WhyNoOverride(site, *plan, fmod_ret_),
        "use argSig, or a call that can be denied");
  }
  if (program.Overrides() && !plan->overrides) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "Override is not possible: " + WhyNoOverride(site, *plan, fmod_ret_),
                "use Sigkill, or a hook that can deny");
  }
  if (program.TellsHashes()) GH_TRY(CheckHash(ObjectOf(site), *plan, KernelTypes()));
  for (const compile::Rule& rule : program.rules) {
    if ((rule.actions & GH_ACTION_SET) != 0) GH_TRY(CheckSet(ObjectOf(site), *plan, rule));
  }
  for (const compile::Input& input : program.inputs) {
    if (input.subject >= GH_SUBJECT_NAMESPACE_0 && input.subject < GH_SUBJECT_CAPABILITIES_0) {
      GH_TRY(CheckNamespace(ObjectOf(site), input.subject - GH_SUBJECT_NAMESPACE_0));
    } else if (input.subject < GH_ARGUMENTS_MAX) {
      GH_TRY(CheckArgument(ObjectOf(site), *plan, input));
    } else if (input.resolved && input.resolved->chain.offsets.empty()) {
      return Fail(ErrorCode::kInvalid, ObjectOf(site), "a path was not followed on this kernel");
    } else if (input.subject == GH_SUBJECT_RETURN && !gh_is_word(input.read)) {
      GH_TRY(CheckParameter(ObjectOf(site), "what " + plan->target + " returns", plan->returned,
                            input));
    } else if (input.subject >= GH_SUBJECT_SCRIPT && backend_ == Backend::kSignal) {
      return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                  "matchScript: backend signal sees interpreters, and not what they interpret",
                  "use backend lsm or fmod_ret, or matchBinaries with the interpreter");
    } else if ((input.subject == GH_SUBJECT_BINARY ||
                input.subject >= GH_SUBJECT_NAMESPACE_CHANGES) &&
               plan->way == Way::kSignal && !binary_is_known_) {
      return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                  "matchBinaries and changes since the program began: backend signal does not know "
                  "on this kernel which program executes",
                  "use backend lsm or fmod_ret, or kernel 6.10 or later");
    }
  }
  return {};
}

}  // namespace gatehouse::kernel
