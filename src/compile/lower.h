// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

/// A filter of a template that has no set yet: where it is, and which variable stands for its
/// values.
struct Blank {
  uint32_t hook = 0;      ///< index into Program::hooks
  uint32_t rule = 0;      ///< index into HookProgram::rules
  uint32_t filter = 0;    ///< index into Rule::filters, whose set is null
  uint32_t variable = 0;  ///< index into LoweredSpec::variables
  policy::ArgumentType type = policy::ArgumentType::kLinuxBinprm;  ///< of what it looks at
  policy::Operator op = policy::Operator::kEqual;
};

/// A rule that is for some workloads alone.
struct Restriction {
  uint32_t hook = 0;                                          ///< index into Program::hooks
  uint32_t rule = 0;                                          ///< index into HookProgram::rules
  std::shared_ptr<const policy::WorkloadSelector> workloads;  ///< never null
};
/// Which restrictions do not hold, as indices into LoweredSpec::restrictions, ascending: their
/// rules are left out.
using LeftOut = std::vector<uint32_t>;

/// The spec of a policy or a template: the program in the mode as written, with blanks in the place
/// of variables. No hook is without rules. Immutable, shared.
struct LoweredSpec : Program {
  std::vector<std::string> variables;  ///< in the order of their declaration; a policy has none
  std::vector<Blank> blanks;
  std::vector<Restriction> restrictions;  ///< ascending by hook, then by rule
  policy::HookInfos infos;

  /// As written.
  [[nodiscard]] policy::Mode mode() const {
    return monitor ? policy::Mode::kMonitor : policy::Mode::kEnforce;
  }
  /// True if a rule that is not left out does more than post: denies or sends a signal.
  [[nodiscard]] bool Enforces(const LeftOut& left_out) const;
};

using LoweredSpecPtr = std::shared_ptr<const LoweredSpec>;

/// Lowers `spec`, whose filters may refer to `variables`. A hook without selectors becomes one rule
/// without filters that posts. A selector posts unless it says NoPost, whatever else it does.
/// Errors (object: the hook's call): a filter on an argument that is not declared, more rules or
/// filters than the ABI holds, a value that is none of its argument's type, two different Overrides
/// or two different signals in one selector, a filter on an undeclared variable.
///
/// `like` (may be null) becomes the result's infos if it says the same: many policies of a node
/// differ in their values alone.
[[nodiscard]] Result<LoweredSpecPtr> Lower(const policy::Spec& spec,
                                           std::span<const policy::Variable> variables,
                                           ValueSets& sets,
                                           const policy::HookInfos& like = nullptr);

/// The exact set of literal values, as Instantiate takes it.
[[nodiscard]] ValueSetPtr LowerValues(const policy::Values& values, ValueSets& sets);

/// `spec` with `values` in the place of its variables: exact sets, one for each of spec->variables
/// in that order; without the rules that are `left_out`, and without the hooks that have no other.
/// What needs no change is `spec` itself. Errors: a number of values other than that
/// of variables, a null one, a value that is none of the argument's type, a set of more values than
/// the ABI holds.
[[nodiscard]] Result<ProgramPtr> Instantiate(const LoweredSpecPtr& spec,
                                             std::span<const ValueSetPtr> values, policy::Mode mode,
                                             ValueSets& sets, const LeftOut& left_out = {});

}  // namespace gatehouse::compile
