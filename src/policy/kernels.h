// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/model.h"

/// On which kernels a policy would work, as far as that can be told without one.
namespace gatehouse::policy {

struct KernelVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

/// What a policy needs; each backend by itself.
struct KernelNeeds {
  KernelVersion trampolines;         ///< with backend lsm or fmod_ret
  KernelVersion signal;              ///< with backend signal, unless it is `refused_by_signal`
  std::string refused_by_signal;     ///< the first hook that it has no place for; "": none
  bool kills_for_override = false;   ///< with signal: Override needs --deny-by-signal
  std::vector<std::string> options;  ///< of the kernel's build, distinct: `CONFIG_…`

  /// "Linux 5.10 or later, with any backend".
  [[nodiscard]] std::string ToString() const;
};

/// Whether the kernel has the functions, hooks and files that the spec names is another question.
[[nodiscard]] KernelNeeds NeedsOf(const Spec& spec);

}  // namespace gatehouse::policy
