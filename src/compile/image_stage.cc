// SPDX-License-Identifier: Apache-2.0
// A change of the image is written beside what is in force.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "compile/image_parts.h"

namespace gatehouse::compile {

namespace {

constexpr uint32_t kWordsBeforeAutomaton = 1;  // its id

/// How many ids or ranges programs search.
uint32_t MembersOf(const ValueSet& set) {
  if (set.match() == GH_MATCH_PATTERN) return set.size() == 0 ? 0 : 1;
  return static_cast<uint32_t>(set.size());
}

gh_chain ChainOf(const ResolvedValue& value) {
  gh_chain chain{};
  chain.from = value.from;
  chain.n = static_cast<uint8_t>(std::min<size_t>(value.chain.offsets.size(), GH_STEPS_MAX));
  chain.bytes = value.chain.bytes;
  std::copy_n(value.chain.offsets.begin(), chain.n, chain.offsets);
  return chain;
}

}  // namespace

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
  const auto words = static_cast<uint32_t>(set.bytes() / GH_WORD_BYTES);
  constexpr uint32_t kPageWords = GH_PAGE_WORDS;
  const bool searched = set.match() != GH_MATCH_PATTERN;
  const bool small = words <= kPageWords;
  const auto member_words = words / static_cast<uint32_t>(set.size());
  auto block = !searched ? Allocate(words, 1, 0)
               : small   ? Allocate(words, member_words, kPageWords)
                         : Allocate(words, kPageWords, 0);
  if (!block) {
    stage.sets.erase(&set);
    return tl::unexpected(std::move(block).error());
  }
  stage.blocks.push_back(*block);
  stored.block = *block;
  if (!searched) {
    const uint32_t automaton = block->address + kWordsBeforeAutomaton;
    *At<uint32_t>(block->address) = GH_AUTOMATON_ID(automaton);
    std::ranges::copy(set.automaton(), At<uint32_t>(automaton));
    return block->address;
  }
  std::ranges::copy(set.ids(), At<uint32_t>(block->address));
  std::ranges::copy(set.ranges(), At<gh_range>(block->address));
  std::ranges::copy(set.addresses(), At<gh_address_range>(block->address));
  return block->address;
}

Result<uint32_t> Image::StageFilters(Stage& stage, Instance& instance, const Rule& rule) {
  const bool sets = (rule.actions & GH_ACTION_SET) != 0;
  if (rule.filters.empty() && !sets) return 0;
  std::vector<gh_filter> filters;
  for (const Filter& filter : rule.filters) {
    GH_ASSIGN(const uint32_t set, StageSet(stage, *filter.set));
    filters.push_back(gh_filter{.subject = filter.subject,
                                .match = static_cast<uint8_t>(filter.match),
                                .negated = filter.negated,
                                .field = static_cast<uint8_t>(filter.field),
                                .set = set,
                                .count = MembersOf(*filter.set),
                                .other = filter.other});
  }
  if (sets) {
    gh_filter& set = filters.emplace_back();
    set.subject = rule.set_subject;
    set.set = rule.set_to;
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
          .shows = hook.shows | (rule.hash ? GH_SHOWS_HASH : 0U),
          .error = rule.error,
          .number = static_cast<uint16_t>(GH_RULE_NUMBER(hook.hook_index, rule.index)),
          .actions = static_cast<uint8_t>(rule.actions),
          .n_filters = static_cast<uint8_t>(rule.filters.size()),
          .signal = rule.signal,
          .flags = static_cast<uint8_t>(
              (program->monitor ? GH_RULE_MONITOR : 0) | (rule.counted ? 0 : GH_RULE_UNCOUNTED) |
              (rule.enforcer ? GH_RULE_ENFORCER : 0) | rule.scope | rule.stacks),
          .interval_s = rule.interval_s,
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

/// The address of a set that is in the image, or will be.
uint32_t Image::AddressOf(const Stage& stage, const ValueSet& set) const {
  const auto staged = stage.sets.find(&set);
  return staged != stage.sets.end() ? staged->second.block.address : sets_.at(&set).block.address;
}

Result<uint32_t> Image::StageScan(Stage& stage, Group& group, uint8_t subject,
                                  std::span<const StoredHook* const> policies) {
  std::set<uint32_t> heads, tails, automata;
  for (const StoredHook* policy : policies) {
    for (const Rule& rule : policy->program->rules) {
      for (const Filter& filter : rule.filters) {
        if (filter.subject != subject || filter.set->size() == 0) continue;
        if (filter.match == GH_MATCH_PATTERN) {
          automata.insert(AddressOf(stage, *filter.set) + kWordsBeforeAutomaton);
        }
        if (filter.match != GH_MATCH_PREFIX && filter.match != GH_MATCH_POSTFIX) continue;
        auto& lengths = filter.match == GH_MATCH_PREFIX ? heads : tails;
        for (const StringId id : filter.set->ids()) {
          lengths.insert(static_cast<uint32_t>(strings_.Text(id).size()));
        }
      }
    }
  }
  if (heads.empty() && tails.empty() && automata.empty()) return 0;
  if (automata.size() > GH_AUTOMATA_MAX) {
    return Fail(ErrorCode::kRefused, policies.front()->program->site->name,
                "the policies of one workload compare one value with " +
                    std::to_string(automata.size()) + " different sets of patterns; the limit is " +
                    std::to_string(int{GH_AUTOMATA_MAX}),
                "give them the same patterns, or fewer of the policies");
  }
  const auto stage_list = [&](const std::set<uint32_t>& set, gh_u32& n) {
    const std::vector<uint32_t> list(set.begin(), set.end());
    n = static_cast<gh_u32>(list.size());
    return StageList<uint32_t>(stage, group, list);
  };
  gh_scan scan{};
  GH_ASSIGN(scan.heads, stage_list(heads, scan.n_heads));
  GH_ASSIGN(scan.tails, stage_list(tails, scan.n_tails));
  GH_ASSIGN(scan.automata, stage_list(automata, scan.n_automata));
  return StageList<gh_scan>(stage, group, {&scan, 1});
}

/// What the policies look at together, ascending by subject.
Result<std::vector<Input>> Image::InputsOf(std::span<const StoredHook* const> policies) {
  std::map<uint8_t, Input> inputs;
  for (const StoredHook* policy : policies) {
    for (const Input& input : policy->program->inputs) {
      const auto [known, is_new] = inputs.emplace(input.subject, input);
      const bool whole = known->second.whole || input.whole;
      known->second.whole = input.whole;
      const bool same = known->second == input;
      known->second.whole = whole;
      if (is_new || same) continue;
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
    if (gh_is_text(input.read)) ++texts;
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
    GH_ASSIGN(const uint32_t scan, StageScan(stage, group, input.subject, policies));
    records.push_back({.subject = input.subject,
                       .read = static_cast<uint8_t>(input.read),
                       .bytes = input.bytes,
                       .flags = static_cast<uint8_t>((input.is_signed ? GH_INPUT_SIGNED : 0) |
                                                     (input.whole ? GH_INPUT_WHOLE : 0)),
                       .scan = scan,
                       .chain = 0,
                       .reserved = 0});
    if (!input.resolved) continue;
    const gh_chain chain = ChainOf(*input.resolved);
    GH_ASSIGN(records.back().chain, StageList<gh_chain>(stage, group, {&chain, 1}));
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

}  // namespace gatehouse::compile
