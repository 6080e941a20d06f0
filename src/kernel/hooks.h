// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"
#include "kernel/sites.h"
#include "kernel/skeleton.h"

namespace gatehouse::kernel {

/// The gate programs: one for each hook, or for all that share one (see IsShared), loaded when the
/// first policy names it, attached while a policy is on it. All use the maps of one skeleton, which
/// is loaded before the first of them. Not thread-safe.
///
/// A program on a place in the kernel begins as the plainest that serves. With the first policy
/// that asks for more (HookProgram::extent) another takes its place: the old one goes once the
/// new one is attached, so for a moment both judge, and an event may be told twice.
class Hooks {
 public:
  /// `shared` outlives the hooks. `reattaches`: see BackendProbe. `prepare_exec`: the gate of
  /// backend signal is on the tracepoint sched_prepare_exec.
  Hooks(gatehouse_bpf& shared, Sites sites, bool reattaches, bool prepare_exec)
      : shared_(shared),
        sites_(std::move(sites)),
        reattaches_(reattaches),
        prepare_exec_(prepare_exec),
        cookie_(std::random_device()()) {}

  [[nodiscard]] const Sites& sites() const { return sites_; }
  /// Loads a program of a hook, if there is none; of that extent, where it can be so little.
  /// Errors: those of Sites::Find; the kernel refuses it, with the verifier's last words.
  [[nodiscard]] Result<void> Load(const policy::Site& site, uint16_t number,
                                  compile::Extent extent);
  /// The same, and attaches one of that extent, if it has to. On error what was attached stays.
  [[nodiscard]] Result<void> Attach(const policy::Site& site, uint16_t number,
                                    compile::Extent extent);
  /// Detaches every program without a policy on its hooks; where it could not be attached again it
  /// stays, and finds nothing to do. `policies`: how many a hook has.
  void DetachUnused(const std::function<uint64_t(uint16_t)>& policies);
  /// By number; program ids and run statistics from the kernel.
  [[nodiscard]] std::vector<HookStatus> status(
      const std::function<uint64_t(uint16_t)>& policies) const;
  /// Operations that the kernel did not show to a gate, see preemption.h. Since 5.12 it counts
  /// them.
  [[nodiscard]] uint64_t RunsLeftOut() const;
  /// Of all that are loaded, each once: name and id.
  [[nodiscard]] std::vector<ProgramStatus> programs() const;

 private:
  /// Has gate_enter, if it is attached, called behind all other programs on its tracepoint.
  [[nodiscard]] Result<void> PutEnterLast();
  /// A loaded program. Libbpf's object of it, with the instructions and types that were for loading
  /// it, is kept only where libbpf attaches by it.
  struct Gate {
    std::string name;
    Fd program;
    Skeleton skeleton;                        ///< else null
    const bpf_program* attachable = nullptr;  ///< in the skeleton
    Link link;                                ///< by libbpf
    Fd link_fd;                               ///< by the kernel alone
    /// Of a function of a program at its return: what keeps its arguments when it is called.
    const bpf_program* keeper = nullptr;
    Link keeper_link;
    std::vector<Fd> mappings;  ///< of kLoader: see mappings.h
    /// Of kHashes: what is called behind the program, see HashOf.
    Fd hasher;
    Fd hasher_link;
    compile::Extent extent = compile::Extent::kMore;
    uint64_t verified_instructions = 0;
    [[nodiscard]] bool attached() const { return link != nullptr || link_fd.valid(); }
  };
  struct Hook {
    policy::Site site;
    std::shared_ptr<Gate> gate;  ///< see IsShared
  };
  /// `explains`: what the verifier says of a program that it refuses is in the error; for that it
  /// is loaded once more.
  [[nodiscard]] Result<std::shared_ptr<Gate>> LoadGate(const Plan& plan, uint16_t number,
                                                       compile::Extent extent,
                                                       bool explains = false) const;
  [[nodiscard]] Result<void> AttachGate(Gate& gate, const policy::Site& site, const Plan& plan);
  [[nodiscard]] bpf_program* ProgramFor(gatehouse_bpf& skeleton, Way way) const;
  [[nodiscard]] std::vector<const Gate*> gates() const;

  gatehouse_bpf& shared_;
  Sites sites_;
  bool reattaches_;
  bool prepare_exec_;
  uint32_t cookie_;  ///< what this agent's perf events are known by
  std::map<uint16_t, Hook> hooks_;
  std::map<Way, std::shared_ptr<Gate>> shared_gates_;
};

}  // namespace gatehouse::kernel
