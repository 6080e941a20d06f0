// SPDX-License-Identifier: Apache-2.0
#include "compile/image.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "compile/image_parts.h"
#include "policy/sites.h"

namespace gatehouse::compile {
namespace {

constexpr uint32_t kReservedWords = 8;          // word 0 publishes; no record lies at address 0
constexpr uint32_t kRootWords = GH_PAGE_WORDS;  // up to here, roots: every operation reads one
constexpr uint32_t kGrowPages = 64;             // the arena grows by at least that much,
constexpr uint32_t kGrowFraction = 8;           // and by this part of its size

constexpr uint32_t RoundUp(uint32_t value, uint32_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

Image::Image(Memory& memory, StringPool& strings, const DigestKey& key)
    : memory_(memory),
      strings_(strings),
      key_(key),
      hook_of_{{policy::kCredsForExec, GH_HOOK_BPRM_CREDS_FOR_EXEC},
               {policy::kBprmCheck, GH_HOOK_BPRM_CHECK}},
      on_hook_(GH_HOOK_FIRST_FREE) {}

Result<uint16_t> Image::NumberOf(const policy::Site& site) {
  if (const auto found = hook_of_.find(site); found != hook_of_.end()) return found->second;
  if (on_hook_.size() > GH_HOOK_MAX) {
    return Fail(ErrorCode::kRefused, site.name,
                "policies have named " + std::to_string(on_hook_.size()) +
                    " hooks since the agent started, and there are no more numbers",
                "restart gatehoused");
  }
  const auto number = static_cast<uint16_t>(on_hook_.size());
  on_hook_.push_back(0);
  hook_of_.emplace(site, number);
  return number;
}

// ---- memory
// -------------------------------------------------------------------------------------

Result<void> Image::GrowBy(uint32_t words) {
  std::vector<uint32_t> counters;
  for (const auto& [id, instance] : instances_) {
    for (const StoredHook& hook : instance.hooks) {
      for (uint32_t i = 0; i < hook.program->rules.size(); ++i) {
        counters.push_back(hook.first_rule + i * kWords<gh_rule>);
      }
    }
  }
  const auto old_pages = static_cast<uint32_t>(memory_.words().size() / GH_PAGE_WORDS);
  const uint32_t need = RoundUp(words, GH_PAGE_WORDS) / GH_PAGE_WORDS + 1;
  const uint32_t pages = old_pages + std::max({need, kGrowPages, old_pages / kGrowFraction});
  GH_TRY(memory_.Grow(pages, counters));
  const uint32_t begin = std::max(old_pages * GH_PAGE_WORDS, kRootWords);
  free_.Free(begin, pages * GH_PAGE_WORDS - begin);
  return {};
}

Result<Image::Block> Image::Allocate(uint32_t words, uint32_t alignment, uint32_t within) {
  std::optional<uint32_t> address = free_.Allocate(words, alignment, within);
  if (!address) {
    GH_TRY(GrowBy(words + alignment));
    address = free_.Allocate(words, alignment, within);
  }
  std::memset(At<void>(*address), 0, size_t{words} * GH_WORD_BYTES);
  return Block{*address, words};
}

/// In the page of word 0, unless changes come faster than grace periods: each further page that
/// an operation touches is a miss of the TLB.
Result<Image::Block> Image::AllocateRoot() {
  constexpr uint32_t kWordsOfRoot = kWords<gh_root>;
  if (const auto address = roots_.Allocate(kWordsOfRoot, kWordsOfRoot, 0)) {
    return Block{*address, kWordsOfRoot};
  }
  return Allocate(kWordsOfRoot, kWordsOfRoot, 0);
}

void Image::Free(const Block& block) {
  (block.address < kRootWords ? roots_ : free_).Free(block.address, block.words);
}

// ---- publication
// --------------------------------------------------------------------------------

Result<void> Image::Initialize() {
  GH_TRY(GrowBy(kRootWords));
  roots_.Free(kReservedWords, kRootWords - kReservedWords);
  GH_TRY(RebuildStrings());
  return Apply({});
}

Result<void> Image::Apply(const bind::Delta& delta) {
  GH_TRY(AddStrings());
  Stage stage;
  const auto build = [&]() -> Result<void> {
    for (const auto& [id, program] : delta.added) GH_TRY(StageInstance(stage, id, program));
    for (const auto& [workload, key] : delta.groups) GH_TRY(StageGroup(stage, key));
    GH_TRY(StageTable(stage, delta));
    return StageRoot(stage);
  };
  if (auto built = build(); !built) {
    Rollback(stage);
    return built;
  }
  Commit(stage, delta);
  return {};
}

void Image::Publish(Block root, const gh_root& contents) {
  root_contents_ = contents;
  root_contents_.generation = static_cast<gh_u32>(++generation_);
  *At<gh_root>(root.address) = root_contents_;
  std::swap(root_, root);
  __atomic_store_n(memory_.words().data(), root_.address, __ATOMIC_RELEASE);
  Retired& retired = retired_.emplace_back(
      Retired{.generation = generation_, .blocks = {}, .strings = {}, .slots = {}});
  if (root.words != 0) retired.blocks.push_back(root);
}

void Image::Leave(GroupMap::iterator group, Retired& retired) {
  if (--group->second.workloads > 0) return;
  std::ranges::copy(group->second.blocks, std::back_inserter(retired.blocks));
  groups_.erase(group);
}

void Image::RemoveInstance(bind::InstanceId id, Retired& retired) {
  const auto found = instances_.find(id);
  std::ranges::copy(found->second.blocks, std::back_inserter(retired.blocks));
  for (const StoredHook& hook : found->second.hooks) {
    --on_hook_.at(hook.hook);
    for (const Rule& rule : hook.program->rules) {
      for (const Filter& filter : rule.filters) {
        const auto stored = sets_.find(filter.set.get());
        if (stored == sets_.end() || --stored->second.users > 0) continue;
        retired.blocks.push_back(stored->second.block);
        sets_.erase(stored);
      }
    }
  }
  instances_.erase(found);
}

/// All enter their new groups before any leaves its old one: what the last one leaves may be what
/// another one enters.
void Image::MoveWorkloads(const bind::Delta& delta, Retired& retired) {
  std::vector<GroupMap::iterator> left;
  for (const auto& [workload, key] : delta.groups) {
    const auto old_group = group_of_.find(workload);
    const bool had_group = old_group != group_of_.end();
    if (had_group) left.push_back(old_group->second);
    if (!key.empty()) {
      const auto group = groups_.find(key);
      ++group->second.workloads;
      group_of_[workload] = group;
    } else if (had_group) {
      group_of_.erase(old_group);
      if (const auto slot = slot_of_.find(workload);
          slot != slot_of_.end() && slot->second.released) {
        retired.slots.push_back(slot->second.index);
        slot_of_.erase(slot);
      }
    }
  }
  for (const GroupMap::iterator group : left) Leave(group, retired);
}

/// The chunks and the list of them that `stage` replaces.
std::vector<Image::Block> Image::ReplacedChunks(const Stage& stage) {
  std::vector<Block> replaced;
  if (stage.chunks.empty()) return replaced;
  for (const auto& [index, chunk] : stage.chunks) {
    if (const uint32_t old = ChunkAt(index); old != 0) replaced.push_back({old, GH_CHUNK_SLOTS});
  }
  if (root_contents_.n_chunks != 0) {
    replaced.push_back({root_contents_.chunks, root_contents_.n_chunks});
  }
  return replaced;
}

void Image::Commit(Stage& stage, const bind::Delta& delta) {
  const std::vector<Block> replaced = ReplacedChunks(stage);
  gh_root contents = root_contents_;
  contents.host = stage.host;
  if (!stage.chunks.empty()) {
    contents.chunks = stage.directory.address;
    contents.n_chunks = stage.directory.words;
  }
  for (const auto& [id, instance] : stage.instances) {
    if (instance.program->TracksSockets()) tracking_.insert(id);
  }
  for (const bind::InstanceId id : delta.removed) tracking_.erase(id);
  contents.tracks = tracking_.empty() ? 0 : 1;
  Publish(stage.root, contents);

  Retired& retired = retired_.back();
  std::ranges::copy(replaced, std::back_inserter(retired.blocks));
  for (auto& [set, stored] : stage.sets) {
    StoredSet& kept = sets_[set];
    kept.block = stored.block;
    kept.users += stored.users;
  }
  for (auto& [id, instance] : stage.instances) {
    for (const StoredHook& hook : instance.hooks) ++on_hook_.at(hook.hook);
    instances_.emplace(id, std::move(instance));
  }
  groups_.merge(stage.groups);
  MoveWorkloads(delta, retired);
  for (const bind::InstanceId id : delta.removed) RemoveInstance(id, retired);
  retired.strings = strings_.TakeIdle();
  for (const StringId id : retired.strings) idle_since_[id] = generation_;
}

std::optional<uint32_t> Image::FindSlot(bind::WorkloadId workload) const {
  if (workload == bind::kHostWorkload) return 0;
  const auto found = slot_of_.find(workload);
  if (found == slot_of_.end()) return std::nullopt;
  return found->second.index;
}

uint32_t Image::SlotOf(bind::WorkloadId workload) {
  if (workload == bind::kHostWorkload) return 0;
  const auto [entry, is_new] = slot_of_.try_emplace(workload);
  Slot& slot = entry->second;
  slot.released = false;
  if (is_new && free_slots_.empty()) {
    slot.index = next_slot_++;
  } else if (is_new) {
    slot.index = free_slots_.back();
    free_slots_.pop_back();
  }
  return slot.index;
}

void Image::ReleaseSlot(bind::WorkloadId workload) {
  const auto entry = slot_of_.find(workload);
  if (entry == slot_of_.end()) return;
  if (group_of_.contains(workload)) {
    entry->second.released = true;
    return;
  }
  retired_.push_back(Retired{
      .generation = ++generation_, .blocks = {}, .strings = {}, .slots = {entry->second.index}});
  slot_of_.erase(entry);
}

void Image::Reclaim(uint64_t generation) {
  const auto end = std::ranges::find_if(
      retired_, [&](const Retired& retired) { return retired.generation > generation; });
  for (auto retired = retired_.begin(); retired != end; ++retired) {
    for (const Block& block : retired->blocks) Free(block);
    for (const StringId id : retired->strings) {
      const auto idle = idle_since_.find(id);
      if (idle == idle_since_.end() || idle->second != retired->generation) continue;  // used since
      idle_since_.erase(idle);
      EraseString(id);
    }
    std::ranges::copy(retired->slots, std::back_inserter(free_slots_));
  }
  retired_.erase(retired_.begin(), end);
}

// ---- what there is
// ------------------------------------------------------------------------------

std::vector<RuleCount> Image::Counts(bind::InstanceId id) const {
  std::vector<RuleCount> counts;
  const auto found = instances_.find(id);
  if (found == instances_.end()) return counts;
  for (const StoredHook& hook : found->second.hooks) {
    for (uint32_t i = 0; i < hook.program->rules.size(); ++i) {
      if (!hook.program->rules[i].counted) continue;
      const uint32_t address = hook.first_rule + i * kWords<gh_rule>;
      const auto* rule = reinterpret_cast<const gh_rule*>(memory_.words().data() + address);
      counts.push_back(RuleCount{hook.program->hook_index, hook.program->rules[i].index,
                                 __atomic_load_n(&rule->hits, __ATOMIC_RELAXED)});
    }
  }
  return counts;
}

double Image::BytesOf(const ValueSet& set, const StoredSet& stored) const {
  const double table_bytes = double{GH_WORD_BYTES} * string_slots_.words;
  const double string_bytes =
      sizeof(gh_digest) + table_bytes / static_cast<double>(strings_.size());
  double bytes = double{GH_WORD_BYTES} * stored.block.words;
  for (const StringId id : set.ids()) bytes += string_bytes / strings_.References(id);
  return bytes;
}

uint64_t Image::MemoryBytes(bind::InstanceId id) const {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return 0;
  double bytes = 0;
  for (const Block& block : found->second.blocks) bytes += double{GH_WORD_BYTES} * block.words;
  for (const StoredHook& hook : found->second.hooks) {
    for (const Rule& rule : hook.program->rules) {
      for (const Filter& filter : rule.filters) {
        const auto stored = sets_.find(filter.set.get());
        if (stored == sets_.end()) continue;
        bytes += BytesOf(*filter.set, stored->second) / stored->second.users;
      }
    }
  }
  return static_cast<uint64_t>(bytes);
}

ImageSizes Image::sizes() const {
  const uint64_t words = memory_.words().size();
  return ImageSizes{
      .generation = generation_,
      .arena_bytes = words * GH_WORD_BYTES,
      .used_bytes = (words - free_.free_words() - roots_.free_words()) * GH_WORD_BYTES,
      .instances = instances_.size(),
      .groups = groups_.size(),
      .sets = sets_.size(),
      .strings = strings_.size(),
      .workloads = slot_of_.size(),
  };
}

}  // namespace gatehouse::compile
