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
  if (!ns.empty() && workload.ns != ns) return false;
  if (selector.Unconstrained()) return true;
  if (selector.host && !workload.IsPod()) return true;
  if (!selector.pod && !selector.container) return false;
  return (!selector.pod || MatchesPod(*selector.pod, workload)) &&
         (!selector.container || MatchesContainer(*selector.container, workload));
}

bool MatchesHost(const policy::WorkloadSelector& selector, std::string_view ns) {
  return ns.empty() && (selector.host || selector.Unconstrained());
}

}  // namespace gatehouse::bind
