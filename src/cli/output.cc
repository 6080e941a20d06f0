// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fmt/core.h>
#include <google/protobuf/util/json_util.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/table.h"
#include "policy/parse.h"

namespace gatehouse::cli {

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void PrintJson(const nlohmann::ordered_json& json) {
  Print(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Result<void> PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) {
    return Fail(ErrorCode::kSystem, "output",
                "the answer is not to be shown as JSON: " + std::string(status.message()));
  }
  Print(text);
  return {};
}

std::string NameOf(const v1::PolicyRef& policy) {
  return policy.namespace_().empty() ? policy.name() : policy.namespace_() + "/" + policy.name();
}

std::string NameOf(const v1::AppliedPolicy& policy) {
  if (policy.bindings().empty()) return NameOf(policy.policy());
  std::string bindings;
  for (const v1::PolicyRef& binding : policy.bindings()) {
    bindings += (bindings.empty() ? "" : ", ") + NameOf(binding);
  }
  return NameOf(policy.policy()) + "(" + bindings + ")";
}

std::string NameOf(const v1::Workload& workload) {
  if (workload.pod().empty()) {
    return workload.cgroup_path().empty() ? "host" : workload.cgroup_path();
  }
  std::string name = workload.pod();
  if (!workload.namespace_().empty()) name = workload.namespace_() + "/" + name;
  return workload.container().empty() ? name : name + "/" + workload.container();
}

std::string KindOf(v1::PolicyKind kind) {
  switch (kind) {
    case v1::POLICY_KIND_TRACING_POLICY:
      return "TracingPolicy";
    case v1::POLICY_KIND_TRACING_POLICY_NAMESPACED:
      return "TracingPolicyNamespaced";
    case v1::POLICY_KIND_TEMPLATE:
      return "TracingPolicyTemplate";
    case v1::POLICY_KIND_BINDING:
      return "TracingPolicyBinding";
    default:
      return "";
  }
}

std::string ModeOf(v1::PolicyMode mode) {
  switch (mode) {
    case v1::POLICY_MODE_ENFORCE:
      return "enforce";
    case v1::POLICY_MODE_MONITOR:
      return "monitor";
    default:
      return "";
  }
}

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error < 0 ? -error : error);
  return name != nullptr ? name : std::to_string(error);
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

std::string ActionsOf(const google::protobuf::RepeatedPtrField<v1::Action>& actions) {
  std::string text;
  for (const v1::Action& action : actions) {
    text += text.empty() ? "" : ", ";
    switch (action.kind()) {
      case v1::Action::KIND_POST:
        text += "Post";
        break;
      case v1::Action::KIND_NO_POST:
        text += "NoPost";
        break;
      case v1::Action::KIND_OVERRIDE:
        text += "Override " + ErrnoName(action.error());
        break;
      case v1::Action::KIND_SIGKILL:
        text += "Sigkill";
        break;
      case v1::Action::KIND_SIGNAL:
        text += "Signal " + SignalName(action.signal());
        break;
      case v1::Action::KIND_SET:
        text += "Set";
        break;
      default:
        text += "?";
    }
  }
  return text;
}

std::string ToString(const v1::Diagnostic& diagnostic) {
  return policy::Diagnostic{.file = diagnostic.source(),
                            .position = {diagnostic.line(), diagnostic.column()},
                            .path = diagnostic.path(),
                            .cause = diagnostic.cause(),
                            .remedy = diagnostic.remedy(),
                            .severity = diagnostic.severity() == v1::Diagnostic::SEVERITY_WARNING
                                            ? policy::Severity::kWarning
                                            : policy::Severity::kError}
      .ToString();
}

v1::PolicyRef PolicyRefOf(const std::string& name) {
  v1::PolicyRef reference;
  const size_t slash = name.find('/');
  if (slash == std::string::npos) {
    reference.set_name(name);
  } else {
    reference.set_namespace_(name.substr(0, slash));
    reference.set_name(name.substr(slash + 1));
  }
  return reference;
}

}  // namespace gatehouse::cli
