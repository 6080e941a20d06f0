// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "policy/model.h"

namespace gatehouse::compile {

/// A value that a path leads to on a hook, for all policies that ask for it there.
struct ResolvedValue {
  uint8_t subject = GH_SUBJECT_RESOLVED_0;  ///< enum gh_subject: its number on the hook
  uint8_t from = 0;                         ///< see gh_chain
  policy::Chain chain = {};  ///< empty: no kernel has been asked, and none can take it
};
using ResolvedValuePtr = std::shared_ptr<const ResolvedValue>;

/// What tells one such value from another, beside how it is read.
struct ResolvedKey {
  policy::Site site;  ///< before the function
  uint8_t from = 0;
  std::string text = {}, type = {}, module = {};  ///< see policy::Resolution
  policy::ArgumentType read_as = policy::ArgumentType::kNop;
  policy::Chain chain = {};  ///< a module's may change
  auto operator<=>(const ResolvedKey&) const = default;
};

/// Gives each value a number that no other has on its hook, as long as anyone holds it: so policies
/// that come and go share one program, and rules name the value whatever the group. Not
/// thread-safe: belongs to the control thread.
class ResolvedValues {
 public:
  /// Errors (kRefused): the hook has GH_RESOLVED_MAX others.
  [[nodiscard]] Result<ResolvedValuePtr> Intern(const ResolvedKey& key);

 private:
  struct Slot {
    ResolvedKey key;
    std::weak_ptr<const ResolvedValue> value;
  };
  std::map<policy::Site, std::array<Slot, GH_RESOLVED_MAX>> hooks_;
};

}  // namespace gatehouse::compile
