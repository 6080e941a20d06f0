// SPDX-License-Identifier: Apache-2.0
#include "compile/lower.h"

#include <algorithm>
#include <csignal>
#include <optional>
#include <string_view>
#include <utility>

#include "policy/catalog.h"

namespace gatehouse::compile {
namespace {

constexpr size_t kSetValuesMax = size_t{GH_SET_PAGES_MAX} * GH_PAGE_WORDS;

ValueSetPtr MakeSet(gh_match match, const policy::Values& values, ValueSets& sets) {
  const std::vector<std::string_view> texts(values.literals.begin(), values.literals.end());
  return sets.Make(match, texts);
}

Result<void> CheckSize(const ValueSet& set, const std::string& object) {
  if (set.ids().size() <= kSetValuesMax) return {};
  return Fail(ErrorCode::kInvalid, object,
              "a filter compares with " + std::to_string(set.ids().size()) +
                  " values, and at most " + std::to_string(kSetValuesMax) + " are possible",
              "use Prefix or Postfix, or split the values over several selectors");
}

/// Lowers the hooks of one spec.
class Lowering {
 public:
  Lowering(std::span<const policy::Variable> variables, ValueSets& sets)
      : variables_(variables), sets_(sets) {}

  Result<LoweredHook> LowerHook(const policy::Hook& hook, uint8_t hook_index) const {
    const policy::HookRow* row = policy::FindHook(hook.kind, hook.call);
    if (row == nullptr) {
      return Fail(ErrorCode::kUnsupported, hook.call, "this hook is not known");
    }
    LoweredHook lowered;
    lowered.hook = row->hook;
    lowered.hook_index = hook_index;
    if (hook.selectors.size() > GH_RULES_PER_POLICY_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  std::to_string(hook.selectors.size()) + " selectors, and at most " +
                      std::to_string(GH_RULES_PER_POLICY_MAX) + " are possible",
                  "split the policy");
    }
    for (const policy::Selector& selector : hook.selectors) {
      GH_ASSIGN(LoweredRule rule, LowerSelector(hook, *row, selector));
      rule.index = static_cast<uint16_t>(lowered.rules.size());
      lowered.rules.push_back(std::move(rule));
    }
    if (hook.selectors.empty()) {
      LoweredRule always;
      always.actions = GH_ACTION_POST;
      lowered.rules.push_back(std::move(always));
    }
    return lowered;
  }

 private:
  Result<LoweredRule> LowerSelector(const policy::Hook& hook, const policy::HookRow& row,
                                    const policy::Selector& selector) const {
    LoweredRule rule;
    if (selector.filters.size() > GH_FILTERS_PER_RULE_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  "a selector with " + std::to_string(selector.filters.size()) +
                      " filters, and at most " + std::to_string(GH_FILTERS_PER_RULE_MAX) +
                      " are possible",
                  "use one filter with several values instead of several filters");
    }
    for (const policy::Filter& filter : selector.filters) {
      GH_ASSIGN(LoweredFilter lowered, LowerFilter(hook, row, filter));
      rule.filters.push_back(std::move(lowered));
    }
    rule.actions = GH_ACTION_POST;
    for (const policy::Action& action : selector.actions) {
      GH_TRY(AddAction(hook, action, rule));
    }
    if (HasAction(selector, policy::ActionKind::kNoPost)) {
      rule.actions = static_cast<uint16_t>(rule.actions & ~GH_ACTION_POST);
    }
    return rule;
  }

  Result<LoweredFilter> LowerFilter(const policy::Hook& hook, const policy::HookRow& row,
                                    const policy::Filter& filter) const {
    LoweredFilter lowered;
    GH_ASSIGN(lowered.subject, SubjectOf(hook, row, filter));
    const policy::OperatorTraits traits = policy::TraitsOf(filter.op);
    lowered.match = traits.match;
    lowered.negated = traits.negated;
    if (!filter.values.variable) {
      lowered.set = MakeSet(lowered.match, filter.values, sets_);
      GH_TRY(CheckSize(*lowered.set, hook.call));
      return lowered;
    }
    const auto declared = std::find_if(
        variables_.begin(), variables_.end(),
        [&](const policy::Variable& variable) { return variable.name == *filter.values.variable; });
    if (declared == variables_.end()) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  "variable \"" + *filter.values.variable + "\" is not declared",
                  "declare it in the template's variables");
    }
    lowered.variable = static_cast<uint32_t>(declared - variables_.begin());
    return lowered;
  }

  static Result<gh_subject> SubjectOf(const policy::Hook& hook, const policy::HookRow& row,
                                      const policy::Filter& filter) {
    if (filter.subject == policy::Subject::kBinary) return GH_SUBJECT_BINARY;
    if (filter.argument < hook.arguments.size()) {
      const policy::Argument& argument = hook.arguments[filter.argument];
      for (const policy::HookArgument& known : row.arguments) {
        if (known.index == argument.index && known.type == argument.type) return known.subject;
      }
    }
    return Fail(ErrorCode::kInvalid, hook.call, "a filter is on an argument that the hook lacks",
                "name one of the arguments of the hook");
  }

  static bool HasAction(const policy::Selector& selector, policy::ActionKind kind) {
    return std::any_of(selector.actions.begin(), selector.actions.end(),
                       [&](const policy::Action& action) { return action.kind == kind; });
  }

  static Result<void> AddAction(const policy::Hook& hook, const policy::Action& action,
                                LoweredRule& rule) {
    switch (action.kind) {
      case policy::ActionKind::kPost:
      case policy::ActionKind::kNoPost:
        return {};
      case policy::ActionKind::kOverride:
        if ((rule.actions & GH_ACTION_OVERRIDE) != 0 && rule.error != action.error) {
          return Fail(ErrorCode::kInvalid, hook.call, "a selector overrides with two errors",
                      "keep one Override");
        }
        rule.actions |= GH_ACTION_OVERRIDE;
        rule.error = static_cast<int16_t>(action.error);
        return {};
      case policy::ActionKind::kSigkill:
      case policy::ActionKind::kSignal: {
        const int32_t signal =
            action.kind == policy::ActionKind::kSigkill ? SIGKILL : action.signal;
        if ((rule.actions & GH_ACTION_SIGNAL) != 0 && rule.signal != signal) {
          return Fail(ErrorCode::kInvalid, hook.call, "a selector sends two signals",
                      "keep one Signal or Sigkill");
        }
        rule.actions |= GH_ACTION_SIGNAL;
        rule.signal = static_cast<uint8_t>(signal);
        return {};
      }
    }
    __builtin_unreachable();
  }

  std::span<const policy::Variable> variables_;
  ValueSets& sets_;
};

Result<Filter> InstantiateFilter(const LoweredFilter& filter, const LoweredSpec& spec,
                                 std::span<const ValueSetPtr> values, ValueSets& sets) {
  Filter result{filter.subject, filter.match, filter.negated, filter.set};
  if (result.set) return result;
  result.set = sets.Convert(*values[filter.variable], filter.match);
  GH_TRY(CheckSize(*result.set, "variable " + spec.variables[filter.variable]));
  return result;
}

}  // namespace

bool LoweredSpec::Enforces() const {
  return std::any_of(hooks.begin(), hooks.end(), [](const LoweredHook& hook) {
    return std::any_of(hook.rules.begin(), hook.rules.end(), [](const LoweredRule& rule) {
      return (rule.actions & (GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL)) != 0;
    });
  });
}

Result<LoweredSpecPtr> Lower(const policy::Spec& spec, std::span<const policy::Variable> variables,
                             ValueSets& sets) {
  auto lowered = std::make_shared<LoweredSpec>();
  lowered->mode = spec.mode;
  for (const policy::Variable& variable : variables) lowered->variables.push_back(variable.name);

  if (spec.hooks.size() > UINT8_MAX) {
    return Fail(ErrorCode::kInvalid, "",
                std::to_string(spec.hooks.size()) + " hooks, and at most " +
                    std::to_string(UINT8_MAX) + " are possible",
                "split the policy");
  }
  const Lowering lowering(variables, sets);
  std::vector<HookInfo> infos;
  infos.reserve(spec.hooks.size());
  lowered->hooks.reserve(spec.hooks.size());
  for (const policy::Hook& hook : spec.hooks) {
    const auto hook_index = static_cast<uint8_t>(lowered->hooks.size());
    GH_ASSIGN(LoweredHook lowered_hook, lowering.LowerHook(hook, hook_index));
    lowered->hooks.push_back(std::move(lowered_hook));
    infos.push_back({hook.kind, hook.call, hook.message, hook.tags, hook.arguments});
  }
  lowered->infos = std::make_shared<const std::vector<HookInfo>>(std::move(infos));
  return lowered;
}

ValueSetPtr LowerValues(const policy::Values& values, ValueSets& sets) {
  return MakeSet(GH_MATCH_EXACT, values, sets);
}

Result<ProgramPtr> Instantiate(const LoweredSpec& spec, std::span<const ValueSetPtr> values,
                               policy::Mode mode, ValueSets& sets) {
  if (values.size() != spec.variables.size()) {
    return Fail(ErrorCode::kInvalid, "",
                std::to_string(values.size()) + " values for " +
                    std::to_string(spec.variables.size()) + " variables");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) return Fail(ErrorCode::kInvalid, "variable " + spec.variables[i], "no value");
  }
  auto program = std::make_shared<Program>();
  program->monitor = mode == policy::Mode::kMonitor;
  program->hooks.reserve(spec.hooks.size());
  for (const LoweredHook& hook : spec.hooks) {
    HookProgram& target = program->hooks.emplace_back();
    target.hook = hook.hook;
    target.hook_index = hook.hook_index;
    target.rules.reserve(hook.rules.size());
    for (const LoweredRule& rule : hook.rules) {
      Rule& copy = target.rules.emplace_back();
      copy.index = rule.index;
      copy.actions = rule.actions;
      copy.error = rule.error;
      copy.signal = rule.signal;
      copy.filters.reserve(rule.filters.size());
      for (const LoweredFilter& filter : rule.filters) {
        GH_ASSIGN(Filter instantiated, InstantiateFilter(filter, spec, values, sets));
        copy.filters.push_back(std::move(instantiated));
      }
    }
  }
  return program;
}

}  // namespace gatehouse::compile
