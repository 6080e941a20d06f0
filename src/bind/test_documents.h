// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policy/model.h"
#include "workload/registry.h"

/// Short ways to write documents and workloads in tests.
namespace gatehouse::test {

inline policy::LabelRequirement In(std::string key, std::vector<std::string> values) {
  return {std::move(key), policy::LabelOperator::kIn, std::move(values)};
}
inline policy::LabelRequirement NotIn(std::string key, std::vector<std::string> values) {
  return {std::move(key), policy::LabelOperator::kNotIn, std::move(values)};
}
inline policy::LabelRequirement Exists(std::string key) {
  return {std::move(key), policy::LabelOperator::kExists, {}};
}
inline policy::LabelRequirement Absent(std::string key) {
  return {std::move(key), policy::LabelOperator::kDoesNotExist, {}};
}

inline policy::WorkloadSelector Everything() { return {}; }
inline policy::WorkloadSelector Pods(std::vector<policy::LabelRequirement> requirements) {
  policy::WorkloadSelector selector;
  selector.pod = policy::LabelSelector{std::move(requirements)};
  return selector;
}
inline policy::WorkloadSelector Containers(std::vector<policy::LabelRequirement> requirements) {
  policy::WorkloadSelector selector;
  selector.container = policy::LabelSelector{std::move(requirements)};
  return selector;
}
inline policy::WorkloadSelector Host() {
  policy::WorkloadSelector selector;
  selector.host = true;
  return selector;
}

inline policy::Filter ObjectFilter(policy::Operator op, std::vector<std::string> literals) {
  policy::Filter filter;
  filter.op = op;
  filter.values.literals = std::move(literals);
  return filter;
}
inline policy::Filter BinaryFilter(policy::Operator op, std::vector<std::string> literals) {
  policy::Filter filter = ObjectFilter(op, std::move(literals));
  filter.subject = policy::Subject::kBinary;
  return filter;
}
inline policy::Filter VariableFilter(policy::Operator op, std::string variable) {
  policy::Filter filter;
  filter.op = op;
  filter.values.variable = std::move(variable);
  return filter;
}

inline policy::Action Post() { return {.kind = policy::ActionKind::kPost}; }
inline policy::Action NoPost() { return {.kind = policy::ActionKind::kNoPost}; }
inline policy::Action Deny(int32_t error = -EPERM) {
  return {.kind = policy::ActionKind::kOverride, .error = error};
}
inline policy::Action Kill() { return {.kind = policy::ActionKind::kSigkill, .signal = SIGKILL}; }
inline policy::Action Signal(int32_t signal) {
  return {.kind = policy::ActionKind::kSignal, .signal = signal};
}

inline policy::Selector Selector(std::vector<policy::Filter> filters,
                                 std::vector<policy::Action> actions) {
  return {std::move(filters), std::move(actions), {}};
}

inline policy::Hook ExecHook(std::vector<policy::Selector> selectors,
                             std::string call = "security_bprm_creds_for_exec") {
  policy::Hook hook;
  hook.call = std::move(call);
  hook.arguments.resize(1);
  hook.selectors = std::move(selectors);
  return hook;
}

/// Denies everything but `allowed`.
inline policy::Spec AllowList(std::vector<std::string> allowed) {
  policy::Spec spec;
  spec.hooks.push_back(
      ExecHook({Selector({ObjectFilter(policy::Operator::kNotIn, std::move(allowed))}, {Deny()})}));
  return spec;
}

inline policy::Document PolicyDocument(std::string name, policy::WorkloadSelector selector,
                                       policy::Spec spec, std::string ns = "") {
  policy::Document document;
  document.object =
      policy::TracingPolicy{{std::move(name), std::move(ns)}, std::move(selector), std::move(spec)};
  return document;
}

/// Denies everything but the variable `allowed`.
inline policy::Document AllowTemplate(std::string name,
                                      policy::Mode mode = policy::Mode::kEnforce) {
  policy::Template tmpl;
  tmpl.key.name = std::move(name);
  tmpl.variables.push_back({"allowed", std::nullopt, {}});
  tmpl.spec.mode = mode;
  tmpl.spec.hooks.push_back(
      ExecHook({Selector({VariableFilter(policy::Operator::kNotIn, "allowed")}, {Deny()})}));
  policy::Document document;
  document.object = std::move(tmpl);
  return document;
}

struct BindingOptions {
  bool override_allowed = false;
  int64_t priority = 0;
  policy::OnOverlap on_overlap = policy::OnOverlap::kConflict;
  std::string ns = {};
  std::string variable = "allowed";
};

inline policy::Document BindingDocument(std::string name, std::string template_name,
                                        policy::WorkloadSelector selector,
                                        std::vector<std::string> allowed,
                                        const BindingOptions& options = {}) {
  policy::Binding binding;
  binding.key = {std::move(name), options.ns};
  binding.template_name = std::move(template_name);
  binding.selector = std::move(selector);
  binding.override_allowed = options.override_allowed;
  binding.override_priority = options.priority;
  binding.on_overlap = options.on_overlap;
  binding.values[options.variable].literals = std::move(allowed);
  policy::Document document;
  document.object = std::move(binding);
  return document;
}

inline workload::Workload Pod(workload::WorkloadId id, std::string name, workload::Labels labels,
                              std::string ns = "default", std::string container = "main") {
  workload::Workload workload;
  workload.id = id;
  workload.cgroup = "/sys/fs/cgroup/test/" + std::to_string(id);
  workload.ns = std::move(ns);
  workload.pod = std::move(name);
  workload.container = std::move(container);
  workload.image = "docker.io/library/" + workload.pod + ":1";
  workload.labels = std::move(labels);
  return workload;
}

/// A plain cgroup with labels.
inline workload::Workload Plain(workload::WorkloadId id, workload::Labels labels) {
  workload::Workload workload;
  workload.id = id;
  workload.cgroup = "/sys/fs/cgroup/test/" + std::to_string(id);
  workload.labels = std::move(labels);
  return workload;
}

inline workload::WorkloadPtr Share(workload::Workload workload) {
  return std::make_shared<const workload::Workload>(std::move(workload));
}

}  // namespace gatehouse::test
