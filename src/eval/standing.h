// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "eval/evaluator.h"
#include "policy/model.h"
#include "workload/registry.h"

/// The first half of the semantics: who has a say about a workload.
namespace gatehouse::eval {

/// A policy, or bindings of one template together, and how they stand.
struct Candidate {
  policy::Key key;
  std::vector<policy::Key> members;
  std::string template_name;
  Standing standing = Standing::kNotAbout;
  std::string reason;
  policy::Mode mode = policy::Mode::kEnforce;
  // If it applies, what it says:
  const policy::Spec* spec = nullptr;
  std::map<std::string, std::set<std::string>> variables;
};

/// Whether a selector is for `workload` (null: the host): what its matchWorkloads says.
[[nodiscard]] bool IsFor(const policy::Selector& selector, const workload::Workload* workload);

/// Every policy, every binding (those that are merged: as one), by key. `workload` null: the host.
[[nodiscard]] std::vector<Candidate> FindCandidates(std::span<const Policy> policies,
                                                    const workload::Workload* workload);

}  // namespace gatehouse::eval
