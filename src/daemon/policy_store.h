// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/model.h"

namespace gatehouse::daemon {

/// A text in the least memory: compressed by zlib where that is less. Of ten thousand policies most
/// of the agent's memory would be their texts, which are hardly ever read.
class PackedText {
 public:
  PackedText() = default;
  explicit PackedText(std::string_view text);

  [[nodiscard]] std::string Unpack() const;
  /// What it takes, without the object itself.
  [[nodiscard]] size_t bytes() const { return packed_.size(); }

 private:
  std::string packed_;
  size_t size_ = 0;  ///< of the text; packed_ has the same size if it is not compressed
};

/// A document that is in force, as text: the parsed form is not kept.
struct StoredPolicy {
  PackedText text;
  std::string_view origin;  ///< path of the policy file; "": over the API. The store's, once put
  std::chrono::system_clock::time_point changed;
};

/// The texts of all policies, by key and by file. Not thread-safe: belongs to the agent's lock.
class PolicyStore {
 public:
  PolicyStore() = default;
  PolicyStore(const PolicyStore&) = delete;
  PolicyStore& operator=(const PolicyStore&) = delete;

  /// Null if there is none; valid until the next change.
  [[nodiscard]] const StoredPolicy* Find(const policy::Key& key) const;
  /// The keys that came from a file.
  [[nodiscard]] std::vector<policy::Key> KeysOf(std::string_view origin) const;
  /// Keeps a copy of the origin.
  void Put(const policy::Key& key, StoredPolicy policy);
  void Remove(const policy::Key& key);

 private:
  struct ByKey {
    bool operator()(const policy::Key* a, const policy::Key* b) const { return *a < *b; }
  };
  using Keys = std::set<const policy::Key*, ByKey>;  // those in policies_

  std::map<policy::Key, StoredPolicy> policies_;
  std::map<std::string, Keys, std::less<>> by_file_;  // without those of the API
};

}  // namespace gatehouse::daemon
