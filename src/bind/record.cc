// SPDX-License-Identifier: Apache-2.0
#include "bind/record.h"

#include <algorithm>
#include <string_view>

#include "bind/selector.h"

namespace gatehouse::bind {
namespace {

Error Prefixed(const policy::Key& key, Error error) {
  error.object = "policy/" + key.ToString() + (error.object.empty() ? "" : ": " + error.object);
  return error;
}

Result<Record> Make(const policy::TracingPolicy& policy, compile::ValueSets& sets,
                    const policy::HookInfos& like) {
  Record record;
  record.kind = Kind::kPolicy;
  record.selector = policy.selector;
  GH_ASSIGN(record.spec, compile::Lower(policy.spec, {}, sets, like));
  return record;
}

Result<Record> Make(const policy::Template& tmpl, compile::ValueSets& sets,
                    const policy::HookInfos& like) {
  Record record;
  record.kind = Kind::kTemplate;
  GH_ASSIGN(record.spec, compile::Lower(tmpl.spec, tmpl.variables, sets, like));
  return record;
}

Result<Record> Make(const policy::Binding& binding, compile::ValueSets& sets,
                    const policy::HookInfos& /*like*/) {
  Record record;
  record.kind = Kind::kBinding;
  record.selector = binding.selector;
  record.template_name = binding.template_name;
  record.override_allowed = binding.override_allowed;
  record.override_priority = binding.override_priority;
  record.on_overlap = binding.on_overlap;
  record.values.reserve(binding.values.size());
  for (const auto& [variable, values] : binding.values) {
    record.values.emplace_back(variable, compile::LowerValues(values, sets));
  }
  return record;
}

void AppendName(std::string& list, std::string_view name) {
  if (!list.empty()) list += ", ";
  list += '"';
  list += name;
  list += '"';
}

}  // namespace

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kPolicy:
      return "TracingPolicy";
    case Kind::kTemplate:
      return "TracingPolicyTemplate";
    case Kind::kBinding:
      return "TracingPolicyBinding";
  }
  __builtin_unreachable();
}

std::string Record::LabelSuffix() const {
  const std::string prefix = template_name + "-";
  return key.name.starts_with(prefix) ? key.name.substr(prefix.size()) : std::string();
}

Result<Record> MakeRecord(const policy::Document& document, compile::ValueSets& sets,
                          const policy::HookInfos& like) {
  auto record =
      std::visit([&](const auto& object) { return Make(object, sets, like); }, document.object);
  if (!record) return tl::unexpected(Prefixed(document.key(), std::move(record).error()));
  record->key = document.key();
  return record;
}

bool IsForNode(const policy::Document& document, const workload::Labels& labels) {
  if (const auto* policy = std::get_if<policy::TracingPolicy>(&document.object)) {
    return MatchesNode(policy->spec.node, labels);
  }
  const auto* const tmpl = std::get_if<policy::Template>(&document.object);
  return tmpl == nullptr || MatchesNode(tmpl->spec.node, labels);
}

bool IsAbout(const Record& record, const workload::Workload* workload) {
  const bool is_binding = record.kind == Kind::kBinding;
  if (workload == nullptr) return !is_binding && MatchesHost(record.selector, record.key.ns);

  if (workload->sandbox) return false;
  const bool by_label_alone = is_binding && record.selector.Unconstrained();
  if (!by_label_alone && Matches(record.selector, record.key.ns, *workload)) return true;
  if (!is_binding || (!record.key.ns.empty() && record.key.ns != workload->ns)) return false;
  const std::string suffix = record.LabelSuffix();
  const auto label = workload->labels.find(record.LabelKey());
  return !suffix.empty() && label != workload->labels.end() && label->second == suffix;
}

compile::LeftOut LeftOutOn(const compile::LoweredSpec& spec, const workload::Workload* workload) {
  compile::LeftOut left_out;
  for (uint32_t i = 0; i < spec.restrictions.size(); ++i) {
    const policy::WorkloadSelector& selector = *spec.restrictions[i].workloads;
    const bool holds =
        workload == nullptr ? MatchesHost(selector, "") : Matches(selector, "", *workload);
    if (!holds) left_out.push_back(i);
  }
  return left_out;
}

policy::Mode ModeOf(const Record& record, const Record* tmpl) {
  if (record.runtime_mode) return *record.runtime_mode;
  if (tmpl != nullptr) return ModeOf(*tmpl, nullptr);
  return record.spec ? record.spec->mode() : policy::Mode::kEnforce;
}

Result<std::vector<compile::ValueSetPtr>> ValuesFor(const Record& binding, const Record& tmpl) {
  const std::vector<std::string>& variables = tmpl.spec->variables;
  std::vector<compile::ValueSetPtr> values(variables.size());
  std::string unknown;
  for (const auto& [name, set] : binding.values) {
    const auto variable = std::ranges::find(variables, name);
    if (variable == variables.end()) {
      AppendName(unknown, name);
    } else {
      values[static_cast<size_t>(variable - variables.begin())] = set;
    }
  }
  std::string missing;
  for (size_t i = 0; i < variables.size(); ++i) {
    if (!values[i]) AppendName(missing, variables[i]);
  }
  if (unknown.empty() && missing.empty()) return values;

  std::string cause;
  if (!missing.empty()) cause = "no value for variable " + missing;
  if (!unknown.empty()) {
    cause +=
        (cause.empty() ? "" : ", and ") + ("a value for " + unknown + ", which is no variable");
  }
  return Fail(ErrorCode::kInvalid, "policy/" + binding.key.ToString(),
              cause + " of template \"" + tmpl.key.ToString() + "\"",
              "give one value list for each variable of the template");
}

}  // namespace gatehouse::bind
