// SPDX-License-Identifier: Apache-2.0
#include "compile/extents.h"

#include <iterator>

namespace gatehouse::compile {
namespace {

/// The first address from `begin` on where a block of `words` may lie.
uint64_t Place(uint64_t begin, uint32_t words, uint32_t alignment, uint32_t within) {
  uint64_t address = (begin + alignment - 1) / alignment * alignment;
  if (within != 0 && address / within != (address + words - 1) / within) {
    address = (address + within - 1) / within * within;
  }
  return address;
}

}  // namespace

void Extents::Insert(uint32_t address, uint32_t words) {
  by_address_.emplace(address, words);
  by_size_.emplace(words, address);
  free_words_ += words;
}

void Extents::Erase(std::map<uint32_t, uint32_t>::iterator extent) {
  free_words_ -= extent->second;
  by_size_.erase({extent->second, extent->first});
  by_address_.erase(extent);
}

void Extents::Free(uint32_t address, uint32_t words) {
  if (words == 0) return;
  const auto next = by_address_.lower_bound(address);
  if (next != by_address_.begin()) {
    if (const auto previous = std::prev(next); previous->first + previous->second == address) {
      address = previous->first;
      words += previous->second;
      Erase(previous);
    }
  }
  if (next != by_address_.end() && address + words == next->first) {
    words += next->second;
    Erase(next);
  }
  Insert(address, words);
}

std::optional<uint32_t> Extents::Allocate(uint32_t words, uint32_t alignment, uint32_t within) {
  for (auto candidate = by_size_.lower_bound({words, 0}); candidate != by_size_.end();
       ++candidate) {
    const auto [size, begin] = *candidate;
    const uint64_t address = Place(begin, words, alignment, within);
    if (address + words > uint64_t{begin} + size) continue;
    const auto at = static_cast<uint32_t>(address);
    Erase(by_address_.find(begin));
    if (at > begin) Insert(begin, at - begin);
    if (const uint32_t end = begin + size; at + words < end) Insert(at + words, end - at - words);
    return at;
  }
  return std::nullopt;
}

}  // namespace gatehouse::compile
