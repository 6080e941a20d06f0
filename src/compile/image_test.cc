// SPDX-License-Identifier: Apache-2.0
#include "compile/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "glob/automaton.h"
#include "policy/sites.h"

namespace gatehouse::compile {
namespace {

/// Memory as a vector; can be told to fail.
class VectorMemory : public Memory {
 public:
  std::span<uint32_t> words() override { return words_; }
  Result<void> Grow(uint32_t pages, std::span<const uint32_t> counters) override {
    if (pages > limit_pages) return Fail(ErrorCode::kSystem, "memory", "no more");
    grown_with = {counters.begin(), counters.end()};
    words_.resize(size_t{pages} * GH_PAGE_WORDS);
    return {};
  }
  uint32_t limit_pages = 1u << 20;
  std::vector<uint32_t> grown_with;

 private:
  std::vector<uint32_t> words_;
};

/// Reads the image as the kernel programs do, slowly: the other half of the layout's definition.
class Reader {
 public:
  Reader(std::span<const uint32_t> words, DigestKey key) : words_(words), key_(key) {}

  template <typename T>
  [[nodiscard]] const T* At(uint32_t address) const {
    return address == 0 ? nullptr : reinterpret_cast<const T*>(words_.data() + address);
  }
  [[nodiscard]] const gh_root& root() const { return *At<gh_root>(words_[0]); }

  [[nodiscard]] uint32_t IdOf(std::string_view text) const {
    const gh_digest digest = Digest(key_, text);
    for (uint32_t probe = 0; probe < GH_SLOT_PROBES_MAX; ++probe) {
      const uint32_t id =
          words_[root().slots + ((static_cast<uint32_t>(digest.lo) + probe) & root().slots_mask)];
      if (id == 0) return 0;
      if (id == GH_SLOT_DELETED) continue;
      const auto* found = At<gh_digest>(root().digests + id * 4);
      if (found->lo == digest.lo && found->hi == digest.hi) return id;
    }
    return 0;
  }
  [[nodiscard]] bool Has(const gh_filter& filter, uint32_t id) const {
    const auto begin = words_.begin() + filter.set;
    return id != 0 && std::binary_search(begin, begin + filter.count, id);
  }
  [[nodiscard]] uint32_t GroupOf(const gh_root& root, uint32_t slot) const {
    if (slot == 0) return root.host;
    if (slot / GH_CHUNK_SLOTS >= root.n_chunks) return 0;
    const uint32_t chunk = words_[root.chunks + slot / GH_CHUNK_SLOTS];
    return chunk == 0 ? 0 : words_[chunk + slot % GH_CHUNK_SLOTS];
  }
  [[nodiscard]] const gh_gate* GateOf(const gh_group* group, uint16_t hook) const {
    if (group == nullptr) return nullptr;
    const std::span gates(At<gh_gate>(group->gates), group->n_gates);
    EXPECT_TRUE(std::ranges::is_sorted(gates, std::less_equal{}, &gh_gate::hook));
    const auto gate = std::ranges::find(gates, hook, &gh_gate::hook);
    return gate == gates.end() ? nullptr : &*gate;
  }
  [[nodiscard]] const gh_gate* Gate(uint32_t slot, uint16_t hook) const {
    return GateOf(At<gh_group>(GroupOf(root(), slot)), hook);
  }
  [[nodiscard]] std::span<const gh_input> Inputs(const gh_gate& gate) const {
    return {At<gh_input>(gate.inputs), gate.n_inputs};
  }
  /// The policies whose first rule's first filter (exact) holds for `path`.
  [[nodiscard]] std::vector<uint32_t> Matching(uint32_t slot, uint16_t hook,
                                               std::string_view path) const {
    std::vector<uint32_t> policies;
    const gh_gate* gate = Gate(slot, hook);
    for (uint32_t i = 0; gate != nullptr && i < gate->n_policies; ++i) {
      const auto* rule = At<gh_rule>(words_[gate->policies + i]);
      const auto* filter = At<gh_filter>(rule->filters);
      if (Has(*filter, IdOf(path)) != (filter->negated != 0)) policies.push_back(rule->policy);
    }
    return policies;
  }

 private:
  std::span<const uint32_t> words_;
  DigestKey key_;
};

class ImageTest : public ::testing::Test {
 protected:
  ImageTest() { EXPECT_TRUE(image_.Initialize()); }

  ProgramPtr AllowList(const std::vector<std::string>& values, gh_match match = GH_MATCH_EXACT) {
    Rule rule;
    const std::vector<std::string_view> views(values.begin(), values.end());
    rule.filters.push_back({.match = match,
                            .negated = true,
                            .set = match == GH_MATCH_PATTERN ? sets_.MakePatterns(values).value()
                                                             : sets_.Make(match, views)});
    rule.actions = GH_ACTION_OVERRIDE;
    rule.error = -1;
    auto program = std::make_shared<Program>();
    program->hooks.push_back(On(policy::kCredsForExec, {GH_SUBJECT_ARGUMENT_0, GH_READ_BINPRM}));
    program->hooks.back().rules = {rule};
    return program;
  }
  /// One rule that posts, on a hook with one input.
  static HookProgram On(const policy::Site& site, Input input) {
    HookProgram hook;
    hook.site = std::make_shared<const policy::Site>(site);
    hook.inputs = {input};
    hook.shows = 1U << input.subject;
    hook.rules.emplace_back().actions = GH_ACTION_POST;
    return hook;
  }
  static ProgramPtr With(std::vector<HookProgram> hooks) {
    auto program = std::make_shared<compile::Program>();
    program->hooks = std::move(hooks);
    return program;
  }
  [[nodiscard]] Reader Read() { return {memory_.words(), key_}; }
  std::vector<uint32_t> Matching(bind::WorkloadId workload, std::string_view path) {
    return Read().Matching(image_.SlotOf(workload), GH_HOOK_BPRM_CREDS_FOR_EXEC, path);
  }

  const DigestKey key_{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  StringPool strings_;
  ValueSets sets_{strings_};
  VectorMemory memory_;
  Image image_{memory_, strings_, key_};
};

using Ids = std::vector<uint32_t>;

/// "/0", "/1", ...
std::vector<std::string> Numbered(size_t count) {
  std::vector<std::string> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = "/" + std::to_string(i);
  return values;
}

// The first two vectors of the reference implementation (vectors_sip128): key 00..0f.
TEST(DigestTest, IsSipHash24With128Bits) {
  const DigestKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  const gh_digest empty = Digest(key, "");
  EXPECT_EQ(empty.lo, 0xe6a825ba047f81a3u);
  EXPECT_EQ(empty.hi, 0x930255c71472f66du);
  const gh_digest one = Digest(key, std::string_view("\0", 1));
  EXPECT_EQ(one.lo, 0x44af996bd8c187dau);
  EXPECT_EQ(one.hi, 0x45fc229b11597634u);
}

TEST_F(ImageTest, AnEmptyImageHasNoGates) {
  EXPECT_EQ(Read().Gate(0, GH_HOOK_BPRM_CREDS_FOR_EXEC), nullptr);
  EXPECT_EQ(Read().Gate(1'000'000, GH_HOOK_BPRM_CREDS_FOR_EXEC), nullptr);
}

TEST_F(ImageTest, JudgesByTheSetOfTheWorkloadsOwnPolicies) {
  ASSERT_TRUE(image_.Apply({.added = {{1, AllowList({"/a", "/b"})}, {2, AllowList({"/b", "/c"})}},
                            .removed = {},
                            .groups = {{7, {1}}, {8, {1, 2}}}}));
  EXPECT_EQ(Matching(7, "/a"), Ids{});
  EXPECT_EQ(Matching(7, "/c"), Ids{1});
  EXPECT_EQ(Matching(8, "/a"), Ids{2});
  EXPECT_EQ(Matching(8, "/b"), Ids{});
  EXPECT_EQ(Matching(8, "/unknown"), (Ids{1, 2}));
  EXPECT_EQ(Read().Gate(image_.SlotOf(7), GH_HOOK_BPRM_CHECK), nullptr);
  EXPECT_EQ(image_.InstancesOn(GH_HOOK_BPRM_CREDS_FOR_EXEC), 2u);
  EXPECT_EQ(image_.InstancesOn(GH_HOOK_BPRM_CHECK), 0u);
}

TEST_F(ImageTest, EqualGroupsAndEqualSetsAreStoredOnce) {
  ASSERT_TRUE(image_.Apply({.added = {{1, AllowList({"/a"})}, {2, AllowList({"/a"})}},
                            .removed = {},
                            .groups = {{1, {1}}, {2, {1}}, {3, {2}}}}));
  EXPECT_EQ(image_.sizes().sets, 1u);
  EXPECT_EQ(image_.sizes().groups, 2u);
}

TEST_F(ImageTest, AnEmptySetHasNoMember) {
  ASSERT_TRUE(image_.Apply({.added = {{1, AllowList({})}}, .removed = {}, .groups = {{1, {1}}}}));
  EXPECT_EQ(Matching(1, "/a"), Ids{1});
}

TEST_F(ImageTest, WhatWasReplacedIsUsedAgainOnlyAfterReclaim) {
  ASSERT_TRUE(
      image_.Apply({.added = {{1, AllowList({"/a"})}}, .removed = {}, .groups = {{1, {1}}}}));
  image_.Reclaim(image_.generation());
  const uint32_t old_root = memory_.words()[0];
  const std::vector<uint32_t> before(memory_.words().begin(), memory_.words().end());
  ASSERT_TRUE(
      image_.Apply({.added = {{2, AllowList({"/b"})}}, .removed = {1}, .groups = {{1, {2}}}}));
  EXPECT_NE(memory_.words()[0], old_root);
  // A program that read the old root finds everything as it was.
  const Reader old(memory_.words(), key_);
  const auto* root = old.At<gh_root>(old_root);
  const auto* group = old.At<gh_group>(old.GroupOf(*root, image_.SlotOf(1)));
  const auto* gate = old.GateOf(group, GH_HOOK_BPRM_CREDS_FOR_EXEC);
  EXPECT_EQ(old.At<gh_rule>(memory_.words()[gate->policies])->policy, 1u);
  EXPECT_NE(old.IdOf("/a"), 0u);

  EXPECT_TRUE(image_.HasRetired());
  image_.Reclaim(image_.generation());
  EXPECT_FALSE(image_.HasRetired());
  EXPECT_EQ(Read().IdOf("/a"), 0u);
  EXPECT_EQ(Matching(1, "/a"), Ids{2});
}

TEST_F(ImageTest, AFailedChangeLeavesTheImageAsItWas) {
  ASSERT_TRUE(
      image_.Apply({.added = {{1, AllowList({"/a"})}}, .removed = {}, .groups = {{1, {1}}}}));
  const uint32_t root = memory_.words()[0];
  const uint64_t used = image_.sizes().used_bytes;
  memory_.limit_pages = static_cast<uint32_t>(memory_.words().size() / GH_PAGE_WORDS);
  const std::vector<std::string> many = Numbered(100'000);
  {
    const auto result =
        image_.Apply({.added = {{2, AllowList(many)}}, .removed = {1}, .groups = {{1, {2}}}});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kSystem);
  }
  EXPECT_EQ(memory_.words()[0], root);
  EXPECT_EQ(image_.sizes().used_bytes, used);
  EXPECT_EQ(Matching(1, "/b"), Ids{1});

  memory_.limit_pages = 1u << 20;  // and a later one succeeds, strings included
  ASSERT_TRUE(
      image_.Apply({.added = {{3, AllowList(many)}}, .removed = {1}, .groups = {{1, {3}}}}));
  EXPECT_EQ(Matching(1, "/99999"), Ids{});
  EXPECT_EQ(Matching(1, "/100000"), Ids{3});
}

TEST_F(ImageTest, TooManyPoliciesOnAGateAreRefused) {
  bind::Delta delta;
  std::vector<bind::InstanceId> group;
  for (bind::InstanceId id = 1; id <= GH_POLICIES_PER_GATE_MAX + 1; ++id) {
    delta.added.emplace_back(id, AllowList({"/a"}));
    group.push_back(id);
  }
  delta.groups.emplace_back(1, group);
  const auto result = image_.Apply(delta);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kRefused);
  EXPECT_EQ(Read().Gate(image_.SlotOf(1), GH_HOOK_BPRM_CREDS_FOR_EXEC), nullptr);
}

TEST_F(ImageTest, LengthsOfHeadsAndTailsAreThoseOfTheGroupsPolicies) {
  ASSERT_TRUE(image_.Apply({.added = {{1, AllowList({"/usr/", "/opt/x"}, GH_MATCH_PREFIX)},
                                      {2, AllowList({".so", "/ls"}, GH_MATCH_POSTFIX)},
                                      {3, AllowList({"/a"})}},
                            .removed = {},
                            .groups = {{1, {1, 2}}, {2, {3}}}}));
  const Reader reader = Read();
  const gh_gate* gate = reader.Gate(image_.SlotOf(1), GH_HOOK_BPRM_CREDS_FOR_EXEC);
  const auto* scan = reader.At<gh_scan>(reader.Inputs(*gate)[0].scan);
  ASSERT_NE(scan, nullptr);
  ASSERT_EQ(scan->n_heads, 2u);
  EXPECT_EQ(memory_.words()[scan->heads], 5u);
  EXPECT_EQ(memory_.words()[scan->heads + 1], 6u);
  ASSERT_EQ(scan->n_tails, 1u);
  EXPECT_EQ(scan->n_automata, 0u);
  gate = reader.Gate(image_.SlotOf(2), GH_HOOK_BPRM_CREDS_FOR_EXEC);
  EXPECT_EQ(reader.Inputs(*gate)[0].scan, 0u);
}

TEST_F(ImageTest, AutomataAreSharedAndGoWithTheirLastPolicy) {
  std::vector<std::string> patterns;
  for (int i = 0; i < 3000; ++i) patterns.push_back("/srv/" + std::to_string(i * 7919) + "/*.d");
  const auto add = [&] {
    ASSERT_TRUE(image_.Apply({.added = {{1, AllowList(patterns, GH_MATCH_PATTERN)},
                                        {2, AllowList(patterns, GH_MATCH_PATTERN)},
                                        {3, AllowList({"/a*"}, GH_MATCH_PATTERN)}},
                              .removed = {},
                              .groups = {{1, {1, 2, 3}}, {2, {2}}}}));
  };
  const auto remove = [&] {
    ASSERT_TRUE(image_.Apply({.added = {}, .removed = {1, 2, 3}, .groups = {{1, {}}, {2, {}}}}));
    image_.Reclaim(image_.generation());
  };
  add();  // the table of strings grows once
  remove();
  const uint64_t before = image_.sizes().used_bytes;
  add();
  const Reader reader = Read();
  const gh_gate* gate = reader.Gate(image_.SlotOf(1), GH_HOOK_BPRM_CREDS_FOR_EXEC);
  const auto* scan = reader.At<gh_scan>(reader.Inputs(*gate)[0].scan);
  ASSERT_NE(scan, nullptr);
  EXPECT_EQ(scan->n_heads, 0u);
  ASSERT_EQ(scan->n_automata, 2u) << "two policies have the same";
  std::set<bool> takes;
  for (uint32_t i = 0; i < scan->n_automata; ++i) {
    const uint32_t address = memory_.words()[scan->automata + i];
    EXPECT_EQ(memory_.words()[address - 1], GH_AUTOMATON_ID(address));
    takes.insert(glob::Takes(memory_.words().subspan(address), "/srv/7919/x.d"));
  }
  EXPECT_EQ(takes, (std::set{false, true}));
  EXPECT_GT(image_.sizes().used_bytes, before + 80'000);
  remove();
  EXPECT_EQ(image_.sizes().sets, 0u);
  EXPECT_EQ(image_.sizes().used_bytes, before);
}

TEST_F(ImageTest, TooManySetsOfPatternsAreRefusedAndChangeNothing) {
  bind::Delta delta;
  std::vector<bind::InstanceId> ids;
  for (uint32_t id = 1; id <= GH_AUTOMATA_MAX + 1; ++id) {
    delta.added.emplace_back(id, AllowList({"/a" + std::to_string(id) + "*"}, GH_MATCH_PATTERN));
    ids.push_back(id);
  }
  delta.groups = {{1, ids}};
  const uint64_t generation = image_.generation();
  const auto applied = image_.Apply(delta);
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().cause.find("257 different sets of patterns; the limit is 256"),
            std::string::npos)
      << applied.error().Message();
  EXPECT_EQ(image_.generation(), generation);
  delta.added.pop_back();
  delta.groups[0].second.pop_back();
  EXPECT_TRUE(image_.Apply(delta));
}

const policy::Site kFileOpen{policy::Site::Kind::kLsm, "file_open"};
const policy::Site kCapable{policy::Site::Kind::kFunction, "security_capable"};
const Input kFile{GH_SUBJECT_ARGUMENT_0, GH_READ_FILE};
const Input kNumber{2, GH_READ_NUMBER, 4, true};

TEST_F(ImageTest, AGroupHasAGateForEachHookOfItsPolicies) {
  ASSERT_TRUE(image_.Apply({.added = {{1, With({On(kCapable, kNumber), On(kFileOpen, kFile)})},
                                      {2, AllowList({"/a"})},
                                      {3, With({On(kFileOpen, kFile)})}},
                            .removed = {},
                            .groups = {{1, {1, 2, 3}}, {2, {2}}}}));
  const uint16_t open = *image_.NumberOf(kFileOpen), capable = *image_.NumberOf(kCapable);
  const Reader reader = Read();
  EXPECT_EQ(reader.Gate(image_.SlotOf(1), open)->n_policies, 2);
  EXPECT_EQ(reader.Gate(image_.SlotOf(1), capable)->n_policies, 1);
  EXPECT_EQ(reader.Gate(image_.SlotOf(1), GH_HOOK_BPRM_CREDS_FOR_EXEC)->n_policies, 1);
  EXPECT_EQ(reader.Gate(image_.SlotOf(2), open), nullptr);
  const gh_input& input = reader.Inputs(*reader.Gate(image_.SlotOf(1), capable))[0];
  EXPECT_EQ(input.subject, 2);
  EXPECT_EQ(input.read, GH_READ_NUMBER);
  EXPECT_EQ(input.bytes, 4);
  EXPECT_EQ(input.flags, GH_INPUT_SIGNED);
  EXPECT_EQ(image_.InstancesOn(open), 2u);
  ASSERT_TRUE(image_.Apply({.added = {}, .removed = {1, 3}, .groups = {{1, {2}}}}));
  EXPECT_EQ(image_.InstancesOn(open), 0u);
  EXPECT_EQ(*image_.NumberOf(kFileOpen), open);
}

TEST_F(ImageTest, AValueOfAPathHasItsChainBesideIt) {
  const auto value = sets_.resolved().Intern(
      {.site = kFileOpen, .from = 1, .text = "a.b", .chain = {.offsets = {8, 16}, .bytes = 2}});
  ASSERT_TRUE(value);
  const Input input{
      .subject = (*value)->subject, .read = GH_READ_NUMBER, .bytes = 2, .resolved = *value};
  ASSERT_TRUE(
      image_.Apply({.added = {{1, With({On(kFileOpen, kFile)})}, {2, With({On(kFileOpen, input)})}},
                    .removed = {},
                    .groups = {{1, {1, 2}}}}));
  const Reader reader = Read();
  const auto inputs = reader.Inputs(*reader.Gate(image_.SlotOf(1), *image_.NumberOf(kFileOpen)));
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].chain, 0U);
  EXPECT_EQ(inputs[1].subject, GH_SUBJECT_RESOLVED_0);
  const gh_chain& chain = *reader.At<gh_chain>(inputs[1].chain);
  EXPECT_EQ(chain.from, 1);
  EXPECT_EQ(chain.n, 2);
  EXPECT_EQ(chain.bytes, 2);
  EXPECT_EQ(chain.offsets[0], 8U);
  EXPECT_EQ(chain.offsets[1], 16U);
}

TEST_F(ImageTest, RefusesTwoReadingsOfOneArgument) {
  const auto refused =
      image_.Apply({.added = {{1, With({On(kFileOpen, kFile)})},
                              {2, With({On(kFileOpen, {GH_SUBJECT_ARGUMENT_0, GH_READ_STRING})})}},
                    .removed = {},
                    .groups = {{1, {1, 2}}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().object, "file_open");
  EXPECT_TRUE(refused.error().cause.find("argument 0") != std::string::npos)
      << refused.error().cause;
  EXPECT_EQ(image_.sizes().instances, 0u);
}

TEST_F(ImageTest, RangesLieAsTheyAreSearched) {
  HookProgram hook = On(kCapable, kNumber);
  hook.rules[0].filters = {{.subject = 2,
                            .match = GH_MATCH_RANGE,
                            .set = sets_.MakeNumbers(GH_MATCH_RANGE, {{7, 9}, {1, 2}})}};
  ASSERT_TRUE(image_.Apply({.added = {{1, With({hook})}}, .removed = {}, .groups = {{1, {1}}}}));
  const Reader reader = Read();
  const gh_gate* gate = reader.Gate(image_.SlotOf(1), *image_.NumberOf(kCapable));
  const auto* filter =
      reader.At<gh_filter>(reader.At<gh_rule>(memory_.words()[gate->policies])->filters);
  ASSERT_EQ(filter->count, 2u);
  EXPECT_EQ(filter->set % (sizeof(gh_range) / GH_WORD_BYTES), 0u);
  const auto* ranges = reader.At<gh_range>(filter->set);
  EXPECT_EQ(ranges[0].first, 1u);
  EXPECT_EQ(ranges[1].last, 9u);
}

TEST_F(ImageTest, WhatIsSetStandsBehindTheFilters) {
  HookProgram hook = On(kCapable, kNumber);
  hook.rules[0].actions = GH_ACTION_SET;
  hook.rules[0].set_subject = 5;
  hook.rules[0].set_to = 32;
  HookProgram filtered = hook;
  filtered.rules[0].filters = {
      {.subject = 2, .match = GH_MATCH_RANGE, .set = sets_.MakeNumbers(GH_MATCH_RANGE, {{7, 9}})}};
  ASSERT_TRUE(image_.Apply({.added = {{1, With({hook})}, {2, With({filtered})}},
                            .removed = {},
                            .groups = {{1, {1}}, {2, {2}}}}));
  const Reader reader = Read();
  for (uint32_t workload = 1; workload <= 2; ++workload) {
    const gh_gate* gate = reader.Gate(image_.SlotOf(workload), *image_.NumberOf(kCapable));
    const auto* rule = reader.At<gh_rule>(memory_.words()[gate->policies]);
    ASSERT_EQ(rule->n_filters, workload - 1);
    const auto* set = reader.At<gh_filter>(rule->filters) + rule->n_filters;
    EXPECT_EQ(set->subject, 5);
    EXPECT_EQ(set->set, 32u);
  }
}

TEST_F(ImageTest, AddressesAndRatesLieAsTheyAreRead) {
  HookProgram hook = On(kCapable, kNumber);
  hook.rules[0].filters = {{.subject = 2,
                            .field = GH_FIELD_DESTINATION,
                            .match = GH_MATCH_ADDRESS,
                            .set = sets_.MakeAddresses({{7, 1, 7, 2}, {0, 5, 1, 9}})}};
  hook.rules[0].interval_s = 300;
  hook.rules[0].scope = GH_RULE_PER_PROCESS;
  hook.rules[0].stacks = GH_RULE_USER_STACK;
  ASSERT_TRUE(image_.Apply({.added = {{1, With({hook})}}, .removed = {}, .groups = {{1, {1}}}}));
  const Reader reader = Read();
  const gh_gate* gate = reader.Gate(image_.SlotOf(1), *image_.NumberOf(kCapable));
  const auto* rule = reader.At<gh_rule>(memory_.words()[gate->policies]);
  EXPECT_EQ(rule->interval_s, 300u);
  EXPECT_EQ(rule->flags & (GH_RULE_PER_THREAD | GH_RULE_PER_PROCESS), GH_RULE_PER_PROCESS);
  EXPECT_EQ(rule->flags & GH_RULE_STACKS, GH_RULE_USER_STACK);
  const auto* filter = reader.At<gh_filter>(rule->filters);
  EXPECT_EQ(filter->field, GH_FIELD_DESTINATION);
  ASSERT_EQ(filter->count, 2u);
  EXPECT_EQ(filter->set % (sizeof(gh_address_range) / GH_WORD_BYTES), 0u);
  const auto* ranges = reader.At<gh_address_range>(filter->set);
  EXPECT_EQ(ranges[0].first_low, 5u);
  EXPECT_EQ(ranges[1].last, 7u);
}

TEST_F(ImageTest, GrowthIsToldWhereTheCountersAre) {
  ASSERT_TRUE(
      image_.Apply({.added = {{1, AllowList({"/a"})}}, .removed = {}, .groups = {{1, {1}}}}));
  const std::vector<std::string> many = Numbered(200'000);
  ASSERT_TRUE(image_.Apply({.added = {{2, AllowList(many)}}, .removed = {}, .groups = {{2, {2}}}}));
  ASSERT_FALSE(memory_.grown_with.empty());
  const Reader reader = Read();
  const gh_gate* gate = reader.Gate(image_.SlotOf(1), GH_HOOK_BPRM_CREDS_FOR_EXEC);
  EXPECT_TRUE(std::ranges::count(memory_.grown_with, memory_.words()[gate->policies]));
  EXPECT_EQ(Matching(2, "/199999"), Ids{});
  EXPECT_EQ(Matching(2, "/200000"), Ids{2});
}

TEST_F(ImageTest, ASlotIsGivenAwayAgainOnlyAfterReclaim) {
  const uint32_t slot = image_.SlotOf(1);
  image_.ReleaseSlot(1);
  EXPECT_NE(image_.SlotOf(2), slot);
  image_.Reclaim(image_.generation());
  EXPECT_EQ(image_.SlotOf(3), slot);
}

TEST_F(ImageTest, AnInstancesMemoryIsItsShareOfSetsAndStrings) {
  ASSERT_TRUE(image_.Apply(
      {.added = {{1, AllowList(Numbered(1000))}}, .removed = {}, .groups = {{1, {1}}}}));
  const uint64_t alone = image_.MemoryBytes(1);
  EXPECT_GT(alone, 1000 * (sizeof(StringId) + sizeof(gh_digest)));
  EXPECT_LE(alone, image_.sizes().used_bytes);
  ASSERT_TRUE(image_.Apply(
      {.added = {{2, AllowList(Numbered(1000))}}, .removed = {}, .groups = {{2, {2}}}}));
  EXPECT_EQ(image_.MemoryBytes(1), image_.MemoryBytes(2));
  EXPECT_LT(image_.MemoryBytes(1), alone * 6 / 10);
  EXPECT_EQ(image_.MemoryBytes(3), 0u);
}

TEST_F(ImageTest, ASlotIsNotGivenAwayWhileItHasAGroup) {
  ASSERT_TRUE(
      image_.Apply({.added = {{1, AllowList({"/a"})}}, .removed = {}, .groups = {{1, {1}}}}));
  const uint32_t slot = image_.SlotOf(1);
  image_.ReleaseSlot(1);
  image_.Reclaim(image_.generation());
  EXPECT_NE(image_.SlotOf(2), slot);
  EXPECT_EQ(Matching(2, "/b"), Ids{});
  ASSERT_TRUE(image_.Apply({.added = {}, .removed = {1}, .groups = {{1, {}}}}));
  EXPECT_EQ(Read().Gate(slot, GH_HOOK_BPRM_CREDS_FOR_EXEC), nullptr);
  image_.Reclaim(image_.generation());
  EXPECT_EQ(image_.SlotOf(3), slot);
}

TEST_F(ImageTest, AWorkloadMentionedAgainFindsItsGroup) {
  ASSERT_TRUE(
      image_.Apply({.added = {{1, AllowList({"/a"})}}, .removed = {}, .groups = {{1, {1}}}}));
  image_.ReleaseSlot(1);
  EXPECT_EQ(Matching(1, "/b"), Ids{1});
  ASSERT_TRUE(image_.Apply({.added = {}, .removed = {1}, .groups = {{1, {}}}}));
  image_.Reclaim(image_.generation());
  EXPECT_EQ(image_.sizes().workloads, 1u);
}

// Slots of several chunks; a change writes those anew that it is about.
TEST_F(ImageTest, GroupsOfManyWorkloads) {
  constexpr bind::WorkloadId kWorkloads = 3 * GH_CHUNK_SLOTS;
  bind::Delta all{
      .added = {{1, AllowList({"/a"})}, {2, AllowList({"/b"})}}, .removed = {}, .groups = {}};
  for (bind::WorkloadId id = 0; id < kWorkloads; ++id) all.groups.emplace_back(id, Ids{1});
  ASSERT_TRUE(image_.Apply(all));
  const gh_root before = Read().root();
  const bind::WorkloadId changed = kWorkloads / 2;
  ASSERT_TRUE(image_.Apply({.added = {}, .removed = {}, .groups = {{changed, {1, 2}}}}));
  const gh_root after = Read().root();
  for (bind::WorkloadId id = 0; id < kWorkloads; ++id) {
    EXPECT_EQ(Matching(id, "/a"), id == changed ? Ids{2} : Ids{}) << id;
  }
  EXPECT_EQ(Matching(kWorkloads, "/b"), Ids{});
  uint32_t rewritten = 0;
  for (uint32_t chunk = 0; chunk < after.n_chunks; ++chunk) {
    rewritten += memory_.words()[before.chunks + chunk] != memory_.words()[after.chunks + chunk];
  }
  EXPECT_EQ(rewritten, 1u);
}

TEST_F(ImageTest, AWorkloadWithoutGroupTakesNoSlot) {
  ASSERT_TRUE(image_.Apply({.added = {}, .removed = {}, .groups = {{1, {}}, {2, {}}}}));
  EXPECT_EQ(image_.sizes().workloads, 0u);
}

// What the last workload of a group leaves, another one enters in the same change.
TEST_F(ImageTest, WorkloadsExchangeGroups) {
  ASSERT_TRUE(image_.Apply({.added = {{1, AllowList({"/a"})}, {2, AllowList({"/b"})}},
                            .removed = {},
                            .groups = {{1, {1}}, {2, {2}}}}));
  ASSERT_TRUE(image_.Apply({.added = {}, .removed = {}, .groups = {{1, {2}}, {2, {1}}}}));
  image_.Reclaim(image_.generation());
  EXPECT_EQ(image_.sizes().groups, 2u);
  EXPECT_EQ(Matching(1, "/a"), Ids{2});
  EXPECT_EQ(Matching(2, "/b"), Ids{1});
}

/// Policies, and which of them are about which workload.
class Model {
 public:
  explicit Model(uint32_t seed) : random_(seed) {}

  static std::string Path(size_t number) { return "/bin/" + std::to_string(number); }
  std::string AnyPath() { return Path(Below(500)); }
  size_t AnyWorkload() { return Below(groups_.size()); }
  bind::InstanceId AnyPolicy() {
    return std::next(allowed_.begin(), static_cast<ptrdiff_t>(Below(allowed_.size())))->first;
  }
  bool OneIn(size_t n) { return Below(n) == 0; }

  /// A change of up to two policies less, two more, and six workloads with other ones.
  bind::Delta Change(const std::function<ProgramPtr(const std::vector<std::string>&)>& program) {
    bind::Delta delta;
    std::set<size_t> changed;
    for (size_t i = Below(3); i > 0 && !allowed_.empty(); --i) {
      Remove(AnyPolicy(), delta, changed);
    }
    for (size_t i = Below(3); i > 0 && allowed_.size() < 20; --i) {
      std::vector<std::string>& values = allowed_[next_];
      for (size_t n = Below(60); n > 0; --n) values.push_back(AnyPath());
      delta.added.emplace_back(next_++, program(values));
    }
    for (size_t i = Below(7); i > 0; --i) {
      const size_t workload = AnyWorkload();
      std::set<bind::InstanceId> group;
      for (size_t n = Below(4); n > 0 && !allowed_.empty(); --n) {
        group.insert(AnyPolicy());
      }
      groups_[workload] = group;
      changed.insert(workload);
    }
    PutGroups(changed, delta);
    return delta;
  }
  bind::Delta RemoveAll() {
    bind::Delta delta;
    std::set<size_t> changed;
    while (!allowed_.empty()) Remove(allowed_.begin()->first, delta, changed);
    PutGroups(changed, delta);
    return delta;
  }
  [[nodiscard]] Ids Denying(size_t workload, const std::string& path) const {
    Ids ids;
    for (const bind::InstanceId id : groups_[workload]) {
      if (std::ranges::count(allowed_.at(id), path) == 0) ids.push_back(id);
    }
    return ids;
  }

 private:
  size_t Below(size_t n) { return random_() % n; }
  void Remove(bind::InstanceId id, bind::Delta& delta, std::set<size_t>& changed) {
    delta.removed.push_back(id);
    allowed_.erase(id);
    for (size_t workload = 0; workload < groups_.size(); ++workload) {
      if (groups_[workload].erase(id) > 0) changed.insert(workload);
    }
  }
  void PutGroups(const std::set<size_t>& changed, bind::Delta& delta) const {
    for (const size_t workload : changed) {
      const std::set<bind::InstanceId>& group = groups_[workload];
      delta.groups.emplace_back(workload + 1, Ids(group.begin(), group.end()));
    }
  }

  std::mt19937 random_;
  std::map<bind::InstanceId, std::vector<std::string>> allowed_;
  std::vector<std::set<bind::InstanceId>> groups_{40};
  bind::InstanceId next_ = 1;
};

// Thousands of random changes against a model: what each workload's policies deny, and that nothing
// is left over when all is gone.
TEST_F(ImageTest, StaysTrueThroughRandomChangesAndLeavesNothingBehind) {
  image_.Reclaim(image_.generation());
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Model model(seed);
  const auto program = [&](const std::vector<std::string>& values) { return AllowList(values); };
  for (int round = 0; round < 3000; ++round) {
    ASSERT_TRUE(image_.Apply(model.Change(program)));
    if (model.OneIn(3)) image_.Reclaim(image_.generation());
    for (int check = 0; check < 10; ++check) {
      const size_t asked = model.AnyWorkload();
      const std::string path = model.AnyPath();
      ASSERT_EQ(Matching(static_cast<bind::WorkloadId>(asked + 1), path),
                model.Denying(asked, path))
          << path << " in workload " << asked;
    }
  }
  ASSERT_TRUE(image_.Apply(model.RemoveAll()));
  image_.Reclaim(image_.generation());
  EXPECT_EQ(image_.sizes().instances, 0u);
  EXPECT_EQ(image_.sizes().groups, 0u);
  EXPECT_EQ(image_.sizes().sets, 0u);
  ASSERT_TRUE(image_.Apply({}));  // collects what the last programs' end made idle
  image_.Reclaim(image_.generation());
  EXPECT_EQ(image_.sizes().strings, 0u);
}

}  // namespace
}  // namespace gatehouse::compile
