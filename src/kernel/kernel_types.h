// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/btf.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/plan.h"

namespace gatehouse::kernel {

struct Prototype {
  std::vector<Parameter> parameters;
  std::optional<Parameter> returned = {};  ///< void: none

  [[nodiscard]] bool returns() const { return returned.has_value(); }
};

/// What the kernel's BTF says of functions and tracepoints. It takes some megabytes. Not
/// thread-safe.
class KernelTypes {
 public:
  KernelTypes();
  /// Takes over types that are there.
  explicit KernelTypes(btf* types) : types_(types, &btf__free) {}
  /// Those of a module that is loaded, and the kernel's, which must outlive them.
  KernelTypes(const KernelTypes& kernel, const std::string& module);

  [[nodiscard]] bool loaded() const { return types_ != nullptr; }
  /// Null: not loaded.
  [[nodiscard]] const btf* types() const { return types_.get(); }

  /// Its number, negative if there is none.
  [[nodiscard]] int FindFunction(const std::string& name) const;
  /// The names of all functions that begin with `prefix`, without it.
  [[nodiscard]] std::vector<std::string> Functions(std::string_view prefix) const;
  [[nodiscard]] std::optional<Prototype> Function(const std::string& name) const;
  /// The arguments of the call that a tracepoint is.
  [[nodiscard]] std::optional<Prototype> Tracepoint(const std::string& name) const;

  /// The number of the type of parameter `index` of such a function or tracepoint; 0: there is
  /// none.
  [[nodiscard]] uint32_t ParameterOfFunction(const std::string& name, uint32_t index) const;
  [[nodiscard]] uint32_t ParameterOfTracepoint(const std::string& name, uint32_t index) const;
  /// The number of a struct, a union or a typedef; 0: there is none.
  [[nodiscard]] uint32_t FindType(const std::string& name) const;

  /// The type without typedefs, const and the like; null: void.
  [[nodiscard]] const btf_type* Resolve(uint32_t id) const;
  /// Of a struct to which `id` resolves; if it has no name, that of its typedef.
  [[nodiscard]] std::string NameOf(const btf_type* structure, uint32_t id) const;
  [[nodiscard]] Parameter Describe(const btf_type* type) const;

 private:
  /// Null: there is none.
  [[nodiscard]] const btf_type* PrototypeOfFunction(const std::string& name) const;
  [[nodiscard]] const btf_type* PrototypeOfTracepoint(const std::string& name) const;
  [[nodiscard]] Prototype Describe(const btf_type* prototype, size_t first_parameter) const;

  std::unique_ptr<btf, void (*)(btf*)> types_;
};

}  // namespace gatehouse::kernel
