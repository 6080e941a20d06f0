// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace gatehouse::compile {

/// The arena's memory: pages that the kernel programs read while the agent writes. The kernel
/// folder maps a BPF array; tests use a vector.
class Memory {
 public:
  virtual ~Memory() = default;

  /// All words; invalidated by Grow. Zero when new.
  [[nodiscard]] virtual std::span<uint32_t> words() = 0;

  /// Enlarges to `pages` pages; contents and addresses stay, for programs that run meanwhile too.
  /// `counters`: addresses of the 64-bit counters that programs add to: no addition is lost. On
  /// error nothing has changed.
  [[nodiscard]] virtual Result<void> Grow(uint32_t pages, std::span<const uint32_t> counters) = 0;
};

}  // namespace gatehouse::compile
