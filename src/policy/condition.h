// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "policy/intervals.h"
#include "policy/model.h"

/// Conditions on the arguments of a hook that are numbers, in the form that filters have.
namespace gatehouse::policy {

/// Filters that must hold together.
using Alternative = std::vector<Filter>;

/// A condition on the bits of an argument: some of `mask` are in it, or none.
struct Masked {
  uint32_t argument = 0;  ///< its position in args
  uint64_t mask = 0;
  bool some = true;
};

/// What must hold together: at most one set for each argument, by its position in args.
struct Conjunct {
  std::map<uint32_t, Intervals> ranges = {};
  std::vector<Masked> masks = {};
};
/// Of which one must hold; none: it never does.
using Disjunction = std::vector<Conjunct>;

/// Both where it holds and where it does not, so that a negation is no work. An argument that
/// cannot be read is in neither.
struct Condition {
  Disjunction holds, fails;
};

[[nodiscard]] Condition Constant(bool holds);
[[nodiscard]] Condition InSet(uint32_t argument, const Intervals& set);
/// Whether an argument of `bits` bits has some of the bits of `mask`.
[[nodiscard]] Condition HasBits(uint32_t argument, unsigned bits, uint64_t mask);
[[nodiscard]] Condition Not(Condition condition);
[[nodiscard]] Condition And(const Condition& a, const Condition& b);
[[nodiscard]] Condition Or(const Condition& a, const Condition& b);

/// The filters that a conjunct is, on arguments of `hook`.
[[nodiscard]] Alternative FiltersOf(const Conjunct& conjunct, const Hook& hook, Position position);

}  // namespace gatehouse::policy
