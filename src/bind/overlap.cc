// SPDX-License-Identifier: Apache-2.0
#include "bind/overlap.h"

#include <algorithm>
#include <iterator>

namespace gatehouse::bind {

Overlap ResolveOverlap(const std::vector<const Record*>& candidates) {
  const bool all_merge = std::ranges::all_of(
      candidates, [](const Record* r) { return r->on_overlap == policy::OnOverlap::kMerge; });
  Overlap overlap;
  if (candidates.size() == 1 || all_merge) {
    overlap.applied = candidates;
    return overlap;
  }

  const bool all_allow =
      std::ranges::all_of(candidates, [](const Record* r) { return r->override_allowed; });
  const Record* top = *std::ranges::max_element(candidates, [](const Record* a, const Record* b) {
    return a->override_priority < b->override_priority;
  });
  const auto at_top = std::count_if(candidates.begin(), candidates.end(), [&](const Record* r) {
    return r->override_priority == top->override_priority;
  });
  if (!all_allow || at_top > 1) {
    overlap.conflicting = candidates;
    overlap.reason = all_allow ? "several have the highest overridePriority"
                               : "not all of them have overrideAllowed: true";
    return overlap;
  }
  overlap.applied = {top};
  std::ranges::copy_if(candidates, std::back_inserter(overlap.overridden),
                       [&](const Record* r) { return r != top; });
  return overlap;
}

}  // namespace gatehouse::bind
