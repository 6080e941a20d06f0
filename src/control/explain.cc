// SPDX-License-Identifier: Apache-2.0
// What the evaluator found, in words and messages.
#include <algorithm>
#include <csignal>
#include <optional>
#include <string>

#include "control/convert.h"
#include "policy/format.h"

namespace gatehouse::control {
namespace {

/// Of a filter's values, as many are written out.
constexpr size_t kValuesShown = 3;

std::string Describe(const policy::Filter& filter) {
  std::string text(policy::NameOf(filter.subject));
  text += " ";
  text += policy::NameOf(filter.op);
  if (filter.values.variable) return text + " $" + *filter.values.variable;
  const auto& values = filter.values.literals;
  for (size_t i = 0; i < std::min(values.size(), kValuesShown); ++i) {
    text += (i == 0 ? " " : ", ") + values[i];
  }
  if (values.size() > kValuesShown) {
    text += " and " + std::to_string(values.size() - kValuesShown) + " more";
  }
  return text;
}

std::string Describe(const eval::FilterVerdict& verdict) {
  std::string text = Describe(*verdict.filter);
  text += verdict.holds ? " holds" : " does not hold";
  return verdict.readable ? text : text + " (the value cannot be read)";
}

/// Why the hook's selectors decided as they did.
std::string Because(const eval::HookVerdict& hook) {
  std::string text;
  for (const eval::SelectorVerdict& selector : hook.selectors) {
    if (hook.decided_by && selector.index != *hook.decided_by) continue;
    text += (text.empty() ? "" : "; ") + ("selector " + std::to_string(selector.index) + ": ");
    if (!selector.for_workload) {
      text += "for other workloads";
    } else if (selector.filters.empty()) {
      text += "no filters";
    } else if (selector.matches) {
      for (size_t i = 0; i < selector.filters.size(); ++i) {
        text += (i == 0 ? "" : " and ") + Describe(selector.filters[i]);
      }
    } else {
      text += Describe(selector.filters.back());
    }
  }
  return text.empty() ? "no selectors: always posts" : text;
}

const std::vector<policy::Hook>* HooksOf(const policy::Document& document) {
  if (const auto* policy = std::get_if<policy::TracingPolicy>(&document.object)) {
    return &policy->spec.hooks;
  }
  if (const auto* tmpl = std::get_if<policy::Template>(&document.object)) {
    return &tmpl->spec.hooks;
  }
  return nullptr;
}

class Explainer {
 public:
  Explainer(const daemon::Explanation& explanation, kernel::Backend backend)
      : explanation_(explanation), backend_(backend) {}

  void Fill(const daemon::HookExplanation& hook, v1::HookExplanation* out) const {
    out->set_hook(hook.site.name);
    const eval::Verdict& verdict = hook.verdict;
    v1::Verdict* into = out->mutable_verdict();
    into->set_allowed(verdict.error == 0 && !Kills(verdict));
    into->set_error(verdict.error);
    into->mutable_signals()->Add(verdict.signals.begin(), verdict.signals.end());
    into->set_by_signal(verdict.error != 0 && backend_ == kernel::Backend::kSignal);
    for (const eval::Post& post : verdict.posts) SetRef(post.key, into->add_posted_by());
    for (const eval::PolicyVerdict& policy : verdict.policies) {
      if (policy.standing == eval::Standing::kNotAbout) continue;
      if (Denies(policy)) SetRef(policy.key, into->add_denied_by());
      Fill(policy, out);
    }
  }

 private:
  static bool Kills(const eval::Verdict& verdict) {
    return std::ranges::find(verdict.signals, SIGKILL) != verdict.signals.end();
  }

  static bool Denies(const eval::PolicyVerdict& policy) {
    return policy.mode == policy::Mode::kEnforce &&
           std::ranges::any_of(policy.hooks,
                               [](const eval::HookVerdict& hook) { return hook.error != 0; });
  }

  void Fill(const eval::PolicyVerdict& policy, v1::HookExplanation* out) const {
    const bool applies =
        policy.standing == eval::Standing::kApplies || policy.standing == eval::Standing::kMerged;
    if (!applies) {
      v1::PolicyDecision* decision = out->add_decisions();
      SetPolicy(policy, decision->mutable_policy());
      decision->set_because(policy.reason);
      return;
    }
    for (const eval::HookVerdict& hook : policy.hooks) {
      v1::PolicyDecision* decision = out->add_decisions();
      SetPolicy(policy, decision->mutable_policy());
      decision->set_because(Because(hook));
      if (!hook.decided_by) continue;
      SetRule(policy, hook, decision->mutable_rule());
      AddActions(hook, decision);
    }
  }

  void AddActions(const eval::HookVerdict& hook, v1::PolicyDecision* out) const {
    out->add_actions()->set_kind(hook.posts ? v1::Action::KIND_POST : v1::Action::KIND_NO_POST);
    if (hook.error != 0) {
      v1::Action* action = out->add_actions();
      action->set_kind(v1::Action::KIND_OVERRIDE);
      action->set_error(hook.error);
    }
    for (const int32_t signal : hook.signals) {
      v1::Action* action = out->add_actions();
      action->set_kind(signal == SIGKILL ? v1::Action::KIND_SIGKILL : v1::Action::KIND_SIGNAL);
      action->set_signal(signal);
    }
  }

  void SetRef(const policy::Key& key, v1::PolicyRef* out) const {
    const policy::Document* document = Find(key);
    const bool binding =
        document != nullptr && std::holds_alternative<policy::Binding>(document->object);
    out->set_kind(KindOf(key, binding ? bind::Kind::kBinding : bind::Kind::kPolicy));
    out->set_name(key.name);
    out->set_namespace_(key.ns);
  }

  void SetPolicy(const eval::PolicyVerdict& policy, v1::AppliedPolicy* out) const {
    out->set_mode(policy.mode == policy::Mode::kMonitor ? v1::POLICY_MODE_MONITOR
                                                        : v1::POLICY_MODE_ENFORCE);
    if (policy.template_name.empty()) {
      SetRef(policy.key, out->mutable_policy());
    } else {
      out->mutable_policy()->set_kind(v1::POLICY_KIND_TEMPLATE);
      out->mutable_policy()->set_name(policy.template_name);
      for (const policy::Key& member : policy.members) SetRef(member, out->add_bindings());
    }
    for (const bind::InstanceInfoPtr& instance : explanation_.view.policies) {
      if (instance->members == policy.members) out->set_instance(instance->id);
    }
  }

  void SetRule(const eval::PolicyVerdict& policy, const eval::HookVerdict& hook,
               v1::RuleRef* out) const {
    out->set_hook_index(hook.hook_index);
    out->set_selector(*hook.decided_by);
    const policy::Document* document =
        policy.template_name.empty() ? Find(policy.key) : FindTemplate(policy.template_name);
    const std::vector<policy::Hook>* hooks = document ? HooksOf(*document) : nullptr;
    if (hooks == nullptr || hook.hook_index >= hooks->size()) return;
    const policy::Hook& written = (*hooks)[hook.hook_index];
    out->set_call(written.call);
    if (*hook.decided_by < written.selectors.size()) {
      out->set_line(written.selectors[*hook.decided_by].position.line);
    }
  }

  [[nodiscard]] const policy::Document* Find(const policy::Key& key) const {
    for (const policy::Document& document : explanation_.documents) {
      if (document.key() == key) return &document;
    }
    return nullptr;
  }

  /// Templates are cluster-wide.
  [[nodiscard]] const policy::Document* FindTemplate(const std::string& name) const {
    const policy::Document* document = Find({name, ""});
    const bool is_template =
        document != nullptr && std::holds_alternative<policy::Template>(document->object);
    return is_template ? document : nullptr;
  }

  const daemon::Explanation& explanation_;
  const kernel::Backend backend_;
};

}  // namespace

void Fill(const daemon::Explanation& explanation, kernel::Backend backend,
          v1::ExplainResponse* out) {
  Fill(explanation.view, out->mutable_workload());
  const Explainer explainer(explanation, backend);
  for (const daemon::HookExplanation& hook : explanation.hooks) {
    explainer.Fill(hook, out->add_hooks());
  }
}

}  // namespace gatehouse::control
