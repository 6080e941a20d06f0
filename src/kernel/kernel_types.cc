// SPDX-License-Identifier: Apache-2.0
#include "kernel/kernel_types.h"

namespace gatehouse::kernel {

KernelTypes::KernelTypes() : types_(btf__load_vmlinux_btf(), &btf__free) {}

KernelTypes::KernelTypes(const KernelTypes& kernel, const std::string& module)
    : types_(btf__load_module_btf(module.c_str(), kernel.types_.get()), &btf__free) {}

int KernelTypes::FindFunction(const std::string& name) const {
  return btf__find_by_name_kind(types_.get(), name.c_str(), BTF_KIND_FUNC);
}

std::vector<std::string> KernelTypes::Functions(std::string_view prefix) const {
  std::vector<std::string> names;
  for (uint32_t id = 1; id < btf__type_cnt(types_.get()); ++id) {
    const btf_type* const type = btf__type_by_id(types_.get(), id);
    if (!btf_is_func(type)) continue;
    const std::string_view name = btf__name_by_offset(types_.get(), type->name_off);
    if (name.starts_with(prefix)) names.emplace_back(name.substr(prefix.size()));
  }
  return names;
}

const btf_type* KernelTypes::PrototypeOfFunction(const std::string& name) const {
  const int id = FindFunction(name);
  if (id < 0) return nullptr;
  const uint32_t prototype = btf__type_by_id(types_.get(), static_cast<uint32_t>(id))->type;
  return btf__type_by_id(types_.get(), prototype);
}

/// The kernel has a type for each, a pointer to the function that a tracepoint calls: first with
/// what was registered, then with the arguments (__DEFINE_TRACE_BPF in include/trace/bpf_probe.h).
const btf_type* KernelTypes::PrototypeOfTracepoint(const std::string& name) const {
  const int id =
      btf__find_by_name_kind(types_.get(), ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF);
  if (id < 0) return nullptr;
  const btf_type* const pointer = Resolve(static_cast<uint32_t>(id));
  const btf_type* const prototype = pointer == nullptr ? nullptr : Resolve(pointer->type);
  return prototype != nullptr && btf_is_func_proto(prototype) ? prototype : nullptr;
}

std::optional<Prototype> KernelTypes::Function(const std::string& name) const {
  const btf_type* const prototype = PrototypeOfFunction(name);
  if (prototype == nullptr) return std::nullopt;
  return Describe(prototype, 0);
}

std::optional<Prototype> KernelTypes::Tracepoint(const std::string& name) const {
  const btf_type* const prototype = PrototypeOfTracepoint(name);
  if (prototype == nullptr) return std::nullopt;
  return Describe(prototype, 1);
}

uint32_t KernelTypes::ParameterOfFunction(const std::string& name, uint32_t index) const {
  const btf_type* const prototype = PrototypeOfFunction(name);
  if (prototype == nullptr || index >= btf_vlen(prototype)) return 0;
  return btf_params(prototype)[index].type;
}

uint32_t KernelTypes::ParameterOfTracepoint(const std::string& name, uint32_t index) const {
  const btf_type* const prototype = PrototypeOfTracepoint(name);
  if (prototype == nullptr || index + 1 >= btf_vlen(prototype)) return 0;
  return btf_params(prototype)[index + 1].type;
}

uint32_t KernelTypes::FindType(const std::string& name) const {
  for (const uint32_t kind : {BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_TYPEDEF}) {
    const int id = btf__find_by_name_kind(types_.get(), name.c_str(), kind);
    if (id > 0) return static_cast<uint32_t>(id);
  }
  return 0;
}

const btf_type* KernelTypes::Resolve(uint32_t id) const {
  while (id != 0) {
    const btf_type* const type = btf__type_by_id(types_.get(), id);
    if (!btf_is_mod(type) && !btf_is_typedef(type)) return type;
    id = type->type;
  }
  return nullptr;
}

Prototype KernelTypes::Describe(const btf_type* prototype, size_t first_parameter) const {
  Prototype described;
  if (const btf_type* const returned = Resolve(prototype->type)) {
    described.returned = Describe(returned);
  }
  const btf_param* const parameters = btf_params(prototype);
  for (size_t i = first_parameter; i < btf_vlen(prototype); ++i) {
    described.parameters.push_back(Describe(Resolve(parameters[i].type)));
  }
  return described;
}

std::string KernelTypes::NameOf(const btf_type* structure, uint32_t id) const {
  std::string name = btf__name_by_offset(types_.get(), structure->name_off);
  while (name.empty() && id != 0) {
    const btf_type* const type = btf__type_by_id(types_.get(), id);
    if (type == structure) break;
    if (btf_is_typedef(type)) name = btf__name_by_offset(types_.get(), type->name_off);
    id = type->type;
  }
  return name;
}

/// Readable is what every kernel from 5.10 on lets a program read of its context: numbers, and
/// pointers to void, structs and characters (btf_ctx_access() in kernel/bpf/btf.c).
Parameter KernelTypes::Describe(const btf_type* type) const {
  Parameter parameter;
  if (type == nullptr) return parameter;
  if (btf_is_int(type) || btf_is_any_enum(type)) {
    parameter.readable = true;
    parameter.bytes = type->size;
    parameter.is_signed =
        btf_is_int(type) ? (btf_int_encoding(type) & BTF_INT_SIGNED) != 0 : btf_kflag(type);
    return parameter;
  }
  if (!btf_is_ptr(type)) return parameter;
  parameter.pointer = true;
  const btf_type* const pointee = Resolve(type->type);
  if (pointee == nullptr) {
    parameter.pointee = "void";
  } else if (btf_is_int(pointee) && pointee->size == 1) {
    parameter.pointee = "char";
  } else if (btf_is_composite(pointee)) {
    parameter.pointee = NameOf(pointee, type->type);
  }
  parameter.readable = !parameter.pointee.empty();
  return parameter;
}

}  // namespace gatehouse::kernel
