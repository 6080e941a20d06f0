// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "compile/program.h"
#include "kernel/field_path.h"
#include "kernel/kernel.h"
#include "kernel/kernel_types.h"
#include "kernel/namespaces.h"
#include "kernel/plan.h"
#include "policy/model.h"

namespace gatehouse::kernel {

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
  /// Whether the kernel has such a place, whatever `backend` can do there. True if it cannot be
  /// found out, as without BTF.
  [[nodiscard]] bool Has(const policy::Site& site) const;
  /// See Kernel::Places.
  [[nodiscard]] Result<std::vector<ProbePlace>> Places(const policy::Site& site) const;
  /// See Kernel::Names and Kernel::CanAttach.
  [[nodiscard]] static std::vector<std::string> Names(policy::Site::Kind kind);
  [[nodiscard]] std::vector<Result<void>> CanAttach(std::span<const policy::Site> sites) const;
  /// See Kernel::Settle.
  [[nodiscard]] std::vector<Result<Settled>> Settle(std::span<const Unsettled> all) const;
  /// Nothing, or why this program cannot be had here: beside what Find says, arguments that the
  /// function does not have or that are of another type, an Override where none is possible.
  [[nodiscard]] Result<void> Check(const compile::HookProgram& program) const;

 private:
  /// What the kernel's BTF says, loaded when it is needed first.
  using Types = std::optional<KernelTypes>;
  [[nodiscard]] Result<const Plan*> Find(const policy::Site& site, Types& types) const;
  [[nodiscard]] Result<Plan> Make(const policy::Site& site, Types& types) const;
  [[nodiscard]] Result<Settled> Settle(const Unsettled& unsettled, Types& types) const;
  /// `types`: the kernel's, or those of the module that the path is about.
  [[nodiscard]] Result<Settled> SettlePath(const Unsettled& unsettled,
                                           const KernelTypes& types) const;
  [[nodiscard]] Result<PathBegin> FindBegin(const Unsettled& unsettled,
                                            const KernelTypes& types) const;
  [[nodiscard]] Result<void> CheckNamespace(const std::string& object, uint32_t kind) const;
  [[nodiscard]] Result<Plan> MakeForSignal(const policy::Site& site) const;
  [[nodiscard]] Result<Plan> MakeOnPerfEvent(const policy::Site& site) const;

  Backend backend_;
  bool fmod_ret_;
  bool binary_is_known_;
  NamespaceNumbers host_;
  mutable std::optional<bool> on_perf_events_;  // programs work there; nullopt: not known yet
  mutable std::map<policy::Site, Plan> known_;
};

}  // namespace gatehouse::kernel
