// SPDX-License-Identifier: Apache-2.0
#include "compile/lower.h"

#include <algorithm>
#include <csignal>
#include <string_view>
#include <utility>

#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/numbers.h"

namespace gatehouse::compile {
namespace {

constexpr size_t kSetIdsMax = size_t{GH_SET_PAGES_MAX} * GH_PAGE_WORDS;
constexpr size_t kSetRangesMax = size_t{GH_SET_PAGES_MAX} * GH_PAGE_BYTES / sizeof(gh_range);

Result<void> CheckSize(const ValueSet& set, const std::string& object) {
  const size_t most = set.ranges().empty() ? kSetIdsMax : kSetRangesMax;
  if (set.size() <= most) return {};
  return Fail(ErrorCode::kInvalid, object,
              "a filter compares with " + std::to_string(set.size()) + " values, and at most " +
                  std::to_string(most) + " are possible",
              "use Prefix, Postfix or ranges, or split the values over several selectors");
}

/// What a filter on an argument of `type` compares with.
Result<ValueSetPtr> MakeSet(policy::ArgumentType type, policy::Operator op,
                            std::span<const std::string_view> texts, ValueSets& sets,
                            const std::string& object) {
  const policy::ValueKind kind = policy::TraitsOf(type).values;
  const gh_match match = policy::TraitsOf(op, kind).match;
  ValueSetPtr set;
  if (policy::IsNumber(kind)) {
    std::vector<gh_range> ranges;
    for (const std::string_view text : texts) {
      const auto of_value = policy::RangesOf(type, op, text);
      if (!of_value) {
        return Fail(ErrorCode::kInvalid, object,
                    "\"" + std::string(text) + "\" is no value of type " +
                        std::string(policy::NameOf(type)),
                    "write a number that fits into it");
      }
      ranges.insert(ranges.end(), of_value->begin(), of_value->end());
    }
    set = sets.MakeNumbers(match, std::move(ranges));
  } else {
    set = sets.Make(match, texts);
  }
  GH_TRY(CheckSize(*set, object));
  return set;
}

std::vector<std::string_view> Views(std::span<const std::string> texts) {
  return {texts.begin(), texts.end()};
}

/// Lowers one spec, hook by hook.
class Lowering {
 public:
  Lowering(std::span<const policy::Variable> variables, ValueSets& sets, LoweredSpec& spec)
      : variables_(variables), sets_(sets), spec_(spec) {}

  Result<void> AddHook(const policy::Hook& hook) {
    if (hook.selectors.size() > GH_RULES_PER_POLICY_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  std::to_string(hook.selectors.size()) + " selectors, and at most " +
                      std::to_string(GH_RULES_PER_POLICY_MAX) + " are possible",
                  "split the policy");
    }
    const auto hook_index = static_cast<uint8_t>(spec_.hooks.size());
    HookProgram& lowered = spec_.hooks.emplace_back();
    lowered.site = std::make_shared<const policy::Site>(policy::SiteOf(hook.kind, hook.call));
    lowered.hook_index = hook_index;
    AddInputs(hook, lowered);
    lowered.rules.reserve(std::max<size_t>(hook.selectors.size(), 1));
    for (const policy::Selector& selector : hook.selectors) {
      GH_TRY(AddRule(hook, selector, lowered));
    }
    if (hook.selectors.empty()) lowered.rules.emplace_back().actions = GH_ACTION_POST;
    return {};
  }

 private:
  /// What the hook's arguments and filters look at.
  static void AddInputs(const policy::Hook& hook, HookProgram& lowered) {
    for (const policy::Argument& argument : hook.arguments) {
      const policy::ArgumentTypeTraits traits = policy::TraitsOf(argument.type);
      lowered.inputs.push_back({.subject = static_cast<uint8_t>(argument.index),
                                .read = traits.read,
                                .bytes = traits.bytes,
                                .is_signed = traits.is_signed});
      lowered.shows |= static_cast<uint8_t>(1U << argument.index);
    }
    const auto on_binary = [](const policy::Selector& selector) {
      return std::ranges::any_of(selector.filters, [](const policy::Filter& filter) {
        return filter.subject == policy::Subject::kBinary;
      });
    };
    if (std::ranges::any_of(hook.selectors, on_binary)) {
      lowered.inputs.push_back({.subject = GH_SUBJECT_BINARY, .read = GH_READ_BINARY});
    }
    std::ranges::sort(lowered.inputs);
  }

  Result<void> AddRule(const policy::Hook& hook, const policy::Selector& selector,
                       HookProgram& lowered) {
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
      GH_TRY(AddFilter(hook, filter, lowered.hook_index, rule));
    }
    rule.actions = GH_ACTION_POST;
    for (const policy::Action& action : selector.actions) GH_TRY(AddAction(hook, action, rule));
    if (HasAction(selector, policy::ActionKind::kNoPost)) {
      rule.actions = static_cast<uint16_t>(rule.actions & ~GH_ACTION_POST);
    }
    return {};
  }

  /// A filter that compares with a variable stays without set.
  Result<void> AddFilter(const policy::Hook& hook, const policy::Filter& filter,
                         uint32_t hook_index, Rule& rule) {
    Filter& lowered = rule.filters.emplace_back();
    lowered.subject = GH_SUBJECT_BINARY;
    policy::ArgumentType type = policy::kBinaryType;
    if (filter.subject == policy::Subject::kArgument) {
      if (filter.argument >= hook.arguments.size()) {
        return Fail(ErrorCode::kInvalid, hook.call,
                    "a filter is on an argument without declaration",
                    "name one of the arguments in the hook's args");
      }
      const policy::Argument& argument = hook.arguments[filter.argument];
      lowered.subject = static_cast<uint8_t>(argument.index);
      type = argument.type;
    }
    const auto traits = policy::TraitsOf(filter.op, policy::TraitsOf(type).values);
    lowered.match = traits.match;
    lowered.negated = traits.negated;
    if (filter.values.variable) {
      GH_ASSIGN(const uint32_t variable, FindVariable(hook, *filter.values.variable));
      spec_.blanks.push_back({.hook = hook_index,
                              .rule = rule.index,
                              .filter = static_cast<uint32_t>(rule.filters.size() - 1),
                              .variable = variable,
                              .type = type,
                              .op = filter.op});
      return {};
    }
    GH_ASSIGN(lowered.set,
              MakeSet(type, filter.op, Views(filter.values.literals), sets_, hook.call));
    return {};
  }

  Result<uint32_t> FindVariable(const policy::Hook& hook, const std::string& name) const {
    for (size_t i = 0; i < variables_.size(); ++i) {
      if (variables_[i].name == name) return static_cast<uint32_t>(i);
    }
    return Fail(ErrorCode::kInvalid, hook.call, "variable \"" + name + "\" is not declared",
                "declare it in the template's variables");
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
  return sets.Make(GH_MATCH_EXACT, Views(values.literals));
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
    const std::vector<std::string_view> texts = sets.Views(*values[blank.variable]);
    GH_ASSIGN(filter.set, MakeSet(blank.type, blank.op, texts, sets,
                                  "variable " + spec->variables[blank.variable]));
  }
  return program;
}

}  // namespace gatehouse::compile
