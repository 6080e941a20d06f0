// SPDX-License-Identifier: Apache-2.0
#include "kernel/sites.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "policy/catalog.h"

namespace gatehouse::kernel {
namespace {

constexpr std::string_view kSecurity = "security_";
constexpr std::string_view kBpfLsm = "bpf_lsm_";

/// The function that calls an LSM hook: security/security.c has one for each, of the same name but
/// for this one.
std::string CallerOf(const policy::Site& site) {
  if (site == policy::kBprmCheck) return "security_bprm_check";
  return std::string(kSecurity) + site.name;
}

std::string ObjectOf(const policy::Site& site) { return "hook/" + site.name; }

/// The struct that an input's argument points to; empty: no struct.
std::string_view PointeeOf(gh_read read) {
  switch (read) {
    case GH_READ_FILE:
      return "file";
    case GH_READ_PATH:
      return "path";
    case GH_READ_BINPRM:
      return "linux_binprm";
    default:
      return {};
  }
}

}  // namespace

Result<Sites> Sites::Read(Backend backend, bool fmod_ret, bool binary_is_known) {
  Btf types(btf__load_vmlinux_btf());
  if (!types) return FailErrno("kernel", "no BTF (CONFIG_DEBUG_INFO_BTF)", errno);
  return Sites(std::move(types), backend, fmod_ret, binary_is_known);
}

// ---- BTF ----------------------------------------------------------------------------------------

const btf_type* Sites::Prototype(const std::string& function) const {
  const int id = btf__find_by_name_kind(types_.get(), function.c_str(), BTF_KIND_FUNC);
  if (id < 0) return nullptr;
  return btf__type_by_id(types_.get(), btf__type_by_id(types_.get(), id)->type);
}

/// The type without typedefs, const and the like; null: void.
const btf_type* Sites::Resolve(uint32_t id) const {
  while (id != 0) {
    const btf_type* type = btf__type_by_id(types_.get(), id);
    if (!btf_is_mod(type) && !btf_is_typedef(type)) return type;
    id = type->type;
  }
  return nullptr;
}

/// What every kernel from 5.10 on lets a program read of its context: numbers, and pointers to
/// void, structs and characters (btf_ctx_access() in kernel/bpf/btf.c).
bool Sites::IsReadable(const btf_type* type) const {
  if (type == nullptr) return false;
  if (btf_is_int(type) || btf_is_any_enum(type)) return true;
  if (!btf_is_ptr(type)) return false;
  const btf_type* pointee = Resolve(type->type);
  return pointee == nullptr || btf_is_composite(pointee) ||
         (btf_is_int(pointee) && pointee->size == 1);
}

/// The name of the struct that a pointer is to; "char", "void"; empty: something else.
std::string Sites::StructOf(const btf_type* pointer) const {
  if (pointer == nullptr || !btf_is_ptr(pointer)) return {};
  const btf_type* pointee = Resolve(pointer->type);
  if (pointee == nullptr) return "void";
  if (btf_is_int(pointee) && pointee->size == 1) return "char";
  if (!btf_is_composite(pointee)) return {};
  return btf__name_by_offset(types_.get(), pointee->name_off);
}

bool Sites::SameParameters(const btf_type* a, const btf_type* b) const {
  const auto same = [this](const btf_param& x, const btf_param& y) {
    const btf_type *left = Resolve(x.type), *right = Resolve(y.type);
    return left == right || (!StructOf(left).empty() && StructOf(left) == StructOf(right));
  };
  return std::equal(btf_params(a), btf_params(a) + btf_vlen(a), btf_params(b),
                    btf_params(b) + btf_vlen(b), same);
}

// ---- places -------------------------------------------------------------------------------------

Plan Sites::Describe(Way way, std::string target, const btf_type* prototype) const {
  Plan plan{.way = way, .target = std::move(target)};
  plan.parameters = btf_vlen(prototype);
  const uint32_t most = std::min<uint32_t>(plan.parameters, GH_ARGUMENTS_MAX);
  for (uint32_t i = 0; i < most; ++i) {
    if (IsReadable(Resolve(btf_params(prototype)[i].type))) plan.readable |= 1U << i;
  }
  plan.overrides = way != Way::kFentry && Resolve(prototype->type) != nullptr;
  return plan;
}

Result<Plan> Sites::FindLsm(const policy::Site& site) const {
  const std::string hook = std::string(kBpfLsm) + site.name, caller = CallerOf(site);
  const btf_type* const of_hook = Prototype(hook);
  const btf_type* const of_caller = Prototype(caller);
  if (backend_ == Backend::kLsm && of_hook != nullptr) {
    return Describe(Way::kLsm, site.name, of_hook);
  }
  if (of_hook == nullptr && of_caller == nullptr) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site), "this kernel has no such LSM hook",
                "see security/security.c of the kernel, or /sys/kernel/btf/vmlinux for bpf_lsm_*");
  }
  if (of_caller == nullptr || (of_hook != nullptr && !SameParameters(of_hook, of_caller))) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "backend fmod_ret cannot serve this LSM hook: the kernel has no function " +
                    caller + " with the same arguments",
                "boot with \"bpf\" in lsm= and use backend lsm");
  }
  const bool is_void = Resolve(of_caller->type) == nullptr;
  return Describe(is_void ? Way::kFentry : Way::kFmodRet, caller, of_caller);
}

Result<Plan> Sites::FindFunction(const policy::Site& site) const {
  const btf_type* const prototype = Prototype(site.name);
  if (prototype == nullptr) {
    return Fail(ErrorCode::kUnsupported, ObjectOf(site),
                "this kernel has no function of that name that can be traced",
                "it may be inlined, or in a module; `bpftool btf dump file "
                "/sys/kernel/btf/vmlinux` lists what there is");
  }
  const bool returns = Resolve(prototype->type) != nullptr;
  const bool modifies = fmod_ret_ && returns && site.name.starts_with(kSecurity);
  return Describe(modifies ? Way::kFmodRet : Way::kFentry, site.name, prototype);
}

Result<Plan> Sites::Find(const policy::Site& site) const {
  if (backend_ != Backend::kSignal) {
    return site.kind == policy::Site::Kind::kLsm ? FindLsm(site) : FindFunction(site);
  }
  if (site == policy::kCredsForExec || site == policy::kBprmCheck) {
    return Plan{.way = Way::kSignal,
                .target = "sched_process_exec",
                .readable = 1,
                .parameters = 1,
                .overrides = true};
  }
  return Fail(ErrorCode::kUnsupported, ObjectOf(site),
              "backend signal serves executions alone, on bprm_creds_for_exec and "
              "bprm_check_security",
              "use a kernel on which backend lsm or fmod_ret works (`gatehouse status` says why "
              "they do not)");
}

// ---- what policies ask for ----------------------------------------------------------------------

Result<void> Sites::CheckInput(const std::string& object, const btf_type* prototype,
                               const Plan& plan, const compile::Input& input) const {
  const std::string argument = "argument " + std::to_string(input.subject);
  if (input.subject >= plan.parameters) {
    return Fail(
        ErrorCode::kUnsupported, object,
        plan.target + " has " + std::to_string(plan.parameters) + " arguments, no " + argument,
        "arguments are counted from 0");
  }
  const btf_type* const type = Resolve(btf_params(prototype)[input.subject].type);
  if ((plan.readable >> input.subject & 1) == 0) {
    return Fail(ErrorCode::kUnsupported, object,
                argument + " of " + plan.target + " is of a type that BPF programs cannot read",
                "leave it out of args");
  }
  const std::string pointee = StructOf(type);
  if (input.read == GH_READ_NUMBER) {
    if (btf_is_ptr(type) || type->size >= input.bytes) return {};
    return Fail(ErrorCode::kUnsupported, object,
                argument + " of " + plan.target + " has " + std::to_string(type->size) +
                    " bytes, fewer than the " + std::to_string(input.bytes) + " of its type",
                "use an integer type of that size");
  }
  const std::string_view wanted = input.read == GH_READ_STRING ? "char" : PointeeOf(input.read);
  if (pointee == wanted || pointee == "void") return {};
  return Fail(ErrorCode::kUnsupported, object,
              argument + " of " + plan.target + " is " +
                  (pointee.empty() ? "no pointer that is known" : "a pointer to " + pointee) +
                  ", and its type in the policy is read from a pointer to " + std::string(wanted),
              "give the argument the type that the function has");
}

Result<void> Sites::Check(const compile::HookProgram& program) const {
  const policy::Site& site = *program.site;
  const std::string object = ObjectOf(site);
  GH_ASSIGN(const Plan plan, Find(site));
  if (program.Overrides() && !plan.overrides) {
    return Fail(ErrorCode::kUnsupported, object,
                "Override is not possible: " + plan.target + " is " +
                    (site.name.starts_with(kSecurity) || site.kind == policy::Site::Kind::kLsm
                         ? "a hook that returns nothing"
                         : "no security_* function"),
                "use Sigkill, or a hook that can deny");
  }
  for (const compile::Input& input : program.inputs) {
    if (input.subject == GH_SUBJECT_BINARY) {
      if (plan.way != Way::kSignal || binary_is_known_) continue;
      return Fail(ErrorCode::kUnsupported, object,
                  "matchBinaries: backend signal does not know on this kernel which program "
                  "executes",
                  "use backend lsm or fmod_ret, or kernel 6.10 or later");
    }
    if (plan.way == Way::kSignal) continue;  // the parser knows the arguments of executions
    const std::string function =
        plan.way == Way::kLsm ? std::string(kBpfLsm) + plan.target : plan.target;
    GH_TRY(CheckInput(object, Prototype(function), plan, input));
  }
  return {};
}

}  // namespace gatehouse::kernel
