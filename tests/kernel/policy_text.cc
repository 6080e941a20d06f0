// SPDX-License-Identifier: Apache-2.0
#include "policy_text.h"

#include <nlohmann/json.hpp>

namespace gatehouse::test {
namespace {

using Json = nlohmann::ordered_json;  // each JSON text is a YAML text

Json ToJson(const FilterText& filter) {
  Json json{{"operator", filter.op}};
  if (!filter.binary) json["index"] = 0;
  if (filter.variable.empty()) {
    json["values"] = filter.values;
  } else {
    json["valuesFromVariable"] = filter.variable;
  }
  return json;
}

Json ToJson(const ActionText& action) {
  Json json{{"action", action.name}};
  if (action.name == "Override") json["argError"] = action.argument;
  if (action.name == "Signal") json["argSig"] = action.argument;
  return json;
}

Json ToJson(const SelectorText& selector) {
  Json json = Json::object();
  for (const FilterText& filter : selector.filters) {
    json[filter.binary ? "matchBinaries" : "matchArgs"].push_back(ToJson(filter));
  }
  for (const ActionText& action : selector.actions) json["matchActions"].push_back(ToJson(action));
  return json;
}

Json ToJson(const HookText& hook) {
  Json json{{hook.lsm ? "hook" : "call", hook.call}};
  if (!hook.lsm) json["syscall"] = false;
  Json argument{{"index", 0}, {"type", "linux_binprm"}};
  if (!hook.label.empty()) argument["label"] = hook.label;
  json["args"].push_back(argument);
  if (!hook.message.empty()) json["message"] = hook.message;
  if (!hook.tags.empty()) json["tags"] = hook.tags;
  for (const SelectorText& selector : hook.selectors) json["selectors"].push_back(ToJson(selector));
  return json;
}

Json ToSelector(const LabelText& labels) {
  Json json = Json::object();
  for (const auto& [key, value] : labels) json["matchLabels"][key] = value;
  return json;
}

std::string Document(const char* kind, const Json& metadata, const Json& spec) {
  const Json document{
      {"apiVersion", "cilium.io/v1alpha1"}, {"kind", kind}, {"metadata", metadata}, {"spec", spec}};
  return "---\n" + document.dump() + "\n";
}

}  // namespace

std::string Text(const PolicyText& policy) {
  Json metadata{{"name", policy.name}};
  if (!policy.ns.empty()) metadata["namespace"] = policy.ns;
  Json spec = Json::object();
  for (const std::string& variable : policy.variables)
    spec["variables"].push_back({{"name", variable}});
  if (policy.variables.empty() && !policy.everywhere) spec["podSelector"] = ToSelector(policy.pods);
  if (policy.monitor) spec["options"].push_back({{"name", "policy-mode"}, {"value", "monitor"}});
  for (const HookText& hook : policy.hooks)
    spec[hook.lsm ? "lsmhooks" : "kprobes"].push_back(ToJson(hook));
  const char* kind = !policy.variables.empty() ? "TracingPolicyTemplate"
                     : policy.ns.empty()       ? "TracingPolicy"
                                               : "TracingPolicyNamespaced";
  return Document(kind, metadata, spec);
}

std::string Text(const BindingText& binding) {
  Json spec{{"templateRef", {{"name", binding.template_name}}},
            {"podSelector", ToSelector(binding.pods)}};
  if (binding.override_allowed) {
    spec["overrideAllowed"] = true;
    spec["overridePriority"] = binding.override_priority;
  }
  if (binding.merge) spec["onOverlap"] = "Merge";
  for (const auto& [variable, values] : binding.values) {
    spec["bindings"].push_back({{"name", variable}, {"values", values}});
  }
  return Document("TracingPolicyBinding", {{"name", binding.name}}, spec);
}

PolicyText OneRule(std::string name, std::vector<FilterText> filters,
                   std::vector<ActionText> actions) {
  HookText hook;
  hook.selectors.push_back({std::move(filters), std::move(actions)});
  PolicyText policy;
  policy.name = std::move(name);
  policy.hooks.push_back(std::move(hook));
  return policy;
}

}  // namespace gatehouse::test
