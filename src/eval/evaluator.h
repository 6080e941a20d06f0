// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "policy/model.h"
#include "workload/registry.h"

/// The semantics written as code: slow, obvious, complete. It answers "what would happen, and why?"
/// for `gatehouse explain`, and is what the compiled image is tested against; so it shares nothing
/// with compile/ and bind/ but the model. Pure functions; any thread.
namespace gatehouse::eval {

/// A document, and what was set for it at run time.
struct Policy {
  const policy::Document* document = nullptr;
  bool enabled = true;
  std::optional<policy::Mode> mode;
  bool for_node = true;  ///< its nodeSelector matches
};

/// What is known of a socket, a packet or an address of one, by gh_field: numbers, and addresses as
/// text. What is not there, it has not, and no filter on it holds.
using Socket = std::map<uint32_t, std::variant<std::string, uint64_t>>;

/// Several numbers, of which one in a set is enough: ids of a process and of its ancestors.
using Numbers = std::vector<uint64_t>;
/// Several texts, likewise: programs that a process descends from.
using Texts = std::vector<std::string>;

/// A value of an operation: a text, a number (64 bits, extended by its sign), several of either, a
/// socket, or nothing if it cannot be read.
using Value = std::variant<std::monostate, std::string, uint64_t, Numbers, Texts, Socket>;

/// What enforcers of a policy are to do to a thread.
struct Notification {
  int32_t error = 0;   ///< a negative errno; 0: none
  int32_t signal = 0;  ///< 0: none
  bool operator==(const Notification&) const = default;
};
/// Of one thread, by policy (of merged bindings: the first).
using Notifications = std::map<policy::Key, Notification>;

/// An operation to be judged. What is absent cannot be read.
struct Operation {
  policy::Site site;
  /// By gh_subject: arguments (of a file: its path), what is returned, facts about the process.
  std::map<uint32_t, Value> values;
  std::optional<std::string> binary;  ///< the program that acts
  /// By gh_subject: of files, their types as st_mode has them, without the zeros behind.
  std::map<uint32_t, uint64_t> file_types = {};
  /// By gh_subject: of files, all names that they have, as `MAJOR:MINOR:INODE` too.
  std::map<uint32_t, Texts> file_names = {};
  Notifications notified = {};  ///< of the thread that acts, from what it did before
};

/// Whether a policy has a say about the workload.
enum class Standing {
  kApplies,
  kMerged,    ///< a binding that applies together with others, see PolicyVerdict::members
  kNotAbout,  ///< its selector does not match the workload
  kDisabled,
  kNoTemplate,  ///< a binding without template, or with a disabled one
  kBadValues,   ///< a binding whose values do not fit the template's variables
  kConflict,    ///< a binding that conflicts with others of its template on this workload
  kOverridden,  ///< a binding with another of higher priority on this workload
};

/// One filter on the operation.
struct FilterVerdict {
  const policy::Filter* filter = nullptr;
  bool readable = true;
  bool holds = false;
};

/// One selector on the operation: all its filters, up to the first that does not hold.
struct SelectorVerdict {
  uint16_t index = 0;
  bool matches = false;
  bool for_workload = true;  ///< else its matchWorkloads names others, and it does not match
  std::vector<FilterVerdict> filters;
};

/// What arguments of a static probe are set to, by their positions in the probe.
using Sets = std::map<uint32_t, uint32_t>;

/// One hook of a policy on the operation; the selectors up to the first that matches.
struct HookVerdict {
  uint16_t hook_index = 0;
  std::vector<SelectorVerdict> selectors;
  std::optional<uint16_t> decided_by;  ///< index of the selector that acts
  // What that selector asks for:
  bool posts = false;
  int32_t error = 0;             ///< negative errno; 0: no Override
  std::vector<int32_t> signals;  ///< as written
  Sets sets;
  std::optional<Notification> notifies;
  bool cleans_up = false;  ///< nothing is noted of the thread any more
};

/// One policy, or the bindings merged into one, on the operation.
struct PolicyVerdict {
  policy::Key key;                   ///< of merged bindings: of the first
  std::vector<policy::Key> members;  ///< the policy itself; all merged bindings, by key
  std::string template_name;         ///< of a binding
  Standing standing = Standing::kNotAbout;
  std::string reason;  ///< a sentence for people: why it stands so
  policy::Mode mode = policy::Mode::kEnforce;
  std::vector<HookVerdict> hooks;     ///< of the operation's site; empty unless it applies
  std::optional<Notification> noted;  ///< what is noted of the thread from then on
};

/// Something a policy wants to be known.
struct Post {
  policy::Key key;
  std::vector<policy::Key> members;
  uint16_t hook_index = 0;
  uint16_t selector = 0;
  bool monitor = false;  ///< the actions below are reported, not done
  int32_t error = 0;
  std::vector<int32_t> signals;
};

/// What happens to the operation.
struct Verdict {
  int32_t error = 0;  ///< negative errno; 0: allowed
  std::optional<policy::Key> denied_by;
  std::vector<int32_t> signals;  ///< sent, ascending, distinct
  Sets sets;
  Notifications notified;               ///< of the thread, from then on
  std::vector<Post> posts;              ///< in the order of the policies
  std::vector<PolicyVerdict> policies;  ///< every policy and binding, by key: the reasons
};

/// Judges `operation` by a process in `workload` (null: the host).
[[nodiscard]] Verdict Evaluate(std::span<const Policy> policies, const workload::Workload* workload,
                               const Operation& operation);

[[nodiscard]] const char* StandingName(Standing standing);

}  // namespace gatehouse::eval
