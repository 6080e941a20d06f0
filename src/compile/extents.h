// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace gatehouse::compile {

/// Which words of the arena are free: best fit, with coalescing. Addresses and sizes in 4-byte
/// words. Not thread-safe.
class Extents {
 public:
  /// Adds [address, address + words) to what is free: new memory, or a block given back whole.
  void Free(uint32_t address, uint32_t words);

  /// `words` words aligned to `alignment` (a power of two); with `within` (a power of two), not
  /// across a multiple of it. Empty if nothing free fits; then nothing changes.
  [[nodiscard]] std::optional<uint32_t> Allocate(uint32_t words, uint32_t alignment,
                                                 uint32_t within);

  [[nodiscard]] uint64_t free_words() const { return free_words_; }

 private:
  void Insert(uint32_t address, uint32_t words);
  void Erase(std::map<uint32_t, uint32_t>::iterator extent);

  std::map<uint32_t, uint32_t> by_address_;          // address -> words
  std::set<std::pair<uint32_t, uint32_t>> by_size_;  // (words, address)
  uint64_t free_words_ = 0;
};

}  // namespace gatehouse::compile
