// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "bpf/gatehouse.skel.h"
#include "kernel/kernel.h"

namespace gatehouse::kernel {

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

/// The name of a hook, without the prefix of the section it is written in.
[[nodiscard]] const char* HookName(gh_hook hook);

/// The gate programs of one backend: loaded from the beginning, attached while a policy needs them.
/// Not thread-safe.
class Hooks {
 public:
  /// Chooses the programs of `backend` to be loaded, and no other gate program. `has_prepare`: the
  /// kernel has the tracepoint sched_prepare_exec (6.10, commit 5c5fad46e48c). `reattaches`: see
  /// BackendProbe.
  Hooks(gatehouse_bpf& skeleton, Backend backend, bool has_prepare, bool reattaches);

  /// Attaches the program of `hook`, if it is not.
  [[nodiscard]] Result<void> Attach(gh_hook hook);
  /// Detaches every program that serves only hooks with `in_use[hook] == 0`; where it could not be
  /// attached again it stays, and finds nothing to do.
  void DetachUnused(const std::vector<uint64_t>& in_use);
  /// By hook; program ids and run statistics from the kernel.
  [[nodiscard]] std::vector<HookStatus> status(const std::vector<uint64_t>& in_use) const;

 private:
  struct Gate {
    bpf_program* program = nullptr;
    std::vector<gh_hook> hooks;
    Link link;
  };
  [[nodiscard]] Gate& GateOf(gh_hook hook);

  const bool reattaches_;
  std::vector<Gate> gates_;
};

}  // namespace gatehouse::kernel
