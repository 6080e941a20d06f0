// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "compile/program.h"
#include "compile/strings.h"
#include "policy/model.h"

/// From what a policy says to what the kernel needs. The lowered forms are small and live long:
/// their values are ids in the string pool, so the parsed documents need not be kept.
namespace gatehouse::compile {

/// What events say about one hook of a policy, as written there.
struct HookInfo {
  policy::HookKind kind = policy::HookKind::kKprobe;
  std::string call;
  std::string message;
  std::vector<std::string> tags;
  std::vector<policy::Argument> arguments;
};

/// By hook_index. Shared by all instances of a spec.
using HookInfos = std::shared_ptr<const std::vector<HookInfo>>;

/// A filter whose values may still be a variable.
struct LoweredFilter {
  gh_subject subject = GH_SUBJECT_OBJECT;
  gh_match match = GH_MATCH_EXACT;
  bool negated = false;
  ValueSetPtr set;        ///< null: the variable stands for the values
  uint32_t variable = 0;  ///< without a set: index into LoweredSpec::variables
};

/// One selector; the fields are those of compile::Rule.
struct LoweredRule {
  std::vector<LoweredFilter> filters;
  uint16_t index = 0;
  uint16_t actions = 0;
  int16_t error = 0;
  uint8_t signal = 0;
};

struct LoweredHook {
  gh_hook hook = GH_HOOK_BPRM_CREDS_FOR_EXEC;
  uint8_t hook_index = 0;
  std::vector<LoweredRule> rules;  ///< never empty
};

/// The spec of a policy (no variables) or a template. Immutable, shared.
struct LoweredSpec {
  policy::Mode mode = policy::Mode::kEnforce;  ///< as written
  std::vector<std::string> variables;          ///< in the order of their declaration
  std::vector<LoweredHook> hooks;
  HookInfos infos;

  /// True if any rule does more than post: denies or sends a signal.
  [[nodiscard]] bool Enforces() const;
};

using LoweredSpecPtr = std::shared_ptr<const LoweredSpec>;

/// Lowers `spec`, whose filters may refer to `variables`. A hook without selectors becomes one rule
/// without filters that posts. A selector posts unless it says NoPost, whatever else it does.
/// Errors (object: the hook's call): a hook that is not known, a filter on an argument that it
/// lacks, more rules or filters than the ABI holds, two different Overrides or two different
/// signals in one selector, a filter on an undeclared variable.
[[nodiscard]] Result<LoweredSpecPtr> Lower(const policy::Spec& spec,
                                           std::span<const policy::Variable> variables,
                                           ValueSets& sets);

/// The exact set of literal values, as Instantiate takes it.
[[nodiscard]] ValueSetPtr LowerValues(const policy::Values& values, ValueSets& sets);

/// `spec` with `values` in the place of its variables: exact sets, one for each of spec.variables
/// in that order. Errors: a number of values other than that of variables, a null one, a set of
/// more values than the ABI holds.
[[nodiscard]] Result<ProgramPtr> Instantiate(const LoweredSpec& spec,
                                             std::span<const ValueSetPtr> values, policy::Mode mode,
                                             ValueSets& sets);

}  // namespace gatehouse::compile
