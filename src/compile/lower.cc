// SPDX-License-Identifier: Apache-2.0
#include "compile/lower.h"

#include <algorithm>
#include <csignal>
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

/// Lowers one spec, hook by hook.
class Lowering {
 public:
  Lowering(std::span<const policy::Variable> variables, ValueSets& sets, LoweredSpec& spec)
      : variables_(variables), sets_(sets), spec_(spec) {}

  Result<void> AddHook(const policy::Hook& hook) {
    const policy::HookRow* row = policy::FindHook(hook.kind, hook.call);
    if (row == nullptr) {
      return Fail(ErrorCode::kUnsupported, hook.call, "this hook is not known");
    }
    if (hook.selectors.size() > GH_RULES_PER_POLICY_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  std::to_string(hook.selectors.size()) + " selectors, and at most " +
                      std::to_string(GH_RULES_PER_POLICY_MAX) + " are possible",
                  "split the policy");
    }
    const auto hook_index = static_cast<uint8_t>(spec_.hooks.size());
    HookProgram& lowered = spec_.hooks.emplace_back();
    lowered.hook = row->hook;
    lowered.hook_index = hook_index;
    lowered.rules.reserve(std::max<size_t>(hook.selectors.size(), 1));
    for (const policy::Selector& selector : hook.selectors) {
      GH_TRY(AddRule(hook, *row, selector, lowered));
    }
    if (hook.selectors.empty()) lowered.rules.emplace_back().actions = GH_ACTION_POST;
    return {};
  }

 private:
  Result<void> AddRule(const policy::Hook& hook, const policy::HookRow& row,
                       const policy::Selector& selector, HookProgram& lowered) {
    if (selector.filters.size() > GH_FILTERS_PER_RULE_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  "a selector with " + std::to_string(selector.filters.size()) +
                      " filters, and at most " + std::to_string(GH_FILTERS_PER_RULE_MAX) +
                      " are possible",
                  "use one filter with several values instead of several filters");
    }
    Rule& rule = lowered.rules.emplace_back();
    rule.index = static_cast<uint16_t>(lowered.rules.size() - 1);
    rule.filters.reserve(selector.filters.size());
    for (const policy::Filter& filter : selector.filters) {
      Filter& target = rule.filters.emplace_back();
      GH_TRY(LowerFilter(hook, row, filter, target));
      if (target.set) continue;
      GH_ASSIGN(const uint32_t variable, FindVariable(hook, *filter.values.variable));
      spec_.blanks.push_back({lowered.hook_index, rule.index,
                              static_cast<uint32_t>(rule.filters.size() - 1), variable});
    }
    rule.actions = GH_ACTION_POST;
    for (const policy::Action& action : selector.actions) GH_TRY(AddAction(hook, action, rule));
    if (HasAction(selector, policy::ActionKind::kNoPost)) {
      rule.actions = static_cast<uint16_t>(rule.actions & ~GH_ACTION_POST);
    }
    return {};
  }

  /// All but the set of a variable.
  Result<void> LowerFilter(const policy::Hook& hook, const policy::HookRow& row,
                           const policy::Filter& filter, Filter& lowered) {
    GH_ASSIGN(lowered.subject, SubjectOf(hook, row, filter));
    const policy::OperatorTraits traits = policy::TraitsOf(filter.op);
    lowered.match = traits.match;
    lowered.negated = traits.negated;
    if (filter.values.variable) return {};
    lowered.set = MakeSet(lowered.match, filter.values, sets_);
    return CheckSize(*lowered.set, hook.call);
  }

  Result<uint32_t> FindVariable(const policy::Hook& hook, const std::string& name) const {
    for (size_t i = 0; i < variables_.size(); ++i) {
      if (variables_[i].name == name) return static_cast<uint32_t>(i);
    }
    return Fail(ErrorCode::kInvalid, hook.call, "variable \"" + name + "\" is not declared",
                "declare it in the template's variables");
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
    return std::ranges::any_of(selector.actions,
                               [&](const policy::Action& action) { return action.kind == kind; });
  }

  static Result<void> AddAction(const policy::Hook& hook, const policy::Action& action,
                                Rule& rule) {
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
  LoweredSpec& spec_;
};

bool SameInfo(const HookInfo& a, const HookInfo& b) {
  const auto same_argument = [](const policy::Argument& x, const policy::Argument& y) {
    return x.index == y.index && x.type == y.type && x.label == y.label;
  };
  return a.kind == b.kind && a.call == b.call && a.message == b.message && a.tags == b.tags &&
         std::ranges::equal(a.arguments, b.arguments, same_argument);
}

}  // namespace

bool LoweredSpec::Enforces() const {
  return std::ranges::any_of(hooks, [](const HookProgram& hook) {
    return std::ranges::any_of(hook.rules, [](const Rule& rule) {
      return (rule.actions & (GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL)) != 0;
    });
  });
}

Result<LoweredSpecPtr> Lower(const policy::Spec& spec, std::span<const policy::Variable> variables,
                             ValueSets& sets, const HookInfos& like) {
  if (spec.hooks.size() > UINT8_MAX) {
    return Fail(ErrorCode::kInvalid, "",
                std::to_string(spec.hooks.size()) + " hooks, and at most " +
                    std::to_string(UINT8_MAX) + " are possible",
                "split the policy");
  }
  auto lowered = std::make_shared<LoweredSpec>();
  lowered->monitor = spec.mode == policy::Mode::kMonitor;
  for (const policy::Variable& variable : variables) lowered->variables.push_back(variable.name);
  lowered->hooks.reserve(spec.hooks.size());
  Lowering lowering(variables, sets, *lowered);
  std::vector<HookInfo> infos;
  infos.reserve(spec.hooks.size());
  for (const policy::Hook& hook : spec.hooks) {
    GH_TRY(lowering.AddHook(hook));
    infos.push_back({hook.kind, hook.call, hook.message, hook.tags, hook.arguments});
    for (policy::Argument& argument : infos.back().arguments) argument.position = {};
  }
  lowered->infos = like && std::ranges::equal(*like, infos, SameInfo)
                       ? like
                       : std::make_shared<const std::vector<HookInfo>>(std::move(infos));
  return lowered;
}

ValueSetPtr LowerValues(const policy::Values& values, ValueSets& sets) {
  return MakeSet(GH_MATCH_EXACT, values, sets);
}

Result<ProgramPtr> Instantiate(const LoweredSpecPtr& spec, std::span<const ValueSetPtr> values,
                               policy::Mode mode, ValueSets& sets) {
  if (values.size() != spec->variables.size()) {
    return Fail(ErrorCode::kInvalid, "",
                std::to_string(values.size()) + " values for " +
                    std::to_string(spec->variables.size()) + " variables");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) return Fail(ErrorCode::kInvalid, "variable " + spec->variables[i], "no value");
  }
  if (spec->blanks.empty() && mode == spec->mode()) return spec;

  auto program = std::make_shared<Program>(*spec);
  program->monitor = mode == policy::Mode::kMonitor;
  for (const Blank& blank : spec->blanks) {
    Filter& filter = program->hooks[blank.hook].rules[blank.rule].filters[blank.filter];
    filter.set = sets.Convert(*values[blank.variable], filter.match);
    GH_TRY(CheckSize(*filter.set, "variable " + spec->variables[blank.variable]));
  }
  return program;
}

}  // namespace gatehouse::compile
