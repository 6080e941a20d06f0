// SPDX-License-Identifier: Apache-2.0
// The second half of the semantics: what those who have a say decide, and what comes of it all.
#include "eval/evaluator.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "eval/addresses.h"
#include "eval/numbers.h"
#include "eval/standing.h"
#include "glob/pattern.h"
#include "policy/catalog.h"
#include "policy/sites.h"

namespace gatehouse::eval {
namespace {

using Variables = std::map<std::string, std::set<std::string>>;

/// What is judged, and where it happens.
struct Acted {
  const workload::Workload* workload;  ///< null: on the host
  const Operation& operation;
};

/// What a filter compares with its values.
struct Operand {
  policy::ArgumentType type = policy::ArgumentType::kLinuxBinprm;
  Value value;
  bool absent = false;  ///< a socket has no such field
};

Value SubjectOf(const policy::Filter& filter, uint8_t subject, const Operation& operation) {
  if (filter.subject == policy::Subject::kBinary) {
    return operation.binary ? Value(*operation.binary) : Value();
  }
  const auto found = operation.values.find(subject);
  return found != operation.values.end() ? found->second : Value();
}

/// Of two sets of capabilities, what the second has and the first has not.
Value Gained(const Value& before, const std::map<uint32_t, Value>& values, uint32_t other) {
  const auto found = values.find(other);
  const auto* const old_set = std::get_if<uint64_t>(&before);
  const auto* const new_set =
      found != values.end() ? std::get_if<uint64_t>(&found->second) : nullptr;
  return old_set != nullptr && new_set != nullptr ? Value(*new_set & ~*old_set) : Value();
}

Operand OperandOf(const policy::Filter& filter, const policy::Hook& hook,
                  const Operation& operation) {
  const policy::SubjectTraits traits = policy::TraitsOf(filter, hook);
  Operand operand{.type = traits.operand, .value = SubjectOf(filter, traits.subject, operation)};
  if (traits.operand == policy::ArgumentType::kFileType) {
    const auto type = operation.file_types.find(traits.subject);
    operand.value = type != operation.file_types.end() ? Value(type->second) : Value();
    return operand;
  }
  if (traits.operand == policy::ArgumentType::kFileIdentity) {
    const auto names = operation.file_names.find(traits.subject);
    operand.value = names != operation.file_names.end() ? Value(names->second) : Value();
    return operand;
  }
  if (filter.other) {
    operand.value =
        Gained(operand.value, operation.values, hook.arguments[*filter.other].subject());
  }
  const auto* const socket = std::get_if<Socket>(&operand.value);
  if (socket == nullptr) return operand;
  const auto field = socket->find(traits.field);
  operand.absent = field == socket->end();
  if (operand.absent) return operand;
  operand.value = std::visit([](const auto& value) { return Value(value); }, field->second);
  return operand;
}

std::set<std::string> ValuesOf(const policy::Filter& filter, const Variables& variables) {
  if (filter.values.variable) return variables.at(*filter.values.variable);
  return {filter.values.literals.begin(), filter.values.literals.end()};
}

bool IsNegated(policy::Operator op) {
  switch (op) {
    case policy::Operator::kNotEqual:
    case policy::Operator::kNotIn:
    case policy::Operator::kNotPrefix:
    case policy::Operator::kNotPostfix:
    case policy::Operator::kNotGlob:
    case policy::Operator::kNotInDirectory:
    case policy::Operator::kNotInRange:
    case policy::Operator::kNotInMap:
    case policy::Operator::kNotMask:
    case policy::Operator::kNotSourceAddress:
    case policy::Operator::kNotDestinationAddress:
    case policy::Operator::kNotSourcePort:
    case policy::Operator::kNotDestinationPort:
    case policy::Operator::kNotSourcePortPrivileged:
    case policy::Operator::kNotDestinationPortPrivileged:
    case policy::Operator::kNotFileType:
    case policy::Operator::kNotSameFile:
      return true;
    default:
      return false;
  }
}

bool SameLetter(char a, char b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  };
  return lower(a) == lower(b);
}

/// Whether `text` compares with `value` as the operator says, its negation left aside.
bool TextCompares(policy::ArgumentType type, policy::Operator op, const std::string& text,
                  const std::string& value) {
  if (type == policy::ArgumentType::kAddress) return HasPrefix(text, value);
  switch (op) {
    case policy::Operator::kPrefix:
    case policy::Operator::kNotPrefix:
      return text.starts_with(value);
    case policy::Operator::kPostfix:
    case policy::Operator::kNotPostfix:
      return text.ends_with(value);
    case policy::Operator::kGlob:
    case policy::Operator::kNotGlob: {
      const Result<glob::Pattern> pattern = glob::Parse(value);
      return pattern && glob::Matches(*pattern, text);
    }
    case policy::Operator::kSubString:
      return text.find(value) != std::string::npos;
    case policy::Operator::kSubStringIgnoringCase:
      return !std::ranges::search(text, value, SameLetter).empty();
    case policy::Operator::kInDirectory:
    case policy::Operator::kNotInDirectory:
      return text == value || text.starts_with(value.ends_with('/') ? value : value + '/');
    default:
      return text == value;
  }
}

/// Whether a set has a member that is not among `values`.
bool HasOthers(policy::ArgumentType type, uint64_t set, const std::set<std::string>& values) {
  constexpr int kMembers = 64;
  for (int member = 0; member < kMembers; ++member) {
    const uint64_t alone = set & uint64_t{1} << member;
    const auto names_it = [&](const std::string& value) {
      return NumberCompares(type, policy::Operator::kIn, alone, value);
    };
    if (alone != 0 && std::ranges::none_of(values, names_it)) return true;
  }
  return false;
}

/// What cannot be read is in no set: what asks for a member fails, what asks for a stranger holds.
/// What is not there is neither.
FilterVerdict Judge(const policy::Filter& filter, const policy::Hook& hook,
                    const Variables& variables, const Operation& operation) {
  const Operand operand = OperandOf(filter, hook, operation);
  if (operand.absent) return {.filter = &filter, .readable = true, .holds = false};
  const bool of_numbers = policy::IsNumber(policy::TraitsOf(operand.type).values);
  Numbers numbers;
  if (const auto* one = std::get_if<uint64_t>(&operand.value)) numbers = {*one};
  if (const auto* several = std::get_if<Numbers>(&operand.value)) numbers = *several;
  Texts texts;
  if (const auto* one = std::get_if<std::string>(&operand.value)) texts = {*one};
  if (const auto* several = std::get_if<Texts>(&operand.value)) texts = *several;
  const std::set<std::string> values = ValuesOf(filter, variables);
  if (policy::AsksForOthers(filter.op, policy::TraitsOf(operand.type).values)) {
    const bool readable = !numbers.empty();
    return {.filter = &filter,
            .readable = readable,
            .holds = readable && HasOthers(operand.type, numbers.front(), values)};
  }
  bool in_set = false;
  for (const std::string& value : values) {
    for (const uint64_t number : of_numbers ? numbers : Numbers()) {
      in_set |= NumberCompares(operand.type, filter.op, number, value);
    }
    for (const std::string& text : of_numbers ? Texts() : texts) {
      in_set |= TextCompares(operand.type, filter.op, text, value);
    }
  }
  return {.filter = &filter,
          .readable = of_numbers ? !numbers.empty() : !texts.empty(),
          .holds = in_set != IsNegated(filter.op)};
}

SelectorVerdict Judge(const policy::Selector& selector, uint16_t index, const policy::Hook& hook,
                      const Variables& variables, const Acted& acted) {
  SelectorVerdict verdict{.index = index, .matches = true, .filters = {}};
  verdict.for_workload = IsFor(selector, acted.workload);
  if (!verdict.for_workload) {
    verdict.matches = false;
    return verdict;
  }
  for (const policy::Filter& filter : selector.filters) {
    verdict.filters.push_back(Judge(filter, hook, variables, acted.operation));
    verdict.matches = verdict.filters.back().holds;
    if (!verdict.matches) break;
  }
  return verdict;
}

/// What a selector asks for. It posts unless it says NoPost, whatever else it does.
void Ask(const policy::Selector& selector, const policy::Hook& hook, HookVerdict& verdict) {
  verdict.posts = true;
  for (const policy::Action& action : selector.actions) {
    switch (action.kind) {
      case policy::ActionKind::kPost:
      case policy::ActionKind::kGetUrl:
      case policy::ActionKind::kDnsLookup:
      case policy::ActionKind::kTrackSock:
      case policy::ActionKind::kUntrackSock:
        break;
      case policy::ActionKind::kNotifyEnforcer:
        verdict.notifies = Notification{action.error, action.signal};
        break;
      case policy::ActionKind::kCleanupEnforcerNotification:
        verdict.cleans_up = true;
        break;
      case policy::ActionKind::kNoPost:
        verdict.posts = false;
        break;
      case policy::ActionKind::kOverride:
        verdict.error = action.error;
        break;
      case policy::ActionKind::kSigkill:
      case policy::ActionKind::kSignal:
        verdict.signals.push_back(action.signal);
        break;
      case policy::ActionKind::kSet:
        verdict.sets.emplace(hook.arguments.at(action.argument).index, action.value);
        break;
    }
  }
}

/// Which selectors act where a hook is judged: all; or, of a hook with `return: true`, those that
/// act before the function, or the others.
enum class Acting { kAll, kBefore, kAfter };

bool Acts(const policy::Selector& selector, Acting acting) {
  return acting == Acting::kAll || policy::ActsBefore(selector) == (acting == Acting::kBefore);
}

/// The first selector that matches acts, and no other. A hook without selectors posts.
HookVerdict Judge(const policy::Hook& hook, uint16_t hook_index, Acting acting,
                  const Variables& variables, const Acted& acted) {
  HookVerdict verdict;
  verdict.hook_index = hook_index;
  if (hook.selectors.empty()) {
    verdict.decided_by = 0;
    verdict.posts = true;
  }
  for (const policy::Selector& selector : hook.selectors) {
    if (acting == Acting::kBefore && policy::LooksAtReturn(selector)) break;
    const auto index = static_cast<uint16_t>(verdict.selectors.size());
    verdict.selectors.push_back(Judge(selector, index, hook, variables, acted));
    if (!verdict.selectors.back().matches) continue;
    if (!Acts(selector, acting)) break;
    verdict.decided_by = index;
    Ask(selector, hook, verdict);
    break;
  }
  return verdict;
}

/// How a hook is judged at a place; nullopt: not at all.
std::optional<Acting> ActingAt(const policy::Site& site, const policy::Hook& hook) {
  const bool twice = hook.returned && std::ranges::any_of(hook.selectors, policy::ActsBefore);
  if (policy::SiteOf(hook) == site) return twice ? Acting::kAfter : Acting::kAll;
  if (twice && policy::SiteBefore(hook) == site) return Acting::kBefore;
  return std::nullopt;
}

/// An enforcer does what the thread is notified of, once.
HookVerdict JudgeEnforcer(uint16_t hook_index, const std::optional<Notification>& noted) {
  HookVerdict verdict;
  verdict.hook_index = hook_index;
  if (!noted) return verdict;
  verdict.decided_by = 0;
  verdict.error = noted->error;
  if (noted->signal != 0) verdict.signals.push_back(noted->signal);
  return verdict;
}

/// What is noted of the thread once the hook has been judged.
std::optional<Notification> NotedAfter(const HookVerdict& hook, std::optional<Notification> before,
                                       policy::Mode mode) {
  if (hook.cleans_up) return std::nullopt;
  return hook.notifies && mode == policy::Mode::kEnforce ? hook.notifies : before;
}

PolicyVerdict Judge(Candidate candidate, const Acted& acted) {
  PolicyVerdict verdict;
  const auto known = acted.operation.notified.find(candidate.key);
  if (known != acted.operation.notified.end()) verdict.noted = known->second;
  if (candidate.spec != nullptr) {
    uint16_t hook_index = 0;
    for (const policy::Hook& hook : candidate.spec->hooks) {
      if (hook.kind == policy::HookKind::kEnforcer) {
        if (policy::SiteOf(hook) == acted.operation.site) {
          verdict.hooks.push_back(JudgeEnforcer(hook_index, verdict.noted));
          verdict.noted.reset();
        }
      } else if (const auto acting = ActingAt(acted.operation.site, hook)) {
        verdict.hooks.push_back(Judge(hook, hook_index, *acting, candidate.variables, acted));
        verdict.noted = NotedAfter(verdict.hooks.back(), verdict.noted, candidate.mode);
      }
      ++hook_index;
    }
  }
  verdict.key = std::move(candidate.key);
  verdict.members = std::move(candidate.members);
  verdict.template_name = std::move(candidate.template_name);
  verdict.standing = candidate.standing;
  verdict.reason = std::move(candidate.reason);
  verdict.mode = candidate.mode;
  return verdict;
}

}  // namespace

/// A denial wins over everything; of several errnos, and of several values for one argument, the
/// first policy's counts; every signal is sent; every policy that posts is heard. A policy that
/// monitors posts, and does nothing else.
Verdict Evaluate(std::span<const Policy> policies, const workload::Workload* workload,
                 const Operation& operation) {
  Verdict verdict;
  std::set<int32_t> signals;
  for (Candidate& candidate : FindCandidates(policies, workload)) {
    const PolicyVerdict& policy =
        verdict.policies.emplace_back(Judge(std::move(candidate), {workload, operation}));
    const bool monitor = policy.mode == policy::Mode::kMonitor;
    if (policy.noted) verdict.notified.emplace(policy.key, *policy.noted);
    for (const HookVerdict& hook : policy.hooks) {
      if (hook.posts) {
        verdict.posts.push_back({policy.key, policy.members, hook.hook_index, *hook.decided_by,
                                 monitor, hook.error, hook.signals});
      }
      if (monitor) continue;
      if (hook.error != 0 && verdict.error == 0) {
        verdict.error = hook.error;
        verdict.denied_by = policy.key;
      }
      signals.insert(hook.signals.begin(), hook.signals.end());
      verdict.sets.insert(hook.sets.begin(), hook.sets.end());  // the first one's stays
    }
  }
  verdict.signals.assign(signals.begin(), signals.end());
  return verdict;
}

const char* StandingName(Standing standing) {
  switch (standing) {
    case Standing::kApplies:
      return "applies";
    case Standing::kMerged:
      return "merged";
    case Standing::kNotAbout:
      return "not about this workload";
    case Standing::kDisabled:
      return "disabled";
    case Standing::kNoTemplate:
      return "no template";
    case Standing::kBadValues:
      return "bad values";
    case Standing::kConflict:
      return "conflict";
    case Standing::kOverridden:
      return "overridden";
  }
  __builtin_unreachable();
}

}  // namespace gatehouse::eval
