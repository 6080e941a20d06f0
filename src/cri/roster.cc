// SPDX-License-Identifier: Apache-2.0
#include "cri/roster.h"

#include <utility>

namespace gatehouse::cri {

void Roster::Complete() {
  if (std::exchange(telling_, true)) return;
  std::vector<workload::ContainerFacts> all;
  all.reserve(known_.size());
  for (const auto& [id, facts] : known_) all.push_back(facts);
  consumer_.Synced(std::move(all));
}

void Roster::Put(workload::ContainerFacts facts) {
  workload::ContainerFacts& known = known_[facts.id];
  if (known == facts) return;
  known = std::move(facts);
  if (telling_) consumer_.Put(known);
}

void Roster::Remove(const std::string& id) {
  const auto found = known_.find(id);
  if (found == known_.end()) return;
  const std::string removed = found->first;  // `id` may be what is erased
  known_.erase(found);
  if (telling_) consumer_.Remove(removed);
}

}  // namespace gatehouse::cri
