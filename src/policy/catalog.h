// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "abi/gatehouse.h"
#include "policy/model.h"

/// What the language names, as tables: a hook, an argument type, an operator or an action is one
/// row. A row without a value is known and not supported yet; it is refused by name. Names are
/// facts of the TracingPolicy language.
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
  kPath,  ///< absolute, resolved path of a file, at most GH_PATH_MAX - 1 bytes
};

/// How an operator searches its values.
struct OperatorTraits {
  gh_match match = GH_MATCH_EXACT;
  bool negated = false;
};

struct ArgumentTypeTraits {
  ValueKind values = ValueKind::kPath;
  std::span<const Operator> operators;  ///< that apply to it
};

/// A parameter of a hook's kernel function that a policy can name.
struct HookArgument {
  uint32_t index = 0;
  ArgumentType type = ArgumentType::kLinuxBinprm;
  gh_subject subject = GH_SUBJECT_OBJECT;
};

/// One hook of the kernel with its spelling in each section.
struct HookRow {
  gh_hook hook = GH_HOOK_COUNT;
  std::string_view kprobe;  ///< `call` in kprobes
  std::string_view lsm;     ///< `hook` in lsmhooks
  std::span<const HookArgument> arguments;

  [[nodiscard]] std::string_view Spelling(HookKind kind) const {
    return kind == HookKind::kKprobe ? kprobe : lsm;
  }
};

[[nodiscard]] std::span<const HookRow> Hooks();
/// The hook written `call` in the section of `kind`; nullptr if there is none.
[[nodiscard]] const HookRow* FindHook(HookKind kind, std::string_view call);

[[nodiscard]] std::span<const NameRow<Operator>> Operators();
[[nodiscard]] OperatorTraits TraitsOf(Operator op);

[[nodiscard]] std::span<const NameRow<ArgumentType>> ArgumentTypes();
[[nodiscard]] ArgumentTypeTraits TraitsOf(ArgumentType type);
/// The operators of matchBinaries; its values are paths.
[[nodiscard]] std::span<const Operator> BinaryOperators();

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
