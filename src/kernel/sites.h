// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/btf.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "compile/program.h"
#include "kernel/kernel.h"
#include "policy/model.h"

namespace gatehouse::kernel {

/// How a program gets to a place in the kernel.
enum class Way {
  kLsm,      ///< BPF LSM: returns an errno
  kFmodRet,  ///< in front of a security_* function: returns an errno
  kFentry,   ///< in front of any function that has a trampoline: returns nothing
  kSignal,   ///< the tracepoint of backend signal
};

/// A place in the running kernel, and how it is served.
struct Plan {
  Way way = Way::kLsm;
  std::string target;       ///< what a program is attached to: LSM hook, function
  uint32_t readable = 0;    ///< bit per argument that a program may read
  uint32_t parameters = 0;  ///< of the function
  bool overrides = false;   ///< an errno can be returned
};

/// Which places the running kernel has, as its BTF tells, and how `backend` serves them. Immutable;
/// any thread.
class Sites {
 public:
  /// `binary_is_known`: the acting program can be told where `backend` is signal. `fmod_ret`: such
  /// programs work here, whatever the backend is. Error: the kernel has no BTF.
  [[nodiscard]] static Result<Sites> Read(Backend backend, bool fmod_ret, bool binary_is_known);

  /// Errors (kUnsupported): there is no such place, or no way to it; with the remedy.
  [[nodiscard]] Result<Plan> Find(const policy::Site& site) const;
  /// Nothing, or why this program cannot be had here: beside what Find says, arguments that the
  /// function does not have or that are of another type, an Override where none is possible.
  [[nodiscard]] Result<void> Check(const compile::HookProgram& program) const;

 private:
  struct BtfDeleter {
    void operator()(btf* types) const { btf__free(types); }
  };
  using Btf = std::unique_ptr<btf, BtfDeleter>;

  Sites(Btf types, Backend backend, bool fmod_ret, bool binary_is_known)
      : types_(std::move(types)),
        backend_(backend),
        fmod_ret_(fmod_ret),
        binary_is_known_(binary_is_known) {}

  /// The prototype of a kernel function, or null.
  [[nodiscard]] const btf_type* Prototype(const std::string& function) const;
  [[nodiscard]] const btf_type* Resolve(uint32_t id) const;
  [[nodiscard]] bool IsReadable(const btf_type* type) const;
  [[nodiscard]] std::string StructOf(const btf_type* pointer) const;
  [[nodiscard]] bool SameParameters(const btf_type* a, const btf_type* b) const;
  [[nodiscard]] Result<Plan> FindLsm(const policy::Site& site) const;
  [[nodiscard]] Result<Plan> FindFunction(const policy::Site& site) const;
  [[nodiscard]] Plan Describe(Way way, std::string target, const btf_type* prototype) const;
  [[nodiscard]] Result<void> CheckInput(const std::string& object, const btf_type* prototype,
                                        const Plan& plan, const compile::Input& input) const;

  Btf types_;
  Backend backend_;
  bool fmod_ret_;
  bool binary_is_known_;
};

}  // namespace gatehouse::kernel
