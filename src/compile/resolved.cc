// SPDX-License-Identifier: Apache-2.0
#include "compile/resolved.h"

#include <algorithm>

#include "policy/sites.h"

namespace gatehouse::compile {

Result<ResolvedValuePtr> ResolvedValues::Intern(const ResolvedKey& key) {
  std::array<Slot, GH_RESOLVED_MAX>& slots = hooks_[key.site];
  for (const Slot& slot : slots) {
    if (slot.key != key) continue;
    if (ResolvedValuePtr value = slot.value.lock()) return value;
  }
  const auto free =
      std::ranges::find_if(slots, [](const Slot& slot) { return slot.value.expired(); });
  if (free == slots.end()) {
    return Fail(ErrorCode::kRefused, policy::NameOf(key.site),
                "all policies together ask for more than " + std::to_string(int{GH_RESOLVED_MAX}) +
                    " different values by resolve",
                "ask for fewer of them, or on another hook");
  }
  const auto number = GH_SUBJECT_RESOLVED_0 + (free - slots.begin());
  auto value = std::make_shared<const ResolvedValue>(
      ResolvedValue{static_cast<uint8_t>(number), key.from, key.chain});
  *free = {key, value};
  return value;
}

}  // namespace gatehouse::compile
