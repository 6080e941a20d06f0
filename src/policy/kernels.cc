// SPDX-License-Identifier: Apache-2.0
#include "policy/kernels.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/format.h"
#include "policy/sites.h"

namespace gatehouse::policy {
namespace {

constexpr KernelVersion kOldest{5, 10};
/// Programs on perf events may use what they need: see docs/operations.md.
constexpr KernelVersion kPerfEvents{6, 1};
/// Perf events about mappings tell build ids, kernel commit 88a16a130933.
constexpr KernelVersion kBuildIds{5, 12};
/// The tracepoint sched_prepare_exec, kernel commit 5c5fad46e48c.
constexpr KernelVersion kPrepareExec{6, 10};

/// Whether a selector has an action of that kind with an errno.
bool Fails(const Hook& hook, ActionKind kind) {
  return std::ranges::any_of(hook.selectors, [&](const Selector& selector) {
    return std::ranges::any_of(selector.actions, [&](const Action& action) {
      return action.kind == kind && action.error != 0;
    });
  });
}

/// Whether hooks notify enforcers of an errno.
bool NotifyOfErrors(const std::vector<Hook>& hooks) {
  return std::ranges::any_of(
      hooks, [](const Hook& hook) { return Fails(hook, ActionKind::kNotifyEnforcer); });
}

bool LooksAt(const Hook& hook, std::initializer_list<Subject> subjects) {
  return std::ranges::any_of(hook.selectors, [&](const Selector& selector) {
    return std::ranges::any_of(selector.filters, [&](const Filter& filter) {
      return std::ranges::find(subjects, filter.subject) != subjects.end();
    });
  });
}

/// Whether a filter asks what the process was before an execution.
bool LooksAtWhoExecutes(const Hook& hook) {
  return LooksAt(hook, {Subject::kBinary, Subject::kDescent, Subject::kParentDescent,
                        Subject::kNamespaceChanges, Subject::kCapabilityChanges});
}

/// `notified`: enforcers are, of an errno.
void Add(const Hook& hook, bool notified, KernelNeeds& needs) {
  const bool enforcer = hook.kind == HookKind::kEnforcer;
  const bool overrides = enforcer ? notified : Fails(hook, ActionKind::kOverride);
  const Site site = SiteOf(hook);
  const auto needs_version = [&](KernelVersion version) {
    needs.trampolines = std::max(needs.trampolines, version);
    needs.signal = std::max(needs.signal, version);
  };
  if (LooksAt(hook, {Subject::kScript}) && needs.refused_by_signal.empty()) {
    needs.refused_by_signal = NameOf(Subject::kScript);
  }
  switch (site.kind) {
    case Site::Kind::kLsm:
    case Site::Kind::kFunction:
      if (!IsOfExec(site)) {
        if (needs.refused_by_signal.empty()) needs.refused_by_signal = NameOf(site);
      } else if (LooksAtWhoExecutes(hook)) {
        needs.signal = std::max(needs.signal, kPrepareExec);
      }
      needs.kills_for_override |= overrides;
      return;
    case Site::Kind::kSystemCall:
      if (!overrides) return;
      if (needs.refused_by_signal.empty()) {
        needs.refused_by_signal = (enforcer ? "argError of NotifyEnforcer on " : "Override of ") +
                                  NameOf(SiteBefore(hook));
      }
      needs.options = {"CONFIG_FUNCTION_ERROR_INJECTION"};
      return;
    case Site::Kind::kTracepoint:
    case Site::Kind::kUprobe:
    case Site::Kind::kUsdt:
      return needs_version(kPerfEvents);
    case Site::Kind::kLoader:
      if (needs.refused_by_signal.empty()) needs.refused_by_signal = NameOf(site);
      needs.trampolines = std::max(needs.trampolines, kBuildIds);
      return;
    case Site::Kind::kRawTracepoint:
      return;
  }
}

std::string Later(KernelVersion version) {
  return fmt::format("{}.{} or later", version.major, version.minor);
}

}  // namespace

KernelNeeds NeedsOf(const Spec& spec) {
  KernelNeeds needs{
      .trampolines = kOldest, .signal = kOldest, .refused_by_signal = {}, .options = {}};
  const bool notified = NotifyOfErrors(spec.hooks);
  for (const Hook& hook : spec.hooks) Add(hook, notified, needs);
  return needs;
}

std::string KernelNeeds::ToString() const {
  std::string text = "Linux " + Later(trampolines);
  if (!refused_by_signal.empty()) {
    text += " with backend lsm or fmod_ret; not with signal: " + refused_by_signal;
  } else if (signal == trampolines && !kills_for_override) {
    text += " with any backend";
  } else {
    text += " with backend lsm or fmod_ret; ";
    text += signal == trampolines ? "with signal" : Later(signal) + " with signal";
    if (kills_for_override) text += " and --deny-by-signal, which kills";
  }
  if (!options.empty()) text += fmt::format("; built with {}", fmt::join(options, ", "));
  return text;
}

}  // namespace gatehouse::policy
