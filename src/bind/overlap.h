// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "bind/record.h"

namespace gatehouse::bind {

/// What becomes of the bindings of one template that are all candidates on one workload.
struct Overlap {
  std::vector<const Record*> applied;      ///< none, one, or several to be merged; by key
  std::vector<const Record*> conflicting;  ///< kept out, with an error
  std::vector<const Record*> overridden;   ///< kept out, as asked
  std::string_view reason;                 ///< of the conflict: a clause
};

/// The rule. It looks at the whole set, so that no order of arrival can matter:
///  1. A single binding is applied.
///  2. If all say `onOverlap: Merge`, all are applied as one instance with the union of the values.
///  3. Otherwise they conflict, also those that would merge with each other. If one of them has
///     `overrideAllowed: false`, none is applied.
///  4. If all allow it, the one with the highest `overridePriority` is applied and overrides the
///     others. If several share the highest priority, none is applied, not even of those below.
/// `candidates`: at least one, by key.
[[nodiscard]] Overlap ResolveOverlap(const std::vector<const Record*>& candidates);

}  // namespace gatehouse::bind
