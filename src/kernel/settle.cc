// SPDX-License-Identifier: Apache-2.0
// What policies leave to the kernel's types: where a path leads to, and which type a value has.
#include <algorithm>
#include <string>

#include "kernel/attachable.h"
#include "kernel/field_path.h"
#include "kernel/operands.h"
#include "kernel/parameters.h"
#include "kernel/sites.h"
#include "policy/catalog.h"
#include "policy/format.h"

namespace gatehouse::kernel {
namespace {

using From = policy::Resolution::From;

std::string NameOf(const policy::Argument& argument) {
  return argument.of_argument() ? "argument " + std::to_string(argument.index) : "the current task";
}

/// A register, of which as much is taken as the type has; of a text, its address.
Result<Settled> SettleRegister(const std::string& object, const policy::Argument& argument) {
  const std::string& name = argument.resolved->text;
  const std::optional<Register> found = FindRegister(name);
  if (!found) {
    return Fail(ErrorCode::kInvalid, object, "there is no register " + name,
                "write it as the assembler does, without %: rax, edi, rip");
  }
  const policy::ArgumentTypeTraits traits = policy::TraitsOf(argument.type);
  const auto bytes =
      static_cast<uint8_t>(gh_is_text(traits.read) ? sizeof(uint64_t) : traits.bytes);
  if (bytes > found->bytes) {
    return Fail(ErrorCode::kInvalid, object,
                name + " has " + std::to_string(found->bytes) + " bytes, and " +
                    std::string(policy::NameOf(argument.type)) + " " + std::to_string(bytes),
                "name the whole register, such as rax");
  }
  return Settled{.type = argument.type, .chain = policy::Chain{{found->offset}, bytes}};
}

/// Of an argument that is there.
Result<const Parameter*> FindParameter(const std::string& object, const Plan& plan,
                                       uint32_t index) {
  if (index >= plan.parameters.size()) {
    return Fail(ErrorCode::kInvalid, object,
                plan.target + " has " + std::to_string(plan.parameters.size()) +
                    " arguments, no argument " + std::to_string(index),
                "arguments are counted from 0");
  }
  const Parameter& parameter = plan.parameters[index];
  if (parameter.readable) return &parameter;
  return Fail(ErrorCode::kUnsupported, object,
              "argument " + std::to_string(index) + " of " + plan.target +
                  " is of a type that BPF programs cannot read",
              "leave it out of args");
}

/// The type of an argument, as far as the place is a function of the kernel; 0: it is not known.
uint32_t FindParameterType(const KernelTypes& types, const Plan& plan, uint32_t index) {
  switch (plan.way) {
    case Way::kLsm:
      return types.ParameterOfFunction(HookOfLsm(plan.target), index);
    case Way::kFmodRet:
    case Way::kFentry:
    case Way::kFexit:
      return types.ParameterOfFunction(plan.target, index);
    case Way::kRaw:
      return types.ParameterOfTracepoint(plan.target, index);
    default:
      return 0;
  }
}

Result<PathBegin> FindStruct(const KernelTypes& types, const std::string& name,
                             const std::string& object, const std::string& where) {
  const uint32_t type = types.FindType(name);
  if (type != 0) return PathBegin{.type = type, .pointer = false};
  return Fail(ErrorCode::kInvalid, object, where + " has no type " + name,
              "write the name of a struct, without `struct`");
}

Result<policy::ArgumentType> FindType(const std::string& object, const std::string& what,
                                      const Parameter& parameter) {
  if (const std::optional<policy::ArgumentType> type = TypeOf(parameter)) return *type;
  return Fail(ErrorCode::kInvalid, object,
              "of which type " + what + " is, the kernel does not tell in a way that fits one" +
                  (parameter.pointer ? ": it is a pointer to " + parameter.pointee : ""),
              "write the type in the place of auto");
}

/// Whether a value of `type` can be read from where a path ends; the bytes that are taken there.
Result<uint8_t> CheckEnd(const std::string& object, const std::string& what, const PathEnd& end,
                         policy::ArgumentType type) {
  const policy::ArgumentTypeTraits traits = policy::TraitsOf(type);
  const bool of_number = gh_is_word(traits.read) || traits.read == GH_READ_FD;
  if (of_number && end.chain.bytes == 0) {
    return Fail(ErrorCode::kInvalid, object, what + " is no number",
                end.value.pointee == "char" ? "use type string"
                                            : "name one of the fields of " + end.value.pointee);
  }
  const uint8_t bytes = traits.read == GH_READ_FD ? sizeof(uint32_t) : traits.bytes;
  const compile::Input input{.read = of_number ? GH_READ_NUMBER : traits.read, .bytes = bytes};
  GH_TRY(CheckParameter(object, what, end.value, input));
  return of_number ? bytes : end.chain.bytes;
}

}  // namespace

Result<PathBegin> Sites::FindBegin(const Unsettled& unsettled, const KernelTypes& types) const {
  const policy::Resolution& resolved = *unsettled.argument->resolved;
  const std::string object = ObjectOf(unsettled.site);
  if (!resolved.type.empty()) {
    return FindStruct(types, resolved.type, object,
                      resolved.module.empty() ? "this kernel" : "module " + resolved.module);
  }
  if (resolved.from == From::kTask) return FindStruct(types, "task_struct", object, "this kernel");
  GH_ASSIGN(const Plan* const plan, Find(unsettled.site));
  const uint32_t index = unsettled.argument->index;
  GH_ASSIGN(const Parameter* const parameter, FindParameter(object, *plan, index));
  if (plan->way == Way::kSignal)
    return FindStruct(types, parameter->pointee, object, "this kernel");
  return PathBegin{.type = FindParameterType(types, *plan, index), .pointer = true};
}

Result<Settled> Sites::SettlePath(const Unsettled& unsettled, const KernelTypes& types) const {
  const policy::Argument& argument = *unsettled.argument;
  const std::string object = ObjectOf(unsettled.site);
  GH_ASSIGN(const PathBegin begin, FindBegin(unsettled, types));
  GH_ASSIGN(PathEnd end, FollowPath(types, begin, argument.resolved->path, object));
  const std::string what = argument.resolved->text + " of " + NameOf(argument);
  Settled settled{.type = argument.type};
  if (argument.type == policy::ArgumentType::kAuto) {
    GH_ASSIGN(settled.type, FindType(object, what, end.value));
  }
  GH_ASSIGN(end.chain.bytes, CheckEnd(object, what, end, settled.type));
  settled.chain = std::move(end.chain);
  return settled;
}

Result<Settled> Sites::Settle(const Unsettled& unsettled, Types& loaded) const {
  const policy::Argument& argument = *unsettled.argument;
  const std::string object = ObjectOf(unsettled.site);
  if (!argument.of_argument() && argument.resolved->from == From::kRegisters) {
    return SettleRegister(object, argument);
  }
  if (argument.of_argument()) {
    GH_ASSIGN(const Plan* const plan, Find(unsettled.site, loaded));
    GH_ASSIGN(const Parameter* const parameter, FindParameter(object, *plan, argument.index));
    if (!argument.resolved) {
      GH_ASSIGN(const policy::ArgumentType type, FindType(object, NameOf(argument), *parameter));
      return Settled{.type = type};
    }
  }
  const KernelTypes& types = loaded ? *loaded : loaded.emplace();
  if (!types.loaded()) {
    return FailErrno(object, "the kernel's BTF cannot be read", errno,
                     "use a kernel with CONFIG_DEBUG_INFO_BTF");
  }
  const std::string& module = argument.resolved->module;
  if (module.empty()) return SettlePath(unsettled, types);
  const KernelTypes of_module(types, module);
  if (!of_module.loaded()) {
    return Fail(ErrorCode::kUnsupported, object,
                "the types of module " + module + " cannot be read from /sys/kernel/btf",
                "load the module first, or correct its name");
  }
  return SettlePath(unsettled, of_module);
}

std::vector<Result<Settled>> Sites::Settle(std::span<const Unsettled> all) const {
  std::vector<Result<Settled>> settled;
  settled.reserve(all.size());
  Types types;
  for (const Unsettled& unsettled : all) settled.push_back(Settle(unsettled, types));
  return settled;
}

}  // namespace gatehouse::kernel
