// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <memory>
#include <vector>

#include "abi/gatehouse.h"
#include "compile/resolved.h"
#include "compile/strings.h"
#include "policy/model.h"

namespace gatehouse::compile {

/// One comparison, ready for the kernel.
struct Filter {
  uint8_t subject = GH_SUBJECT_ARGUMENT_0;  ///< enum gh_subject
  gh_field field = GH_FIELD_WHOLE;          ///< of the subject
  gh_match match = GH_MATCH_EXACT;
  bool negated = false;
  uint8_t other = 0;  ///< enum gh_subject, of GH_MATCH_GAINED
  ValueSetPtr set;
};

/// One selector: if all filters hold, its actions are the policy's verdict on the operation.
struct Rule {
  std::vector<Filter> filters;
  uint16_t index = 0;       ///< position of the selector on its hook, as written
  uint16_t actions = 0;     ///< gh_action bits; 0: matched and nothing to do (NoPost alone)
  int16_t error = 0;        ///< negative errno, with GH_ACTION_OVERRIDE, GH_ACTION_NOTIFY
  uint8_t signal = 0;       ///< with GH_ACTION_SIGNAL, GH_ACTION_NOTIFY
  uint32_t interval_s = 0;  ///< of GH_ACTION_POST: see gh_rule
  uint8_t stacks = 0;       ///< of GH_ACTION_POST: GH_RULE_STACKS that events tell
  bool hash = false;        ///< of GH_ACTION_POST: events tell the hash of the file
  uint8_t set_subject = 0;  ///< with GH_ACTION_SET: the argument
  uint32_t set_to = 0;      ///< with GH_ACTION_SET
  uint8_t scope = 0;        ///< of the interval: GH_RULE_PER_THREAD, GH_RULE_PER_PROCESS or 0
  bool counted = true;      ///< false: the selector acts, and is counted, in another HookProgram
  /// See GH_RULE_ENFORCER; the actions are those that rules of the policy may notify it of.
  bool enforcer = false;
};

/// A value that rules look at or that events tell: see struct gh_input.
struct Input {
  uint8_t subject = GH_SUBJECT_ARGUMENT_0;
  gh_read read = GH_READ_NUMBER;
  uint8_t bytes = 0;               ///< of a number; of a buffer: the gh_subject that is its length
  bool is_signed = false;          ///< of a number; of a buffer: its length has 32 bits, and a sign
  ResolvedValuePtr resolved = {};  ///< null: it stands where the subject says
  bool whole = false;              ///< of a buffer: see GH_INPUT_WHOLE
  auto operator<=>(const Input&) const = default;
};

using SitePtr = std::shared_ptr<const policy::Site>;

/// How much the program of a hook is made for; each is what those before it are, and more.
enum class Extent {
  kPlain,   ///< without what read_more reads: see gh_is_more
  kMore,    ///< with it
  kHashes,  ///< with a program behind it that tells hashes of files
};

/// What a policy does at one place; the first rule that matches acts. A hook with `return: true`
/// can have two, before the function and at its return.
struct HookProgram {
  SitePtr site;               ///< never null
  uint16_t hook_index = 0;    ///< position of the hook in the policy, as written
  uint32_t shows = 0;         ///< bit per subject that events tell
  std::vector<Input> inputs;  ///< ascending by subject
  std::vector<Rule> rules;

  /// What it asks for.
  [[nodiscard]] Extent extent() const {
    if (TellsHashes()) return Extent::kHashes;
    return ReadsMore() ? Extent::kMore : Extent::kPlain;
  }
  /// True if events of any rule tell the hash of the file.
  [[nodiscard]] bool TellsHashes() const { return std::ranges::any_of(rules, &Rule::hash); }
  /// True if any rule denies with an errno.
  [[nodiscard]] bool Overrides() const {
    return std::ranges::any_of(
        rules, [](const Rule& rule) { return (rule.actions & GH_ACTION_OVERRIDE) != 0; });
  }

 private:
  [[nodiscard]] bool ReadsMore() const {
    return std::ranges::any_of(
               inputs,
               [](const Input& input) { return gh_is_more(input.read, input.subject) != 0; }) ||
           std::ranges::any_of(rules, [](const Rule& rule) {
             return std::ranges::find(rule.filters, GH_MATCH_PATTERN, &Filter::match) !=
                    rule.filters.end();
           });
  }
};

/// A policy with all its values, independent of workloads. Immutable, shared.
struct Program {
  bool monitor = false;
  std::vector<HookProgram> hooks;

  /// True if any rule notes whose a socket is.
  [[nodiscard]] bool TracksSockets() const {
    return std::ranges::any_of(hooks, [](const HookProgram& hook) {
      return std::ranges::any_of(
          hook.rules, [](const Rule& rule) { return (rule.actions & GH_ACTION_TRACK_SOCK) != 0; });
    });
  }
};

using ProgramPtr = std::shared_ptr<const Program>;

}  // namespace gatehouse::compile
