// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "compile/program.h"
#include "kernel/host_namespaces.h"
#include "kernel/kernel.h"
#include "policy/model.h"

namespace gatehouse::kernel {

/// How a program gets to a place in the kernel.
enum class Way {
  kLsm,      ///< BPF LSM: returns an errno
  kFmodRet,  ///< in front of a security_* function: returns an errno
  kFentry,   ///< in front of any function that has a trampoline: returns nothing
  kFexit,    ///< at the return of any function that has a trampoline
  kSignal,   ///< backend signal: the tracepoint of executions
  kEnter,    ///< backend signal: the tracepoint of system calls
  kLeave,    ///< backend signal: the tracepoint of system calls that return
};
/// Whether one program serves all places of that way.
[[nodiscard]] constexpr bool IsShared(Way way) {
  return way == Way::kSignal || way == Way::kEnter || way == Way::kLeave;
}

/// An argument of a kernel function.
struct Parameter {
  bool readable = false;  ///< by a program, on every kernel from 5.10 on
  bool pointer = false;
  uint32_t bytes = 0;   ///< of a number
  std::string pointee;  ///< name of the struct; "char", "void"; empty: something else
  auto operator<=>(const Parameter&) const = default;
};

/// A place in the running kernel, and how it is served.
struct Plan {
  Way way = Way::kLsm;
  std::string target;  ///< what a program is attached to: LSM hook, function
  std::vector<Parameter> parameters;
  Parameter returned = {};                     ///< with kFexit: what the function returns
  bool overrides = false;                      ///< an errno can be returned
  gh_registers registers = GH_REGISTERS_NONE;  ///< of a system call: where its parameters are
  std::optional<uint32_t> system_call = {};    ///< of kEnter and kLeave: its number

  /// Bit per argument that a program may read and a policy can name.
  [[nodiscard]] uint32_t readable() const;
};

/// Which places the running kernel has, as its BTF tells, and how `backend` serves them. What was
/// found is kept, the BTF is not: it takes some megabytes. Not thread-safe.
class Sites {
 public:
  /// `fmod_ret`: such programs work here, whatever the backend is. `binary_is_known`: the acting
  /// program can be told where `backend` is signal. `host`: its namespaces.
  Sites(Backend backend, bool fmod_ret, bool binary_is_known, const NamespaceNumbers& host)
      : backend_(backend), fmod_ret_(fmod_ret), binary_is_known_(binary_is_known), host_(host) {}

  [[nodiscard]] const NamespaceNumbers& host_namespaces() const { return host_; }

  /// Errors (kUnsupported): there is no such place, or no way to it; with the remedy. What is
  /// returned stays as long as this.
  [[nodiscard]] Result<const Plan*> Find(const policy::Site& site) const;
  /// Nothing, or why this program cannot be had here: beside what Find says, arguments that the
  /// function does not have or that are of another type, an Override where none is possible.
  [[nodiscard]] Result<void> Check(const compile::HookProgram& program) const;

 private:
  [[nodiscard]] Result<Plan> Make(const policy::Site& site) const;
  [[nodiscard]] Result<void> CheckNamespace(const std::string& object, uint32_t kind) const;
  [[nodiscard]] Result<Plan> MakeForSignal(const policy::Site& site) const;

  Backend backend_;
  bool fmod_ret_;
  bool binary_is_known_;
  NamespaceNumbers host_;
  mutable std::map<policy::Site, Plan> known_;
};

}  // namespace gatehouse::kernel
