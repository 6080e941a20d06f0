// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "abi/gatehouse.h"
#include "policy/model.h"

/// What the language names, as tables: an argument type, an operator or an action is one row. A row
/// without a value is known and not supported yet; it is refused by name. Names are facts of the
/// TracingPolicy language.
namespace gatehouse::policy {

/// A name of the language, an alias (or ""), and what it stands for; nullopt: not supported yet.
template <typename Value>
struct NameRow {
  std::string_view name;
  std::string_view alias;
  std::optional<Value> value;
};

/// What values of a filter look like, and so which checks they get.
enum class ValueKind {
  kPath,        ///< absolute, resolved path of a file, at most GH_PATH_MAX - 1 bytes
  kString,      ///< any text of at most GH_PATH_MAX - 1 bytes
  kNumber,      ///< decimal, or hexadecimal with 0x; with InRange and InMap also `first:last`
  kCapability,  ///< as kNumber, or `CAP_SYS_ADMIN`
};
[[nodiscard]] constexpr bool IsNumber(ValueKind values) { return values >= ValueKind::kNumber; }

/// How an operator searches its values.
struct OperatorTraits {
  gh_match match = GH_MATCH_EXACT;
  bool negated = false;
};

struct ArgumentTypeTraits {
  ValueKind values = ValueKind::kPath;
  std::span<const Operator> operators;  ///< that apply to it
  gh_read read = GH_READ_NUMBER;
  uint8_t bytes = 0;  ///< of a number
  bool is_signed = false;
};

/// The hooks of executions. Backend signal has one place for both.
extern const Site kCredsForExec;  ///< lsmhooks bprm_creds_for_exec, once for each execve
extern const Site kBprmCheck;     ///< lsmhooks bprm_check_security, once for each format step

[[nodiscard]] inline bool IsOfExec(const Site& site) {
  return site == kCredsForExec || site == kBprmCheck;
}

/// The place that a hook names.
[[nodiscard]] Site SiteOf(HookKind kind, std::string_view call);

[[nodiscard]] std::span<const NameRow<Operator>> Operators();
/// How `op` searches values of a kind that it applies to: Equal and In search texts exactly, and
/// numbers as ranges.
[[nodiscard]] OperatorTraits TraitsOf(Operator op, ValueKind values);
/// Whether a value may be a range: `first:last`.
[[nodiscard]] bool TakesRanges(Operator op);

[[nodiscard]] std::span<const NameRow<ArgumentType>> ArgumentTypes();
[[nodiscard]] ArgumentTypeTraits TraitsOf(ArgumentType type);
/// What the values of matchBinaries are compared with: the path of a program.
inline constexpr ArgumentType kBinaryType = ArgumentType::kLinuxBinprm;

/// The kernel's numbers of capabilities.
[[nodiscard]] std::span<const NameRow<int32_t>> Capabilities();

[[nodiscard]] std::span<const NameRow<ActionKind>> Actions();
[[nodiscard]] std::span<const NameRow<LabelOperator>> LabelOperators();
[[nodiscard]] std::span<const NameRow<Mode>> Modes();
[[nodiscard]] std::span<const NameRow<OnOverlap>> OnOverlaps();

/// What an entry of `options` is for.
enum class Option {
  kPolicyMode,
  kNoEffect,  ///< tells another implementation how to attach; means nothing here
};
[[nodiscard]] std::span<const NameRow<Option>> Options();

}  // namespace gatehouse::policy
