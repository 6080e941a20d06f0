// SPDX-License-Identifier: Apache-2.0
#include "compile/lower.h"

#include <algorithm>
#include <csignal>
#include <iterator>
#include <map>
#include <ranges>
#include <string_view>
#include <utility>

#include "policy/addresses.h"
#include "policy/catalog.h"
#include "policy/file_identity.h"
#include "policy/format.h"
#include "policy/numbers.h"
#include "policy/sites.h"
#include "policy/values.h"

namespace gatehouse::compile {
namespace {

constexpr size_t kSetBytesMax = size_t{GH_SET_PAGES_MAX} * GH_PAGE_BYTES;

Result<void> CheckSize(const ValueSet& set, const std::string& object) {
  if (set.match() == GH_MATCH_PATTERN || set.bytes() <= kSetBytesMax) return {};
  return Fail(ErrorCode::kInvalid, object,
              "a filter compares with " + std::to_string(set.size()) + " values, and at most " +
                  std::to_string(kSetBytesMax * set.size() / set.bytes()) + " are possible",
              "use Prefix, Postfix or ranges, or split the values over several selectors");
}

tl::unexpected<Error> NoValue(std::string_view text, policy::ArgumentType type,
                              const std::string& object) {
  return Fail(
      ErrorCode::kInvalid, object,
      "\"" + std::string(text) + "\" is no value of type " + std::string(policy::NameOf(type)),
      "write one that fits into it");
}

bool HasNul(std::string_view text) { return text.find('\0') != text.npos; }

/// The bits that none of the ranges, each of one bit, is.
std::vector<gh_range> Others(const std::vector<gh_range>& bits) {
  uint64_t others = UINT64_MAX;
  for (const gh_range& bit : bits) others &= ~bit.first;
  return {{others, others}};
}

/// What a filter on an argument of `type` compares with.
Result<ValueSetPtr> MakeSet(policy::ArgumentType type, policy::Operator op,
                            std::span<const std::string_view> texts, ValueSets& sets,
                            const std::string& object) {
  const policy::ValueKind kind = policy::TraitsOf(type).values;
  const gh_match match = policy::TraitsOf(op, kind).match;
  const bool may_have_nul = !policy::IsText(kind) || kind == policy::ValueKind::kBytes;
  if (!may_have_nul && std::ranges::any_of(texts, HasNul)) {
    // Of what a template compares with a variable, the binding's reader cannot know.
    return Fail(ErrorCode::kInvalid, object, "a text contains a NUL byte",
                "remove it: no path and no name contains one");
  }
  ValueSetPtr set;
  if (type == policy::ArgumentType::kAuto) {  // no kernel has been asked, and none can take it
    set = sets.Make(GH_MATCH_EXACT, texts);
  } else if (policy::IsNumber(kind)) {
    std::vector<gh_range> ranges;
    for (const std::string_view text : texts) {
      const auto of_value = policy::RangesOf(type, op, text);
      if (!of_value) return NoValue(text, type, object);
      ranges.insert(ranges.end(), of_value->begin(), of_value->end());
    }
    if (policy::AsksForOthers(op, kind)) ranges = Others(ranges);
    set = sets.MakeNumbers(match, std::move(ranges));
  } else if (kind == policy::ValueKind::kAddress) {
    std::vector<gh_address_range> ranges;
    for (const std::string_view text : texts) {
      const auto of_value = policy::ReadAddresses(text);
      if (!of_value) return NoValue(text, type, object);
      ranges.insert(ranges.end(), of_value->begin(), of_value->end());
    }
    set = sets.MakeAddresses(std::move(ranges));
  } else if (kind == policy::ValueKind::kFileIdentity) {
    std::vector<gh_address_range> files;
    for (const std::string_view text : texts) {
      if (text.starts_with('/')) {
        if (const auto file = sets.FindFile(std::string(text))) files.push_back(*file);
        continue;
      }
      const auto file = policy::ReadFileIdentity(text);
      if (!file) return NoValue(text, type, object);
      files.push_back(*file);
    }
    set = sets.MakeAddresses(std::move(files));
  } else if (match == GH_MATCH_PATTERN) {
    std::vector<std::string> patterns;
    for (const std::string_view text : texts) {
      std::ranges::move(policy::PatternsOf(op, text), std::back_inserter(patterns));
    }
    auto of_patterns = sets.MakePatterns(patterns);
    if (!of_patterns) {
      of_patterns.error().object = object;
      return of_patterns;
    }
    set = std::move(*of_patterns);
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

  Result<void> AddHook(const policy::Hook& hook, uint16_t hook_index) {
    if (hook.kind == policy::HookKind::kEnforcer) {
      AddEnforcer(hook, hook_index);
      return {};
    }
    if (hook.selectors.size() > GH_RULES_PER_POLICY_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  std::to_string(hook.selectors.size()) + " selectors, and at most " +
                      std::to_string(GH_RULES_PER_POLICY_MAX) + " are possible",
                  "split the policy");
    }
    const bool twice = hook.returned && std::ranges::any_of(hook.selectors, policy::ActsBefore);
    if (twice) GH_TRY(AddProgram(hook, hook_index, Part::kBefore));
    return AddProgram(hook, hook_index, twice ? Part::kAfter : Part::kWhole);
  }

  /// As events tell the arguments of the hook that was added last: without places, and with the
  /// numbers that values have in them.
  [[nodiscard]] std::vector<policy::Argument> Told(std::vector<policy::Argument> arguments) const {
    for (policy::Argument& argument : arguments) {
      argument.position = {};
      if (!argument.resolved) continue;
      argument.resolved = policy::Resolution{.subject = resolved_.at(argument.resolved->subject)};
    }
    return arguments;
  }

 private:
  /// A place at which is carried out what the hooks that were added before ask for.
  void AddEnforcer(const policy::Hook& hook, uint16_t hook_index) {
    HookProgram& lowered = spec_.hooks.emplace_back();
    lowered.site = std::make_shared<const policy::Site>(policy::SiteOf(hook));
    lowered.hook_index = hook_index;
    Rule& rule = lowered.rules.emplace_back();
    rule.enforcer = true;
    rule.actions = notified_;
  }

  /// Of a hook that is judged before the function and at its return: both judge by all selectors,
  /// and each does what the other does not.
  enum class Part { kWhole, kBefore, kAfter };

  static bool IsHere(const policy::Selector& selector, Part part) {
    return part == Part::kWhole || policy::ActsBefore(selector) == (part == Part::kBefore);
  }

  Result<void> AddProgram(const policy::Hook& hook, uint16_t hook_index, Part part) {
    HookProgram& lowered = spec_.hooks.emplace_back();
    lowered.site = std::make_shared<const policy::Site>(
        part == Part::kBefore ? policy::SiteBefore(hook) : policy::SiteOf(hook));
    lowered.hook_index = hook_index;
    GH_TRY(AddInputs(hook, lowered));
    lowered.rules.reserve(std::max<size_t>(hook.selectors.size(), 1));
    uint16_t index = 0;
    for (const policy::Selector& selector : hook.selectors) {
      // What is returned is not known yet; selectors behind this one do not act before.
      if (part == Part::kBefore && policy::LooksAtReturn(selector)) break;
      GH_TRY(AddRule(hook, selector, index++, IsHere(selector, part), lowered));
    }
    if (hook.selectors.empty()) lowered.rules.emplace_back().actions = GH_ACTION_POST;
    return {};
  }

  /// How the value of an argument is read where it stands; `of_process`: a process passed it.
  static Input InputOf(uint8_t subject, policy::ArgumentType type, bool of_process,
                       const std::optional<policy::Length>& length) {
    const policy::ArgumentTypeTraits traits = policy::TraitsOf(type);
    gh_read read = traits.read;
    if (subject == GH_SUBJECT_BINARY) read = GH_READ_BINARY;
    if (subject == GH_SUBJECT_PARENT_BINARY) read = GH_READ_PARENT_BINARY;
    if (of_process && read == GH_READ_STRING) read = GH_READ_USER_STRING;
    if (of_process && read == GH_READ_SOCKADDR) read = GH_READ_USER_SOCKADDR;
    if (of_process && read == GH_READ_SOCKADDR_UN) read = GH_READ_USER_SOCKADDR_UN;
    if (of_process && read == GH_READ_BUFFER) read = GH_READ_USER_BUFFER;
    if (of_process && read == GH_READ_IOVEC) read = GH_READ_USER_IOVEC;
    if (length) return {subject, read, length->subject, length->narrow};
    return {.subject = subject, .read = read, .bytes = traits.bytes, .is_signed = traits.is_signed};
  }

  /// The number of a resolved value on the hook: the same before the function and at its return.
  Result<ResolvedValuePtr> Resolve(const policy::Hook& hook, const policy::Argument& argument) {
    const policy::Resolution& resolved = *argument.resolved;
    using From = policy::Resolution::From;
    const auto from = static_cast<uint8_t>(resolved.from == From::kTask        ? GH_FROM_TASK
                                           : resolved.from == From::kRegisters ? GH_FROM_REGISTERS
                                                                               : argument.index);
    return sets_.resolved().Intern({.site = policy::SiteBefore(hook),
                                    .from = from,
                                    .text = resolved.text,
                                    .type = resolved.type,
                                    .module = resolved.module,
                                    .read_as = argument.type,
                                    .chain = resolved.chain.value_or(policy::Chain{})});
  }

  /// What a subject of the document is called on the hook.
  [[nodiscard]] uint8_t NumberOf(uint32_t subject) const {
    const auto number = resolved_.find(static_cast<uint8_t>(subject));
    return number != resolved_.end() ? number->second : static_cast<uint8_t>(subject);
  }

  /// What the hook's arguments and filters look at.
  Result<void> AddInputs(const policy::Hook& hook, HookProgram& lowered) {
    std::map<uint8_t, Input> inputs;
    const bool of_process = policy::HasArgumentsOfProcess(*lowered.site);
    const auto add = [&](uint8_t subject, policy::ArgumentType type,
                         const std::optional<policy::Length>& length = {}) {
      inputs.emplace(subject, InputOf(subject, type, of_process, length));
    };
    const auto show = [&](const policy::Argument& argument) {
      if (argument.type == policy::ArgumentType::kNop) return;
      add(static_cast<uint8_t>(argument.index), argument.type, argument.length);
      lowered.shows |= 1U << argument.index;
      if (!argument.whole) return;
      inputs.at(static_cast<uint8_t>(argument.index)).whole = true;
      lowered.shows |= GH_SHOWS_PARTS;
    };
    resolved_.clear();
    for (const auto* const arguments : {&hook.arguments, &hook.data}) {
      for (const policy::Argument& argument : *arguments) {
        if (!argument.resolved) {
          show(argument);
          continue;
        }
        GH_ASSIGN(ResolvedValuePtr value, Resolve(hook, argument));
        resolved_.emplace(argument.resolved->subject, value->subject);
        const uint8_t subject = value->subject;
        lowered.shows |= 1U << subject;
        const bool of_register = value->from == GH_FROM_REGISTERS;
        Input& input =
            inputs.emplace(subject, InputOf(subject, argument.type, of_register, {})).first->second;
        input.resolved = std::move(value);
      }
    }
    if (lowered.site->at_return) show(*hook.returned);
    for (const policy::Selector& selector : hook.selectors) {
      for (const policy::Filter& filter : selector.filters) {
        if (filter.subject == policy::Subject::kArgument) continue;  // or it is not declared
        if (filter.subject == policy::Subject::kReturn) continue;
        if (filter.subject == policy::Subject::kData) continue;
        const policy::SubjectTraits traits = policy::TraitsOf(filter, hook);
        add(traits.subject, traits.type);
      }
    }
    for (auto& [subject, input] : inputs) lowered.inputs.push_back(std::move(input));
    return {};
  }

  /// `here`: the selector's actions are done here; else it only decides that no later one does.
  Result<void> AddRule(const policy::Hook& hook, const policy::Selector& selector, uint16_t index,
                       bool here, HookProgram& lowered) {
    if (selector.filters.size() > GH_FILTERS_PER_RULE_MAX) {
      return Fail(ErrorCode::kInvalid, hook.call,
                  "a selector with " + std::to_string(selector.filters.size()) +
                      " filters, and at most " + std::to_string(GH_FILTERS_PER_RULE_MAX) +
                      " are possible",
                  "use one filter with several values instead of several filters");
    }
    Rule& rule = lowered.rules.emplace_back();
    rule.index = index;
    rule.counted = here;
    if (selector.workloads) {
      spec_.restrictions.push_back({static_cast<uint32_t>(spec_.hooks.size() - 1),
                                    static_cast<uint32_t>(lowered.rules.size() - 1),
                                    selector.workloads});
    }
    rule.filters.reserve(selector.filters.size());
    for (const policy::Filter& filter : selector.filters) GH_TRY(AddFilter(hook, filter, rule));
    if (!here) return {};
    rule.actions = GH_ACTION_POST;
    for (const policy::Action& action : selector.actions) GH_TRY(AddAction(hook, action, rule));
    if (HasAction(selector, policy::ActionKind::kNoPost)) {
      rule.actions = static_cast<uint16_t>(rule.actions & ~GH_ACTION_POST);
    }
    return {};
  }

  /// A filter that compares with a variable stays without set.
  Result<void> AddFilter(const policy::Hook& hook, const policy::Filter& filter, Rule& rule) {
    const bool of_data = filter.subject == policy::Subject::kData;
    const std::vector<policy::Argument>& declared = of_data ? hook.data : hook.arguments;
    if ((of_data || filter.subject == policy::Subject::kArgument) &&
        filter.which >= declared.size()) {
      return Fail(ErrorCode::kInvalid, hook.call, "a filter is on an argument without declaration",
                  "name one of the arguments in the hook's args");
    }
    Filter& lowered = rule.filters.emplace_back();
    const policy::SubjectTraits subject = policy::TraitsOf(filter, hook);
    const policy::ArgumentType type = subject.operand;
    const auto traits = policy::TraitsOf(filter.op, policy::TraitsOf(type).values);
    lowered.subject = NumberOf(subject.subject);
    lowered.field = subject.field;
    lowered.match = traits.match;
    lowered.negated = traits.negated;
    if (filter.other) lowered.other = NumberOf(hook.arguments.at(*filter.other).subject());
    if (filter.values.variable) {
      GH_ASSIGN(const uint32_t variable, FindVariable(hook, *filter.values.variable));
      spec_.blanks.push_back({.hook = static_cast<uint32_t>(spec_.hooks.size() - 1),
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

  static uint8_t ScopeOf(policy::RateScope scope) {
    switch (scope) {
      case policy::RateScope::kThread:
        return GH_RULE_PER_THREAD;
      case policy::RateScope::kProcess:
        return GH_RULE_PER_PROCESS;
      case policy::RateScope::kGlobal:
        return 0;
    }
    __builtin_unreachable();
  }

  Result<void> AddAction(const policy::Hook& hook, const policy::Action& action, Rule& rule) {
    switch (action.kind) {
      case policy::ActionKind::kPost:
        rule.interval_s = action.interval_s;
        if (action.interval_s != 0) rule.scope = ScopeOf(action.scope);
        rule.stacks = static_cast<uint8_t>((action.kernel_stack ? GH_RULE_KERNEL_STACK : 0) |
                                           (action.user_stack ? GH_RULE_USER_STACK : 0));
        rule.hash = action.file_hash;
        return {};
      case policy::ActionKind::kNoPost:
      case policy::ActionKind::kGetUrl:
      case policy::ActionKind::kDnsLookup:
        return {};
      case policy::ActionKind::kTrackSock:
      case policy::ActionKind::kUntrackSock:
        rule.actions |= action.kind == policy::ActionKind::kTrackSock ? GH_ACTION_TRACK_SOCK
                                                                      : GH_ACTION_UNTRACK_SOCK;
        rule.signal = action.socket;
        return {};
      case policy::ActionKind::kNotifyEnforcer:
        rule.actions |= GH_ACTION_NOTIFY;
        rule.error = static_cast<int16_t>(action.error);
        rule.signal = static_cast<uint8_t>(action.signal);
        if (action.error != 0) notified_ |= GH_ACTION_OVERRIDE;
        if (action.signal != 0) notified_ |= GH_ACTION_SIGNAL;
        return {};
      case policy::ActionKind::kCleanupEnforcerNotification:
        rule.actions |= GH_ACTION_CLEANUP;
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
      case policy::ActionKind::kSet:
        if (action.argument >= hook.arguments.size()) {
          return Fail(ErrorCode::kInvalid, hook.call, "Set is on an argument without declaration",
                      "name one of the arguments in the hook's args");
        }
        rule.actions |= GH_ACTION_SET;
        rule.set_subject = static_cast<uint8_t>(hook.arguments[action.argument].index);
        rule.set_to = action.value;
        return {};
    }
    __builtin_unreachable();
  }

  std::span<const policy::Variable> variables_;
  ValueSets& sets_;
  LoweredSpec& spec_;
  uint16_t notified_ = 0;                // gh_action bits: what enforcers may be asked for
  std::map<uint8_t, uint8_t> resolved_;  // of the hook: number in the document, and lowered
};

bool SameInfo(const policy::HookInfo& a, const policy::HookInfo& b) {
  const auto same_argument = [](const policy::Argument& x, const policy::Argument& y) {
    return x.subject() == y.subject() && x.type == y.type && x.label == y.label;
  };
  const bool same_return = a.returned && b.returned
                               ? same_argument(*a.returned, *b.returned)
                               : a.returned.has_value() == b.returned.has_value();
  return a.kind == b.kind && a.call == b.call && a.source == b.source && a.counter == b.counter &&
         a.message == b.message && a.tags == b.tags &&
         std::ranges::equal(a.arguments, b.arguments, same_argument) &&
         std::ranges::equal(a.data, b.data, same_argument) &&
         a.network_actions == b.network_actions && same_return;
}

/// What the agent does when an event of the hook has come.
std::vector<policy::NetworkAction> NetworkActionsOf(const policy::Hook& hook) {
  std::vector<policy::NetworkAction> actions;
  for (size_t i = 0; i < hook.selectors.size(); ++i) {
    for (const policy::Action& action : hook.selectors[i].actions) {
      if (!policy::IsOfNetwork(action.kind)) continue;
      actions.push_back({static_cast<uint16_t>(i), action.kind, action.target});
    }
  }
  return actions;
}

}  // namespace

bool LoweredSpec::Enforces(const LeftOut& left_out) const {
  const auto is_left_out = [&](size_t hook, size_t rule) {
    return std::ranges::any_of(left_out, [&](uint32_t restriction) {
      return restrictions[restriction].hook == hook && restrictions[restriction].rule == rule;
    });
  };
  for (size_t hook = 0; hook < hooks.size(); ++hook) {
    for (size_t rule = 0; rule < hooks[hook].rules.size(); ++rule) {
      const Rule& each = hooks[hook].rules[rule];
      // Of an enforcer, those are asked that notify it.
      const bool enforces = (each.actions & GH_ACTIONS_ENFORCING) != 0 && !each.enforcer;
      if (enforces && !is_left_out(hook, rule)) return true;
    }
  }
  return false;
}

Result<LoweredSpecPtr> Lower(const policy::Spec& spec, std::span<const policy::Variable> variables,
                             ValueSets& sets, const policy::HookInfos& like) {
  if (spec.hooks.size() > GH_HOOKS_PER_POLICY_MAX) {
    return Fail(ErrorCode::kInvalid, "",
                std::to_string(spec.hooks.size()) + " hooks, and at most " +
                    std::to_string(int{GH_HOOKS_PER_POLICY_MAX}) + " are possible",
                "split the policy");
  }
  auto lowered = std::make_shared<LoweredSpec>();
  lowered->monitor = spec.mode == policy::Mode::kMonitor;
  for (const policy::Variable& variable : variables) lowered->variables.push_back(variable.name);
  lowered->hooks.reserve(spec.hooks.size());
  Lowering lowering(variables, sets, *lowered);
  std::vector<policy::HookInfo> infos;
  infos.reserve(spec.hooks.size());
  for (const policy::Hook& hook : spec.hooks) {
    GH_TRY(lowering.AddHook(hook, static_cast<uint16_t>(infos.size())));
    policy::HookInfo& info =
        infos.emplace_back(policy::HookInfo{.kind = hook.kind,
                                            .call = policy::FunctionName(hook),
                                            .source = hook.source,
                                            .counter = hook.counter,
                                            .message = hook.message,
                                            .tags = hook.tags,
                                            .arguments = lowering.Told(hook.arguments),
                                            .data = lowering.Told(hook.data),
                                            .returned = hook.returned,
                                            .network_actions = NetworkActionsOf(hook)});
    if (info.returned) info.returned->position = {};
  }
  lowered->infos = like && std::ranges::equal(*like, infos, SameInfo)
                       ? like
                       : std::make_shared<const std::vector<policy::HookInfo>>(std::move(infos));
  return lowered;
}

ValueSetPtr LowerValues(const policy::Values& values, ValueSets& sets) {
  return sets.Make(GH_MATCH_EXACT, Views(values.literals));
}

Result<ProgramPtr> Instantiate(const LoweredSpecPtr& spec, std::span<const ValueSetPtr> values,
                               policy::Mode mode, ValueSets& sets, const LeftOut& left_out) {
  if (values.size() != spec->variables.size()) {
    return Fail(ErrorCode::kInvalid, "",
                std::to_string(values.size()) + " values for " +
                    std::to_string(spec->variables.size()) + " variables");
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) return Fail(ErrorCode::kInvalid, "variable " + spec->variables[i], "no value");
  }
  if (spec->blanks.empty() && left_out.empty() && mode == spec->mode()) return spec;

  auto program = std::make_shared<Program>(*spec);
  program->monitor = mode == policy::Mode::kMonitor;
  for (const Blank& blank : spec->blanks) {
    Filter& filter = program->hooks[blank.hook].rules[blank.rule].filters[blank.filter];
    const std::vector<std::string_view> texts = sets.Views(*values[blank.variable]);
    GH_ASSIGN(filter.set, MakeSet(blank.type, blank.op, texts, sets,
                                  "variable " + spec->variables[blank.variable]));
  }
  for (const uint32_t index : left_out | std::views::reverse) {
    const Restriction& restriction = spec->restrictions[index];
    std::vector<Rule>& rules = program->hooks[restriction.hook].rules;
    rules.erase(rules.begin() + restriction.rule);
  }
  std::erase_if(program->hooks, [](const HookProgram& hook) { return hook.rules.empty(); });
  return program;
}

}  // namespace gatehouse::compile
