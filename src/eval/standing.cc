// SPDX-License-Identifier: Apache-2.0
#include "eval/standing.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "eval/numbers.h"
#include "policy/catalog.h"
#include "policy/format.h"

namespace gatehouse::eval {
namespace {

using workload::Workload;

std::string Quoted(const std::string& text) { return '"' + text + '"'; }

/// Yes or no, and why.
struct Answer {
  bool yes = false;
  std::string why;
};

Answer Yes(std::string why) { return {true, std::move(why)}; }
Answer No(std::string why) { return {false, std::move(why)}; }

// ---- selectors
// -----------------------------------------------------------------------------------

using Attributes = std::map<std::string, std::string>;

/// What a podSelector sees: the labels, and the namespace in its own place.
Attributes PodAttributes(const Workload& workload) {
  Attributes attributes(workload.labels.begin(), workload.labels.end());
  attributes.erase(std::string(workload::kNamespaceLabel));
  if (!workload.ns.empty()) attributes[std::string(workload::kNamespaceLabel)] = workload.ns;
  return attributes;
}

/// What a containerSelector sees.
Attributes ContainerAttributes(const Workload& workload) {
  Attributes attributes;
  if (!workload.container.empty()) attributes["name"] = workload.container;
  if (!workload.Repo().empty()) attributes["repo"] = workload.Repo();
  return attributes;
}

bool Holds(const policy::LabelRequirement& requirement, const Attributes& attributes) {
  const auto found = attributes.find(requirement.key);
  const bool exists = found != attributes.end();
  const bool listed =
      exists && std::count(requirement.values.begin(), requirement.values.end(), found->second) > 0;
  switch (requirement.op) {
    case policy::LabelOperator::kIn:
      return listed;
    case policy::LabelOperator::kNotIn:
      return !listed;
    case policy::LabelOperator::kExists:
      return exists;
    case policy::LabelOperator::kDoesNotExist:
      return !exists;
  }
  __builtin_unreachable();
}

Answer HoldAll(const std::string& selector_name, const policy::LabelSelector& selector,
               const Attributes& attributes) {
  for (const policy::LabelRequirement& requirement : selector.requirements) {
    if (!Holds(requirement, attributes)) {
      return No("its " + selector_name + " does not match: " + requirement.key + " " +
                std::string(policy::NameOf(requirement.op)) + " does not hold");
    }
  }
  return Yes("its " + selector_name + " matches");
}

Answer IsInNamespace(const std::string& ns, const Workload* workload) {
  if (ns.empty()) return Yes("it is cluster-wide");
  if (workload != nullptr && workload->ns == ns) return Yes("it is of the workload's namespace");
  return No("it is for namespace " + Quoted(ns) + " alone");
}

Answer Selects(const policy::WorkloadSelector& selector, const Workload* workload) {
  if (selector.Unconstrained()) return Yes("it has no selector");
  const bool is_host = workload == nullptr;
  if (selector.host && (is_host || workload->pod.empty())) return Yes("its hostSelector matches");
  if (is_host) return No("it has no hostSelector");
  if (!selector.pod && !selector.container) return No("its hostSelector is not about pods");

  Answer answer;
  if (selector.pod) {
    answer = HoldAll("podSelector", *selector.pod, PodAttributes(*workload));
    if (!answer.yes) return answer;
  }
  if (selector.container) {
    answer = HoldAll("containerSelector", *selector.container, ContainerAttributes(*workload));
  }
  return answer;
}

Answer IsLabelled(const policy::Binding& binding, const Workload& workload) {
  const std::string label = "tetragon-" + binding.template_name;
  const auto found = workload.labels.find(label);
  if (found != workload.labels.end() && !found->second.empty() &&
      binding.key.name == binding.template_name + "-" + found->second) {
    return Yes("the label " + label + "=" + found->second + " names it");
  }
  return No("no label names it");
}

/// The runtime's own, which no policy is about.
bool IsSandbox(const Workload* workload) { return workload != nullptr && workload->sandbox; }
constexpr const char* kOfSandbox = "a pod's sandbox runs nothing of the user's";

Answer IsAbout(const policy::TracingPolicy& policy, const Workload* workload) {
  if (IsSandbox(workload)) return No(kOfSandbox);
  Answer in_namespace = IsInNamespace(policy.key.ns, workload);
  return in_namespace.yes ? Selects(policy.selector, workload) : in_namespace;
}

Answer IsAbout(const policy::Binding& binding, const Workload* workload) {
  if (workload == nullptr) return No("a binding is not about the host");
  if (IsSandbox(workload)) return No(kOfSandbox);
  Answer in_namespace = IsInNamespace(binding.key.ns, workload);
  if (!in_namespace.yes) return in_namespace;
  Answer labelled = IsLabelled(binding, *workload);
  if (labelled.yes || binding.selector.Unconstrained()) return labelled;
  return Selects(binding.selector, workload);
}

// ---- bindings
// ------------------------------------------------------------------------------------

const Policy* FindTemplate(std::span<const Policy> policies, const std::string& name) {
  for (const Policy& policy : policies) {
    const auto* tmpl = std::get_if<policy::Template>(&policy.document->object);
    if (tmpl != nullptr && tmpl->key.name == name) return &policy;
  }
  return nullptr;
}

/// Whether an argument that is a number can be compared with all of the values.
Answer FitsFilter(const policy::Hook& hook, const policy::Filter& filter,
                  const policy::Values& values) {
  const policy::ArgumentType type = policy::TraitsOf(filter, hook).operand;
  if (policy::IsText(policy::TraitsOf(type).values)) return Yes("it is about a text");
  for (const std::string& value : values.literals) {
    if (IsComparable(type, filter.op, value)) continue;
    return No(Quoted(value) + " is no value for " + std::string(policy::NameOf(filter.op)) +
              " on an argument of type " + std::string(policy::NameOf(type)));
  }
  return Yes("its values are of its type");
}

Answer FitsTemplate(const policy::Binding& binding, const policy::Template& tmpl) {
  std::set<std::string> declared;
  for (const policy::Variable& variable : tmpl.variables) declared.insert(variable.name);
  for (const std::string& name : declared) {
    if (!binding.values.contains(name)) return No("it has no value for variable " + Quoted(name));
  }
  for (const auto& [name, values] : binding.values) {
    if (!declared.contains(name)) return No(Quoted(name) + " is no variable of its template");
  }
  for (const policy::Hook& hook : tmpl.spec.hooks) {
    for (const policy::Selector& selector : hook.selectors) {
      for (const policy::Filter& filter : selector.filters) {
        if (!filter.values.variable) continue;
        const policy::Values& values = binding.values.at(*filter.values.variable);
        if (Answer fits = FitsFilter(hook, filter, values); !fits.yes) return fits;
      }
    }
  }
  return Yes("its values fit the template");
}

/// A binding that nothing but another binding can keep from applying.
struct Contender {
  const policy::Binding* binding;
  const policy::Template* tmpl;
  Candidate* candidate;
};

std::string OthersOf(const Contender& contender, const std::vector<Contender>& all) {
  std::string names;
  for (const Contender& other : all) {
    if (other.binding == contender.binding) continue;
    names += (names.empty() ? "" : ", ") + Quoted(other.binding->key.ToString());
  }
  return names;
}

void Conflict(const std::vector<Contender>& contenders, const std::string& why) {
  for (const Contender& contender : contenders) {
    contender.candidate->standing = Standing::kConflict;
    contender.candidate->reason =
        "it conflicts with " + OthersOf(contender, contenders) + ": " + why;
  }
}

void Apply(const Contender& contender) {
  Candidate& candidate = *contender.candidate;
  candidate.standing = Standing::kApplies;
  candidate.spec = &contender.tmpl->spec;
  for (const auto& [name, values] : contender.binding->values) {
    candidate.variables[name].insert(values.literals.begin(), values.literals.end());
  }
}

/// The first, by key, speaks for all.
void Merge(const std::vector<Contender>& contenders) {
  Candidate& merged = *contenders.front().candidate;
  for (const Contender& contender : contenders) {
    Apply(contender);
    contender.candidate->standing = Standing::kMerged;
    contender.candidate->reason =
        "it is merged with " + OthersOf(contender, contenders) + ", as all say onOverlap: Merge";
    if (contender.candidate == &merged) continue;
    Candidate& other = *contender.candidate;
    merged.members.push_back(other.key);
    if (other.mode == policy::Mode::kEnforce) merged.mode = policy::Mode::kEnforce;
    for (auto& [name, values] : other.variables) merged.variables[name].merge(values);
    other.members.clear();  // spoken for
  }
}

/// Decides among the bindings of one template, by key.
void Contend(const std::vector<Contender>& contenders) {
  if (contenders.size() == 1) return Apply(contenders.front());

  bool all_merge = true;
  bool all_allow_override = true;
  int64_t highest = contenders.front().binding->override_priority;
  for (const Contender& contender : contenders) {
    const policy::Binding& binding = *contender.binding;
    all_merge = all_merge && binding.on_overlap == policy::OnOverlap::kMerge;
    all_allow_override = all_allow_override && binding.override_allowed;
    highest = std::max(highest, binding.override_priority);
  }
  if (all_merge) return Merge(contenders);
  if (!all_allow_override) return Conflict(contenders, "not all have overrideAllowed: true");

  std::vector<Contender> winners;
  for (const Contender& contender : contenders) {
    if (contender.binding->override_priority == highest) winners.push_back(contender);
  }
  if (winners.size() > 1) return Conflict(contenders, "several have the highest overridePriority");

  const std::string winner = Quoted(winners.front().binding->key.ToString());
  for (const Contender& contender : contenders) {
    contender.candidate->standing = Standing::kOverridden;
    contender.candidate->reason = winner + " has a higher overridePriority";
  }
  winners.front().candidate->reason = "it has the highest overridePriority";
  Apply(winners.front());
}

// ---- all together
// --------------------------------------------------------------------------------

constexpr char kForOtherNodes[] = "its nodeSelector is about other nodes";

Candidate Describe(const policy::Key& key) {
  Candidate candidate;
  candidate.key = key;
  candidate.members = {key};
  return candidate;
}

Candidate Consider(const Policy& input, const policy::TracingPolicy& policy,
                   const Workload* workload) {
  Candidate candidate = Describe(policy.key);
  candidate.mode = input.mode.value_or(policy.spec.mode);
  const Answer about = input.for_node ? IsAbout(policy, workload) : No(kForOtherNodes);
  candidate.reason = about.why;
  if (!about.yes) return candidate;
  if (!input.enabled) {
    candidate.standing = Standing::kDisabled;
    candidate.reason = "it is disabled";
    return candidate;
  }
  candidate.standing = Standing::kApplies;
  candidate.spec = &policy.spec;
  return candidate;
}

/// As far as other bindings do not matter: kApplies if it may contend.
Candidate Consider(const Policy& input, const policy::Binding& binding, const Policy* tmpl,
                   const Workload* workload) {
  Candidate candidate = Describe(binding.key);
  candidate.template_name = binding.template_name;
  const Answer about = IsAbout(binding, workload);
  candidate.reason = about.why;
  if (!about.yes) return candidate;
  if (!input.enabled) {
    candidate.standing = Standing::kDisabled;
    candidate.reason = "it is disabled";
    return candidate;
  }
  if (tmpl == nullptr || !tmpl->enabled || !tmpl->for_node) {
    candidate.standing = Standing::kNoTemplate;
    candidate.reason = "template " + Quoted(binding.template_name) +
                       (tmpl == nullptr   ? " does not exist"
                        : !tmpl->for_node ? " is for other nodes"
                                          : " is disabled");
    return candidate;
  }
  const auto& definition = std::get<policy::Template>(tmpl->document->object);
  candidate.mode = input.mode.value_or(tmpl->mode.value_or(definition.spec.mode));
  if (const Answer fits = FitsTemplate(binding, definition); !fits.yes) {
    candidate.standing = Standing::kBadValues;
    candidate.reason = fits.why;
    return candidate;
  }
  candidate.standing = Standing::kApplies;
  return candidate;
}

}  // namespace

bool IsFor(const policy::Selector& selector, const Workload* workload) {
  return !selector.workloads || Selects(*selector.workloads, workload).yes;
}

std::vector<Candidate> FindCandidates(std::span<const Policy> policies, const Workload* workload) {
  std::vector<Policy> by_key(policies.begin(), policies.end());
  std::ranges::sort(by_key, [](const Policy& a, const Policy& b) {
    return a.document->key() < b.document->key();
  });

  std::vector<Candidate> candidates;
  candidates.reserve(by_key.size());  // contenders point into it
  std::map<std::string, std::vector<Contender>> contenders;
  for (const Policy& input : by_key) {
    if (const auto* policy = std::get_if<policy::TracingPolicy>(&input.document->object)) {
      candidates.push_back(Consider(input, *policy, workload));
    } else if (const auto* binding = std::get_if<policy::Binding>(&input.document->object)) {
      const Policy* tmpl = FindTemplate(by_key, binding->template_name);
      Candidate& candidate = candidates.emplace_back(Consider(input, *binding, tmpl, workload));
      if (candidate.standing == Standing::kApplies) {
        contenders[binding->template_name].push_back(
            {binding, &std::get<policy::Template>(tmpl->document->object), &candidate});
      }
    }
  }
  for (const auto& [template_name, bindings] : contenders) Contend(bindings);
  std::erase_if(candidates, [](const Candidate& candidate) { return candidate.members.empty(); });
  return candidates;
}

}  // namespace gatehouse::eval
