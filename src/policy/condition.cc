// SPDX-License-Identifier: Apache-2.0
#include "policy/condition.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

Disjunction Either(Disjunction a, const Disjunction& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Nothing, if they exclude each other.
std::optional<Conjunct> Both(Conjunct a, const Conjunct& b) {
  for (const auto& [argument, set] : b.ranges) {
    const auto [known, is_new] = a.ranges.emplace(argument, set);
    if (!is_new) known->second = known->second.And(set);
    if (known->second.empty()) return std::nullopt;
  }
  a.masks.insert(a.masks.end(), b.masks.begin(), b.masks.end());
  return a;
}

Disjunction Both(const Disjunction& a, const Disjunction& b) {
  Disjunction both;
  for (const Conjunct& one : a) {
    for (const Conjunct& other : b) {
      if (auto conjunct = Both(one, other)) both.push_back(std::move(*conjunct));
    }
  }
  return both;
}

/// `first:last`, as values of an argument of this type are written.
std::vector<std::string> Written(const Intervals& set, bool is_signed) {
  std::vector<std::string> texts;
  const uint64_t half = uint64_t{1} << (set.bits() - 1);
  const uint64_t above = set.bits() == 64 ? 0 : UINT64_MAX << set.bits();
  const Intervals negative = Intervals::Between(set.bits(), half, half - 1 + half);
  if (!is_signed) {
    for (const auto& [first, last] : set.list()) texts.push_back(fmt::format("{}:{}", first, last));
    return texts;
  }
  const Intervals below = set.And(negative), rest = set.And(negative.Not());
  for (const auto& [first, last] : below.list()) {
    texts.push_back(fmt::format("{}:{}", static_cast<int64_t>(first | above),
                                static_cast<int64_t>(last | above)));
  }
  for (const auto& [first, last] : rest.list()) {
    texts.push_back(fmt::format("{}:{}", first, last));
  }
  return texts;
}

}  // namespace

Condition Not(Condition condition) {
  return {std::move(condition.fails), std::move(condition.holds)};
}

Condition And(const Condition& a, const Condition& b) {
  return {Both(a.holds, b.holds), Either(a.fails, b.fails)};
}

Condition Or(const Condition& a, const Condition& b) { return Not(And(Not(a), Not(b))); }

Condition Constant(bool holds) {
  Condition condition{{Conjunct{}}, {}};
  return holds ? condition : Not(std::move(condition));
}

Condition InSet(uint32_t argument, const Intervals& set) {
  const auto alone = [&](const Intervals& intervals) -> Disjunction {
    if (intervals.empty()) return {};
    return {Conjunct{.ranges = {{argument, intervals}}}};
  };
  return {alone(set), alone(set.Not())};
}

Condition HasBits(uint32_t argument, unsigned bits, uint64_t mask) {
  const auto with = [&](bool some) -> Disjunction {
    // What cannot be read has neither, and is not in the set of all numbers.
    return {
        Conjunct{.ranges = {{argument, Intervals::All(bits)}}, .masks = {{argument, mask, some}}}};
  };
  return {with(true), with(false)};
}

Alternative FiltersOf(const Conjunct& conjunct, const Hook& hook, Position position) {
  Alternative filters;
  const auto add = [&](uint32_t argument, Operator op, std::vector<std::string> values) {
    filters.push_back({.subject = Subject::kArgument,
                       .which = argument,
                       .op = op,
                       .values = {std::move(values), {}, position},
                       .position = position});
  };
  for (const auto& [argument, set] : conjunct.ranges) {
    const bool is_signed = TraitsOf(hook.arguments[argument].type).is_signed;
    add(argument, Operator::kInRange, Written(set, is_signed));
  }
  for (const Masked& masked : conjunct.masks) {
    add(masked.argument, masked.some ? Operator::kMask : Operator::kNotMask,
        {fmt::format("{:#x}", masked.mask)});
  }
  return filters;
}

}  // namespace gatehouse::policy
