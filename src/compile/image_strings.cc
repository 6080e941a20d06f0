// SPDX-License-Identifier: Apache-2.0
// The table in which programs look up the ids of strings.
#include <sodium/crypto_shorthash_siphash24.h>

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "compile/image_parts.h"

namespace gatehouse::compile {
namespace {

constexpr uint32_t kMinStringSlots = 1024;
constexpr uint32_t kMinDigests = 512;

}  // namespace

gh_digest Digest(const DigestKey& key, std::string_view text) {
  static_assert(sizeof(DigestKey) == crypto_shorthash_siphashx24_KEYBYTES);
  static_assert(sizeof(gh_digest) == crypto_shorthash_siphashx24_BYTES);
  gh_digest digest;
  crypto_shorthash_siphashx24(reinterpret_cast<unsigned char*>(&digest),
                              reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                              reinterpret_cast<const unsigned char*>(key.data()));
  return digest;
}

/// New strings go into the table that programs read already: no set of the image in force refers to
/// them, so nothing changes for it. A table without room is replaced, which is a publication of its
/// own.
Result<void> Image::AddStrings() {
  std::ranges::copy(strings_.TakeAdded(), std::back_inserter(pending_strings_));
  const bool room = strings_.id_limit() <= digests_.words / kWords<gh_digest> &&
                    occupied_string_slots_ + pending_strings_.size() <= string_slots_.words / 2;
  const auto insert = [this](StringId id) { return InsertString(id); };
  if (!room || !std::ranges::all_of(pending_strings_, insert)) GH_TRY(RebuildStrings());
  pending_strings_.clear();
  return {};
}

bool Image::InsertString(StringId id) {
  if (in_table_.size() <= id) in_table_.resize(id + 1);
  if (in_table_[id]) return true;
  const gh_digest digest = Digest(key_, strings_.Text(id));
  for (uint32_t probe = 0; probe < GH_SLOT_PROBES_MAX; ++probe) {
    const uint32_t slot = (static_cast<uint32_t>(digest.lo) + probe) & (string_slots_.words - 1);
    auto* const entry = At<uint32_t>(string_slots_.address + slot);
    if (*entry != 0 && *entry != GH_SLOT_DELETED) continue;
    if (*entry == 0) ++occupied_string_slots_;
    *At<gh_digest>(digests_.address + id * kWords<gh_digest>) = digest;
    __atomic_store_n(entry, id, __ATOMIC_RELEASE);
    in_table_[id] = true;
    return true;
  }
  return false;
}

void Image::EraseString(StringId id) {
  if (!strings_.Erase(id)) return;  // somebody refers to it again
  if (id >= in_table_.size() || !in_table_[id]) return;
  const gh_digest digest = *At<gh_digest>(digests_.address + id * kWords<gh_digest>);
  for (uint32_t probe = 0; probe < GH_SLOT_PROBES_MAX; ++probe) {
    const uint32_t slot = (static_cast<uint32_t>(digest.lo) + probe) & (string_slots_.words - 1);
    auto* const entry = At<uint32_t>(string_slots_.address + slot);
    if (*entry != id) continue;
    __atomic_store_n(entry, GH_SLOT_DELETED, __ATOMIC_RELEASE);
    break;
  }
  in_table_[id] = false;
}

/// Finds a table size at which every string lies within the longest probe sequence.
Result<void> Image::FillStringSlots(std::span<const StringId> ids) {
  const auto count = static_cast<uint32_t>(ids.size());
  for (uint32_t words = std::bit_ceil(std::max(count * 3, kMinStringSlots));; words *= 2) {
    GH_ASSIGN(string_slots_, Allocate(words, 1, 0));
    occupied_string_slots_ = 0;
    in_table_.assign(strings_.id_limit(), false);
    if (std::ranges::all_of(ids, [this](StringId id) { return InsertString(id); })) return {};
    Free(string_slots_);
  }
}

Result<void> Image::RebuildStrings() {
  std::vector<bool> wanted = in_table_;
  wanted.resize(strings_.id_limit());
  for (const StringId id : pending_strings_) wanted[id] = true;
  std::vector<StringId> ids;
  for (StringId id = 1; id < wanted.size(); ++id) {
    if (wanted[id]) ids.push_back(id);
  }
  const uint32_t digest_count =
      std::max(strings_.id_limit() + strings_.id_limit() / 4, kMinDigests);
  GH_ASSIGN(const Block root, AllocateRoot());
  auto digests = Allocate(digest_count * kWords<gh_digest>, kWords<gh_digest>, 0);
  if (!digests) {
    Free(root);
    return tl::unexpected(std::move(digests).error());
  }
  const Block old_digests = std::exchange(digests_, *digests);
  const Block old_slots = string_slots_;
  const uint32_t old_occupied = occupied_string_slots_;
  std::vector<bool> old_in_table = in_table_;
  if (auto filled = FillStringSlots(ids); !filled) {
    Free(root);
    Free(digests_);
    digests_ = old_digests;
    string_slots_ = old_slots;
    occupied_string_slots_ = old_occupied;
    in_table_ = std::move(old_in_table);
    return filled;
  }
  gh_root contents = root_contents_;
  contents.slots = string_slots_.address;
  contents.slots_mask = string_slots_.words - 1;
  contents.digests = digests_.address;
  Publish(root, contents);
  for (const Block& block : {old_digests, old_slots}) {
    if (block.words != 0) retired_.back().blocks.push_back(block);
  }
  return {};
}

}  // namespace gatehouse::compile
