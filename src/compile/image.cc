// SPDX-License-Identifier: Apache-2.0
#include "compile/image.h"

#include <sodium/crypto_shorthash_siphash24.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "policy/catalog.h"

namespace gatehouse::compile {
namespace {

constexpr uint32_t kReservedWords = 8;          // word 0 publishes; no record lies at address 0
constexpr uint32_t kRootWords = GH_PAGE_WORDS;  // up to here, roots: every operation reads one
constexpr uint32_t kGrowPages = 64;             // the arena grows by at least that much,
constexpr uint32_t kGrowFraction = 8;           // and by this part of its size
constexpr uint32_t kMinStringSlots = 1024;
constexpr uint32_t kMinDigests = 512;

template <typename T>
constexpr uint32_t kWords = sizeof(T) / GH_WORD_BYTES;

constexpr uint32_t RoundUp(uint32_t value, uint32_t step) {
  return (value + step - 1) / step * step;
}

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

/// New things are kept apart until nothing can fail any more.
struct Image::Stage {
  std::vector<Block> blocks;  // everything allocated
  std::unordered_map<bind::InstanceId, Instance> instances;
  std::unordered_map<const ValueSet*, StoredSet> sets;  // users: those of this stage
  GroupMap groups;
  std::vector<bind::WorkloadId> slots;  // of workloads that had none
  std::map<uint32_t, uint32_t> chunks;  // addresses of those that change; 0: without any group
  Block directory;                      // if there is one
  uint32_t host = 0;
  Block root;
};

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

template <typename T>
T* Image::At(uint32_t address) {
  return reinterpret_cast<T*>(memory_.words().data() + address);
}

// ---- memory -------------------------------------------------------------------------------------

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

/// In the page of word 0, unless changes come faster than grace periods: each further page that an
/// operation touches is a miss of the TLB.
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

// ---- staging ------------------------------------------------------------------------------------

Result<uint32_t> Image::StageSet(Stage& stage, const ValueSet& set) {
  if (set.size() == 0) return 0;
  if (const auto stored = sets_.find(&set); stored != sets_.end()) {
    StoredSet& user = stage.sets[&set];
    user.block = stored->second.block;
    ++user.users;
    return user.block.address;
  }
  StoredSet& stored = stage.sets[&set];
  if (stored.users++ > 0) return stored.block.address;
  const auto words =
      static_cast<uint32_t>((set.ids().size_bytes() + set.ranges().size_bytes()) / GH_WORD_BYTES);
  constexpr uint32_t kPageWords = GH_PAGE_WORDS;
  const bool small = words <= kPageWords;
  const uint32_t member_words = set.ranges().empty() ? 1 : kWords<gh_range>;
  auto block = Allocate(words, small ? member_words : kPageWords, small ? kPageWords : 0);
  if (!block) {
    stage.sets.erase(&set);
    return tl::unexpected(std::move(block).error());
  }
  stage.blocks.push_back(*block);
  stored.block = *block;
  std::ranges::copy(set.ids(), At<uint32_t>(block->address));
  std::ranges::copy(set.ranges(), At<gh_range>(block->address));
  return block->address;
}

Result<uint32_t> Image::StageFilters(Stage& stage, Instance& instance, const Rule& rule) {
  if (rule.filters.empty()) return 0;
  std::vector<gh_filter> filters;
  for (const Filter& filter : rule.filters) {
    GH_ASSIGN(const uint32_t set, StageSet(stage, *filter.set));
    filters.push_back(gh_filter{.subject = filter.subject,
                                .match = static_cast<uint8_t>(filter.match),
                                .negated = filter.negated,
                                .reserved = 0,
                                .set = set,
                                .count = static_cast<uint32_t>(filter.set->size()),
                                .reserved2 = 0});
  }
  const auto words = static_cast<uint32_t>(filters.size()) * kWords<gh_filter>;
  GH_ASSIGN(const Block block, Allocate(words, kWords<gh_filter>, 0));
  stage.blocks.push_back(block);
  instance.blocks.push_back(block);
  std::ranges::copy(filters, At<gh_filter>(block.address));
  return block.address;
}

Result<void> Image::StageInstance(Stage& stage, bind::InstanceId id, const ProgramPtr& program) {
  Instance instance{.program = program, .hooks = {}, .blocks = {}};
  for (const HookProgram& hook : program->hooks) {
    GH_ASSIGN(const uint16_t number, NumberOf(*hook.site));
    std::vector<gh_rule> rules;
    for (const Rule& rule : hook.rules) {
      GH_ASSIGN(const uint32_t filters, StageFilters(stage, instance, rule));
      rules.push_back(gh_rule{
          .hits = 0,
          .policy = id,
          .filters = filters,
          .index = rule.index,
          .actions = rule.actions,
          .error = rule.error,
          .n_filters = static_cast<uint16_t>(rule.filters.size()),
          .signal = rule.signal,
          .flags = static_cast<uint8_t>(program->monitor ? GH_RULE_MONITOR : 0),
          .hook_index = hook.hook_index,
          .shows = hook.shows,
          .reserved = {},
      });
    }
    rules.back().flags |= GH_RULE_LAST;
    const auto words = static_cast<uint32_t>(rules.size()) * kWords<gh_rule>;
    GH_ASSIGN(const Block block, Allocate(words, kWords<gh_rule>, 0));
    stage.blocks.push_back(block);
    instance.blocks.push_back(block);
    std::ranges::copy(rules, At<gh_rule>(block.address));
    instance.hooks.push_back(StoredHook{number, block.address, &hook});
  }
  stage.instances.emplace(id, std::move(instance));
  return {};
}

template <typename T>
Result<uint32_t> Image::StageList(Stage& stage, Group& group, std::span<const T> list) {
  if (list.empty()) return 0;
  GH_ASSIGN(const Block block,
            Allocate(static_cast<uint32_t>(list.size()) * kWords<T>, kWords<T>, 0));
  stage.blocks.push_back(block);
  group.blocks.push_back(block);
  std::ranges::copy(list, At<T>(block.address));
  return block.address;
}

Result<uint32_t> Image::StageLengths(Stage& stage, Group& group, uint8_t subject,
                                     std::span<const StoredHook* const> policies) {
  std::set<uint32_t> heads, tails;
  for (const StoredHook* policy : policies) {
    for (const Rule& rule : policy->program->rules) {
      for (const Filter& filter : rule.filters) {
        if (filter.subject != subject) continue;
        if (filter.match != GH_MATCH_PREFIX && filter.match != GH_MATCH_POSTFIX) continue;
        auto& lengths = filter.match == GH_MATCH_PREFIX ? heads : tails;
        for (const StringId id : filter.set->ids()) {
          lengths.insert(static_cast<uint32_t>(strings_.Text(id).size()));
        }
      }
    }
  }
  if (heads.empty() && tails.empty()) return 0;
  const std::vector<uint32_t> head_list(heads.begin(), heads.end());
  const std::vector<uint32_t> tail_list(tails.begin(), tails.end());
  gh_lengths lengths{};
  GH_ASSIGN(lengths.heads, StageList<uint32_t>(stage, group, head_list));
  GH_ASSIGN(lengths.tails, StageList<uint32_t>(stage, group, tail_list));
  lengths.n_heads = static_cast<uint32_t>(head_list.size());
  lengths.n_tails = static_cast<uint32_t>(tail_list.size());
  return StageList<gh_lengths>(stage, group, {&lengths, 1});
}

/// What the policies look at together, ascending by subject.
Result<std::vector<Input>> Image::InputsOf(std::span<const StoredHook* const> policies) {
  std::map<uint8_t, Input> inputs;
  for (const StoredHook* policy : policies) {
    for (const Input& input : policy->program->inputs) {
      const auto [known, is_new] = inputs.emplace(input.subject, input);
      if (is_new || known->second == input) continue;
      return Fail(ErrorCode::kRefused, policy->program->site->name,
                  "policies of one workload read argument " + std::to_string(input.subject) +
                      " as values of different types",
                  "give it the same type in all of them");
    }
  }
  std::vector<Input> list;
  size_t texts = 0;
  for (const auto& [subject, input] : inputs) {
    list.push_back(input);
    if (input.read != GH_READ_NUMBER) ++texts;
  }
  if (texts <= GH_TEXTS_MAX) return list;
  return Fail(ErrorCode::kRefused, policies.front()->program->site->name,
              "the policies of one workload look at " + std::to_string(texts) +
                  " texts of one operation, and at most " + std::to_string(int{GH_TEXTS_MAX}) +
                  " are possible",
              "declare fewer arguments in args");
}

Result<gh_gate> Image::StageGate(Stage& stage, Group& group, uint16_t hook,
                                 std::span<const StoredHook* const> policies) {
  if (policies.size() > GH_POLICIES_PER_GATE_MAX) {
    return Fail(ErrorCode::kRefused, policies.front()->program->site->name,
                std::to_string(policies.size()) +
                    " policies on one hook of one workload; the limit is " +
                    std::to_string(int{GH_POLICIES_PER_GATE_MAX}),
                "narrow the policies' selectors");
  }
  std::vector<uint32_t> first_rules;
  for (const StoredHook* policy : policies) first_rules.push_back(policy->first_rule);
  GH_ASSIGN(const std::vector<Input> inputs, InputsOf(policies));
  std::vector<gh_input> records;
  for (const Input& input : inputs) {
    GH_ASSIGN(const uint32_t lengths, StageLengths(stage, group, input.subject, policies));
    records.push_back({.subject = input.subject,
                       .read = static_cast<uint8_t>(input.read),
                       .bytes = input.bytes,
                       .flags = static_cast<uint8_t>(input.is_signed ? GH_INPUT_SIGNED : 0),
                       .lengths = lengths});
  }
  gh_gate gate{};
  GH_ASSIGN(gate.policies, StageList<uint32_t>(stage, group, first_rules));
  GH_ASSIGN(gate.inputs, StageList<gh_input>(stage, group, records));
  gate.hook = hook;
  gate.n_policies = static_cast<uint16_t>(first_rules.size());
  gate.n_inputs = static_cast<uint16_t>(records.size());
  return gate;
}

Result<void> Image::StageGroup(Stage& stage, const GroupKey& key) {
  if (key.empty() || groups_.contains(key) || stage.groups.contains(key)) return {};
  std::map<uint16_t, std::vector<const StoredHook*>> policies;  // by hook
  for (const bind::InstanceId id : key) {
    const auto staged = stage.instances.find(id);
    const Instance& instance = staged != stage.instances.end() ? staged->second : instances_.at(id);
    for (const StoredHook& hook : instance.hooks) policies[hook.hook].push_back(&hook);
  }
  if (policies.size() > GH_HOOKS_PER_GROUP_MAX) {
    return Fail(ErrorCode::kRefused, "image",
                std::to_string(policies.size()) + " hooks for one workload; the limit is " +
                    std::to_string(int{GH_HOOKS_PER_GROUP_MAX}),
                "narrow the policies' selectors");
  }
  Group group;
  std::vector<gh_gate> gates;
  for (const auto& [hook, list] : policies) {
    GH_ASSIGN(gates.emplace_back(), StageGate(stage, group, hook, list));
  }
  gh_group contents{};
  GH_ASSIGN(contents.gates, StageList<gh_gate>(stage, group, gates));
  contents.n_gates = static_cast<uint32_t>(gates.size());
  GH_ASSIGN(group.address, StageList<gh_group>(stage, group, {&contents, 1}));
  stage.groups.emplace(key, std::move(group));
  return {};
}

void Image::TakeSlots(Stage& stage, const bind::Delta& delta) {
  for (const auto& [workload, key] : delta.groups) {
    if (key.empty() || FindSlot(workload)) continue;
    (void)SlotOf(workload);
    stage.slots.push_back(workload);
  }
}

/// Chunks in which a group changes are written anew, those without any group not at all; and the
/// list of chunks if there is such a chunk.
Result<void> Image::StageTable(Stage& stage, const bind::Delta& delta) {
  TakeSlots(stage, delta);
  stage.host = root_contents_.host;
  std::map<uint32_t, Chunk> changed;
  for (const auto& [workload, key] : delta.groups) {
    const std::optional<uint32_t> slot = FindSlot(workload);
    if (!slot) continue;  // it had no group and gets none
    uint32_t address = 0;
    if (!key.empty()) {
      const auto staged = stage.groups.find(key);
      address = staged != stage.groups.end() ? staged->second.address : groups_.at(key).address;
    }
    if (*slot == 0) {
      stage.host = address;
      continue;
    }
    const uint32_t index = *slot / GH_CHUNK_SLOTS;
    const auto chunk = changed.try_emplace(index, Chunk{});
    if (chunk.second) chunk.first->second = ReadChunk(index);
    chunk.first->second.at(*slot % GH_CHUNK_SLOTS) = address;
  }
  if (changed.empty()) return {};
  for (const auto& [index, contents] : changed) {
    uint32_t& chunk = stage.chunks[index];
    if (std::ranges::all_of(contents, [](uint32_t address) { return address == 0; })) continue;
    GH_ASSIGN(const Block block, Allocate(GH_CHUNK_SLOTS, 1, 0));
    stage.blocks.push_back(block);
    std::ranges::copy(contents, At<uint32_t>(block.address));
    chunk = block.address;
  }
  const uint32_t n_chunks = std::max(root_contents_.n_chunks, changed.rbegin()->first + 1);
  GH_ASSIGN(stage.directory, Allocate(n_chunks, 1, 0));
  stage.blocks.push_back(stage.directory);
  auto* const directory = At<uint32_t>(stage.directory.address);
  std::fill_n(directory, n_chunks, 0);
  std::copy_n(At<uint32_t>(root_contents_.chunks), root_contents_.n_chunks, directory);
  for (const auto& [index, chunk] : stage.chunks) directory[index] = chunk;
  return {};
}

uint32_t Image::ChunkAt(uint32_t index) {
  return index < root_contents_.n_chunks ? At<uint32_t>(root_contents_.chunks)[index] : 0;
}

Image::Chunk Image::ReadChunk(uint32_t index) {
  Chunk chunk{};
  if (const uint32_t address = ChunkAt(index); address != 0) {
    std::copy_n(At<uint32_t>(address), chunk.size(), chunk.begin());
  }
  return chunk;
}

Result<void> Image::StageRoot(Stage& stage) {
  GH_ASSIGN(stage.root, AllocateRoot());
  stage.blocks.push_back(stage.root);
  return {};
}

void Image::Rollback(Stage& stage) {
  for (const Block& block : stage.blocks) Free(block);
  for (const bind::WorkloadId workload : stage.slots) ReleaseSlot(workload);
}

// ---- publication --------------------------------------------------------------------------------

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
  for (const auto& [workload, key] : delta.groups) {
    const auto old_group = group_of_.find(workload);
    const bool had_group = old_group != group_of_.end();
    const auto left = had_group ? old_group->second : groups_.end();
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
    if (had_group) Leave(left, retired);
  }
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

// ---- strings ------------------------------------------------------------------------------------

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

// ---- what there is ------------------------------------------------------------------------------

std::vector<RuleCount> Image::Counts(bind::InstanceId id) const {
  std::vector<RuleCount> counts;
  const auto found = instances_.find(id);
  if (found == instances_.end()) return counts;
  for (const StoredHook& hook : found->second.hooks) {
    for (uint32_t i = 0; i < hook.program->rules.size(); ++i) {
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
