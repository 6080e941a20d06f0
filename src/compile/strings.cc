// SPDX-License-Identifier: Apache-2.0
#include "compile/strings.h"

#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "glob/automaton.h"

namespace gatehouse::compile {
namespace {

std::string Reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

void SortDistinct(std::vector<StringId>& ids) {
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
}

/// Drops each string that has another one of them as its head. Sorted, a head comes right before
/// all that it covers.
void DropCovered(std::vector<std::string_view>& texts) {
  std::ranges::sort(texts);
  size_t kept = 0;
  for (const std::string_view text : texts) {
    if (kept == 0 || !text.starts_with(texts[kept - 1])) texts[kept++] = text;
  }
  texts.resize(kept);
}

uint64_t ContentHash(gh_match match, const SetContent& content) {
  const std::span ids(content.ids);
  const std::span ranges(content.ranges);
  const std::span addresses(content.addresses);
  uint64_t hash = XXH3_64bits_withSeed(ids.data(), ids.size_bytes(), match);
  hash = XXH3_64bits_withSeed(ranges.data(), ranges.size_bytes(), hash);
  return XXH3_64bits_withSeed(addresses.data(), addresses.size_bytes(), hash);
}

// Ranges of numbers and of addresses, for what is done with both.
__extension__ using Number = unsigned __int128;
constexpr int kBitsOfHalf = 64;

Number FirstOf(const gh_range& range) { return range.first; }
Number LastOf(const gh_range& range) { return range.last; }
Number FirstOf(const gh_address_range& range) {
  return Number{range.first} << kBitsOfHalf | range.first_low;
}
Number LastOf(const gh_address_range& range) {
  return Number{range.last} << kBitsOfHalf | range.last_low;
}
void SetLast(gh_range& range, const gh_range& other) { range.last = other.last; }
void SetLast(gh_address_range& range, const gh_address_range& other) {
  range.last = other.last;
  range.last_low = other.last_low;
}

constexpr auto kSameRange = [](const auto& a, const auto& b) {
  return FirstOf(a) == FirstOf(b) && LastOf(a) == LastOf(b);
};

template <typename Range>
void Join(std::vector<Range>& ranges) {
  std::ranges::sort(ranges, {}, [](const Range& range) { return FirstOf(range); });
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    const bool apart = joined.empty() || (FirstOf(range) > LastOf(joined.back()) &&
                                          FirstOf(range) - LastOf(joined.back()) > 1);
    if (apart) {
      joined.push_back(range);
    } else if (LastOf(range) > LastOf(joined.back())) {
      SetLast(joined.back(), range);
    }
  }
  ranges = std::move(joined);
}

}  // namespace

StringPool::StringPool() : entries_(1) {}  // id 0 is no string

StringId StringPool::Intern(std::string_view text) {
  if (const auto found = by_text_.find(text); found != by_text_.end()) {
    ++entries_[found->second].references;
    return found->second;
  }
  StringId id = id_limit();
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Entry& entry = entries_[id];
  entry = Entry{std::string(text), 1, true};
  by_text_.emplace(entry.text, id);
  added_.push_back(id);
  return id;
}

void StringPool::Retain(StringId id) {
  assert(entries_[id].live);
  ++entries_[id].references;
}

void StringPool::Release(StringId id) {
  assert(entries_[id].references > 0);
  if (--entries_[id].references == 0) idle_.push_back(id);
}

std::string_view StringPool::Text(StringId id) const {
  assert(entries_[id].live);
  return entries_[id].text;
}

std::vector<StringId> StringPool::TakeAdded() {
  std::erase_if(added_, [&](StringId id) { return !entries_[id].live; });
  SortDistinct(added_);
  return std::exchange(added_, {});
}

std::vector<StringId> StringPool::TakeIdle() {
  std::erase_if(idle_,
                [&](StringId id) { return !entries_[id].live || entries_[id].references > 0; });
  SortDistinct(idle_);
  return std::exchange(idle_, {});
}

bool StringPool::Erase(StringId id) {
  Entry& entry = entries_[id];
  assert(entry.live);
  if (entry.references > 0) return false;
  by_text_.erase(entry.text);
  entry = Entry{};
  free_.push_back(id);
  return true;
}

void Normalize(std::vector<gh_range>& ranges) { Join(ranges); }

void Normalize(std::vector<gh_address_range>& ranges) { Join(ranges); }

ValueSet::ValueSet(StringPool& pool, gh_match match, SetContent content)
    : pool_(pool), match_(match), content_(std::move(content)) {
  for (const StringId id : content_.ids) pool_.Retain(id);
}

ValueSet::~ValueSet() {
  for (const StringId id : content_.ids) pool_.Release(id);
}

ValueSetPtr ValueSets::Make(gh_match match, std::span<const std::string_view> values) {
  std::vector<std::string_view> texts(values.begin(), values.end());
  std::vector<std::string> reversed;
  if (match == GH_MATCH_POSTFIX) {
    std::ranges::transform(values, std::back_inserter(reversed), Reversed);
    texts.assign(reversed.begin(), reversed.end());
  }
  if (match != GH_MATCH_EXACT) DropCovered(texts);

  std::vector<StringId> ids;
  ids.reserve(texts.size());
  for (const std::string_view text : texts) ids.push_back(pool_.Intern(text));
  return InternIds(match, std::move(ids));
}

ValueSetPtr ValueSets::MakeNumbers(gh_match match, std::vector<gh_range> ranges) {
  if (match == GH_MATCH_MASK || match == GH_MATCH_GAINED) {
    gh_range mask{};
    for (const gh_range& range : ranges) mask.first |= range.first;
    mask.last = mask.first;
    ranges = {mask};
  } else {
    Normalize(ranges);
  }
  return Intern(match, {.ranges = std::move(ranges)});
}

ValueSetPtr ValueSets::MakeAddresses(std::vector<gh_address_range> ranges) {
  Normalize(ranges);
  return Intern(GH_MATCH_ADDRESS, {.addresses = std::move(ranges)});
}

Result<ValueSetPtr> ValueSets::MakePatterns(std::span<const std::string> patterns) {
  size_t bytes = 0;
  for (const std::string& pattern : patterns) bytes += pattern.size();
  if (bytes > GH_PATTERN_BYTES_MAX) {
    return Fail(ErrorCode::kInvalid, {},
                "the " + std::to_string(patterns.size()) + " patterns together have " +
                    std::to_string(bytes) + " bytes, and at most " +
                    std::to_string(int{GH_PATTERN_BYTES_MAX}) + " are possible",
                "split them over several selectors");
  }
  SetContent content;
  std::vector<glob::Pattern> parsed;
  parsed.reserve(patterns.size());
  for (const std::string& pattern : patterns) {
    GH_ASSIGN(glob::Pattern steps, glob::Parse(pattern));
    parsed.push_back(std::move(steps));
  }
  for (const std::string& pattern : patterns) content.ids.push_back(pool_.Intern(pattern));
  const std::vector<StringId> references = content.ids;
  SortDistinct(content.ids);
  const auto make = [&]() -> Result<ValueSetPtr> {
    const uint64_t hash = ContentHash(GH_MATCH_PATTERN, content);
    if (ValueSetPtr known = Find(hash, GH_MATCH_PATTERN, content)) return known;
    GH_ASSIGN(content.automaton, glob::MakeAutomaton(parsed));
    return Add(hash, GH_MATCH_PATTERN, std::move(content));
  };
  Result<ValueSetPtr> set = make();
  for (const StringId id : references) pool_.Release(id);
  return set;
}

ValueSetPtr ValueSets::Union(std::span<const ValueSetPtr> exact) {
  std::vector<StringId> ids;
  for (const ValueSetPtr& set : exact) {
    assert(set->match() == GH_MATCH_EXACT);
    ids.insert(ids.end(), set->ids().begin(), set->ids().end());
  }
  for (const StringId id : ids) pool_.Retain(id);
  return InternIds(GH_MATCH_EXACT, std::move(ids));
}

std::vector<std::string_view> ValueSets::Views(const ValueSet& exact) const {
  assert(exact.match() == GH_MATCH_EXACT);
  std::vector<std::string_view> texts;
  texts.reserve(exact.ids().size());
  for (const StringId id : exact.ids()) texts.push_back(pool_.Text(id));
  return texts;
}

std::vector<std::string> ValueSets::Texts(const ValueSet& set) const {
  std::vector<std::string> texts;
  texts.reserve(set.ids().size());
  for (const StringId id : set.ids()) {
    const std::string_view text = pool_.Text(id);
    texts.push_back(set.match() == GH_MATCH_POSTFIX ? Reversed(text) : std::string(text));
  }
  return texts;
}

ValueSetPtr ValueSets::InternIds(gh_match match, std::vector<StringId> ids) {
  const std::vector<StringId> references = ids;
  SortDistinct(ids);
  ids.shrink_to_fit();
  ValueSetPtr set = Intern(match, {.ids = std::move(ids)});
  for (const StringId id : references) pool_.Release(id);
  return set;
}

ValueSetPtr ValueSets::Find(uint64_t hash, gh_match match, const SetContent& content) const {
  const auto [first, last] = by_content_.equal_range(hash);
  for (auto candidate = first; candidate != last; ++candidate) {
    const ValueSetPtr other = candidate->second.lock();
    if (other && other->match() == match && std::ranges::equal(other->ids(), content.ids) &&
        std::ranges::equal(other->ranges(), content.ranges, kSameRange) &&
        std::ranges::equal(other->addresses(), content.addresses, kSameRange)) {
      return other;
    }
  }
  return nullptr;
}

ValueSetPtr ValueSets::Intern(gh_match match, SetContent content) {
  const uint64_t hash = ContentHash(match, content);
  if (ValueSetPtr known = Find(hash, match, content)) return known;
  return Add(hash, match, std::move(content));
}

ValueSetPtr ValueSets::Add(uint64_t hash, gh_match match, SetContent content) {
  if (by_content_.size() >= sweep_at_) {
    std::erase_if(by_content_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max(sweep_at_, 2 * by_content_.size());
  }
  auto set = std::make_shared<const ValueSet>(pool_, match, std::move(content));
  by_content_.emplace(hash, set);
  return set;
}

}  // namespace gatehouse::compile
