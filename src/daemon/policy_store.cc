// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_store.h"

#include <utility>

namespace gatehouse::daemon {

const StoredPolicy* PolicyStore::Find(const policy::Key& key) const {
  const auto found = policies_.find(key);
  return found == policies_.end() ? nullptr : &found->second;
}

std::vector<policy::Key> PolicyStore::KeysOf(const std::string& origin) const {
  const auto file = by_file_.find(origin);
  if (file == by_file_.end()) return {};
  return {file->second.begin(), file->second.end()};
}

void PolicyStore::Put(const policy::Key& key, StoredPolicy policy) {
  Remove(key);
  if (!policy.origin.empty()) by_file_[policy.origin].insert(key);
  policy.text.shrink_to_fit();
  policies_.emplace(key, std::move(policy));
}

void PolicyStore::Remove(const policy::Key& key) {
  const auto found = policies_.find(key);
  if (found == policies_.end()) return;
  if (const auto file = by_file_.find(found->second.origin); file != by_file_.end()) {
    file->second.erase(key);
    if (file->second.empty()) by_file_.erase(file);
  }
  policies_.erase(found);
}

}  // namespace gatehouse::daemon
