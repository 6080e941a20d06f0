// SPDX-License-Identifier: Apache-2.0
#include "policy/format.h"

#include <span>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

template <typename Value>
std::string_view Find(std::span<const NameRow<Value>> rows, Value value) {
  for (const NameRow<Value>& row : rows) {
    if (row.value == value) return row.name;
  }
  return {};
}

}  // namespace

std::string_view NameOf(Operator op) { return Find(Operators(), op); }
std::string_view NameOf(ActionKind action) { return Find(Actions(), action); }
std::string_view NameOf(ArgumentType type) {
  switch (type) {
    case ArgumentType::kPid:
      return "process id";
    case ArgumentType::kNamespace:
      return "namespace";
    case ArgumentType::kCapabilities:
      return "set of capabilities";
    case ArgumentType::kAddress:
      return "address";
    case ArgumentType::kPort:
      return "port";
    case ArgumentType::kProtocol:
      return "protocol";
    case ArgumentType::kFamily:
      return "family of addresses";
    case ArgumentType::kState:
      return "state of a connection";
    case ArgumentType::kFileType:
      return "type of a file";
    case ArgumentType::kFileIdentity:
      return "file";
    default:
      return Find(ArgumentTypes(), type);
  }
}
std::string_view NameOf(LabelOperator op) { return Find(LabelOperators(), op); }
std::string_view NameOf(Mode mode) { return Find(Modes(), mode); }
std::string_view NameOf(OnOverlap on_overlap) { return Find(OnOverlaps(), on_overlap); }

std::string_view NameOf(HookKind kind) {
  switch (kind) {
    case HookKind::kKprobe:
      return "kprobes";
    case HookKind::kLsm:
      return "lsmhooks";
    case HookKind::kTracepoint:
      return "tracepoints";
    case HookKind::kUprobe:
      return "uprobes";
    case HookKind::kUsdt:
      return "usdts";
    case HookKind::kLoader:
      return "loader";
    case HookKind::kEnforcer:
      return "enforcers";
  }
  __builtin_unreachable();
}

std::string_view NameOf(Subject subject) {
  switch (subject) {
    case Subject::kArgument:
      return "matchArgs";
    case Subject::kReturn:
      return "matchReturnArgs";
    case Subject::kData:
      return "matchData";
    case Subject::kBinary:
    case Subject::kDescent:
      return "matchBinaries";
    case Subject::kParentBinary:
    case Subject::kParentDescent:
      return "matchParentBinaries";
    case Subject::kScript:
      return "matchScript";
    case Subject::kPid:
    case Subject::kNamespacePid:
    case Subject::kAncestors:
    case Subject::kNamespaceAncestors:
      return "matchPIDs";
    case Subject::kNamespace:
      return "matchNamespaces";
    case Subject::kCapabilities:
      return "matchCapabilities";
    case Subject::kNamespaceChanges:
      return "matchNamespaceChanges";
    case Subject::kCapabilityChanges:
      return "matchCapabilityChanges";
  }
  __builtin_unreachable();
}

std::string_view KindOf(const Document& document) {
  if (const auto* policy = std::get_if<TracingPolicy>(&document.object)) {
    return policy->key.ns.empty() ? "TracingPolicy" : "TracingPolicyNamespaced";
  }
  return std::holds_alternative<Template>(document.object) ? "TracingPolicyTemplate"
                                                           : "TracingPolicyBinding";
}

}  // namespace gatehouse::policy
