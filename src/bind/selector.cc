// SPDX-License-Identifier: Apache-2.0
#include "bind/selector.h"

#include <algorithm>
#include <optional>
#include <string>

namespace gatehouse::bind {
namespace {

using Value = std::optional<std::string_view>;

bool Holds(const policy::LabelRequirement& requirement, Value value) {
  const auto listed = [&] {
    return std::ranges::find(requirement.values, *value) != requirement.values.end();
  };
  switch (requirement.op) {
    case policy::LabelOperator::kIn:
      return value && listed();
    case policy::LabelOperator::kNotIn:
      return !value || !listed();
    case policy::LabelOperator::kExists:
      return value.has_value();
    case policy::LabelOperator::kDoesNotExist:
      return !value;
  }
  __builtin_unreachable();
}

template <typename Lookup>
bool AllHold(const policy::LabelSelector& selector, const Lookup& lookup) {
  return std::all_of(selector.requirements.begin(), selector.requirements.end(),
                     [&](const policy::LabelRequirement& requirement) {
                       return Holds(requirement, lookup(requirement.key));
                     });
}

/// A value that the requirement holds for; none: without the key it holds, or no value is asked
/// for.
std::optional<std::string> ExampleValue(const policy::LabelRequirement& requirement) {
  if (requirement.op == policy::LabelOperator::kExists) return "any";
  if (requirement.op == policy::LabelOperator::kIn && !requirement.values.empty()) {
    return requirement.values.front();
  }
  return std::nullopt;
}

Value AbsentIfEmpty(std::string_view text) { return text.empty() ? Value() : Value(text); }

}  // namespace

bool MatchesPod(const policy::LabelSelector& selector, const workload::Workload& workload) {
  return AllHold(selector, [&](std::string_view key) -> Value {
    if (key == workload::kNamespaceLabel) return AbsentIfEmpty(workload.ns);
    const auto label = workload.labels.find(key);
    return label == workload.labels.end() ? Value() : Value(label->second);
  });
}

bool MatchesContainer(const policy::LabelSelector& selector, const workload::Workload& workload) {
  return AllHold(selector, [&](std::string_view key) -> Value {
    if (key == kContainerNameKey) return AbsentIfEmpty(workload.container);
    if (key == kContainerRepoKey) return AbsentIfEmpty(workload.Repo());
    return {};
  });
}

bool Matches(const policy::WorkloadSelector& selector, std::string_view ns,
             const workload::Workload& workload) {
  if (workload.sandbox || (!ns.empty() && workload.ns != ns)) return false;
  if (selector.Unconstrained()) return true;
  if (selector.host && !workload.IsPod()) return true;
  if (!selector.pod && !selector.container) return false;
  return (!selector.pod || MatchesPod(*selector.pod, workload)) &&
         (!selector.container || MatchesContainer(*selector.container, workload));
}

workload::Workload Example(const policy::WorkloadSelector& selector, std::string_view ns) {
  workload::Workload workload;
  workload.ns = ns;
  const policy::LabelSelector nothing;
  for (const auto& requirement : (selector.pod ? *selector.pod : nothing).requirements) {
    const auto value = ExampleValue(requirement);
    if (!value) continue;
    if (requirement.key != workload::kNamespaceLabel) {
      workload.labels.emplace(requirement.key, *value);
    } else if (ns.empty()) {
      workload.ns = *value;
    }
  }
  for (const auto& requirement :
       (selector.container ? *selector.container : nothing).requirements) {
    const auto value = ExampleValue(requirement);
    if (value && requirement.key == kContainerNameKey) workload.container = *value;
    if (value && requirement.key == kContainerRepoKey) workload.image = *value;
  }
  const auto describe = [&](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    if (!workload.cgroup.empty()) workload.cgroup += ",";
    workload.cgroup.append(key).append("=").append(value);
  };
  describe("namespace", workload.ns);
  for (const auto& [key, value] : workload.labels) describe(key, value);
  describe("container", workload.container);
  describe("repo", workload.image);
  if (workload.cgroup.empty()) workload.cgroup = "any";
  return workload;
}

bool MatchesNode(const std::optional<policy::LabelSelector>& selector,
                 const workload::Labels& labels) {
  return !selector || AllHold(*selector, [&](std::string_view key) -> Value {
    const auto label = labels.find(key);
    return label == labels.end() ? Value() : Value(label->second);
  });
}

bool MatchesHost(const policy::WorkloadSelector& selector, std::string_view ns) {
  return ns.empty() && (selector.host || selector.Unconstrained());
}

}  // namespace gatehouse::bind
