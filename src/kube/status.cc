// SPDX-License-Identifier: Apache-2.0
#include "kube/status.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <tuple>

namespace gatehouse::kube {
namespace {

using nlohmann::json;

constexpr const char* kApply = "application/apply-patch+yaml";  // JSON is YAML
constexpr const char* kApiVersion = "cilium.io/v1alpha1";
constexpr const char* kOwnApiVersion = "gatehouse.dev/v1alpha1";
constexpr size_t kManagerBytesMax = 128;  // of a field manager's name

/// At most `bytes_max` bytes, and not a part of a character at its end.
std::string Cut(const std::string& text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  size_t size = bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

std::string Dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Names of nodes need no encoding: letters, digits, `-` and `.`.
std::string ManagerOf(const std::string& node) {
  return Cut("gatehouse-" + node, kManagerBytesMax);
}

Patch PatchOfPolicy(const std::string& node, PolicyKind kind, const policy::Key& key, json nodes) {
  std::string target = std::string("/apis/") + kApiVersion;
  if (!key.ns.empty()) target += "/namespaces/" + key.ns;
  target += std::string("/") + PolicyPlural(kind) + "/" + key.name +
            "/status?force=true&fieldManager=" + ManagerOf(node);
  json object{{"apiVersion", kApiVersion},
              {"kind", PolicyKindName(kind)},
              {"metadata", {{"name", key.name}}}};
  if (!key.ns.empty()) object["metadata"]["namespace"] = key.ns;
  if (!nodes.empty()) object["status"] = {{"nodes", std::move(nodes)}};
  return {std::move(target), kApply, Dump(object)};
}

}  // namespace

bool WantsReport(const PolicyObject& policy, const PolicyReport& report) {
  if (!HasStatus(policy.kind) || policy.reported == report) return false;
  return policy.reported || policy.reports < kReportsOfPolicyMax;
}

Patch ReportOnPolicy(const std::string& node, PolicyKind kind, const policy::Key& key,
                     const PolicyReport& report) {
  json entry{{"node", node},
             {"state", PolicyStateName(report.state)},
             {"observedGeneration", report.generation}};
  if (!report.message.empty()) entry["message"] = Cut(report.message, kReportMessageBytesMax);
  return PatchOfPolicy(node, kind, key, json::array({std::move(entry)}));
}

Patch WithdrawReport(const std::string& node, PolicyKind kind, const policy::Key& key) {
  return PatchOfPolicy(node, kind, key, json::array());
}

Patch ReportOfNode(const NodeFacts& node, std::vector<PolicyInReport> policies) {
  std::ranges::sort(policies, [](const PolicyInReport& a, const PolicyInReport& b) {
    const auto accepted = [](const PolicyInReport& each) {
      return each.report.state == PolicyState::kAccepted;
    };
    return std::tuple(accepted(a), a.kind, a.key) < std::tuple(accepted(b), b.kind, b.key);
  });
  std::array<size_t, 4> counts{};
  json entries = json::array();
  for (const PolicyInReport& each : policies) {
    ++counts[static_cast<size_t>(each.report.state)];
    if (entries.size() == kReportsOfNodeMax) continue;
    json entry{{"kind", PolicyKindName(each.kind)},
               {"name", each.key.name},
               {"namespace", each.key.ns},
               {"state", PolicyStateName(each.report.state)},
               {"observedGeneration", each.report.generation}};
    const std::string& message = each.report.message;
    if (!message.empty()) entry["message"] = Cut(message, kReportMessageBytesMax);
    entries.push_back(std::move(entry));
  }
  const json object{
      {"apiVersion", kOwnApiVersion},
      {"kind", "NodePolicyStatus"},
      {"metadata",
       {{"name", node.name},
        {"ownerReferences",
         json::array(
             {{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node.name}, {"uid", node.uid}}})}}},
      {"summary",
       {{"accepted", counts[static_cast<size_t>(PolicyState::kAccepted)]},
        {"conflicts", counts[static_cast<size_t>(PolicyState::kConflict)]},
        {"refused", counts[static_cast<size_t>(PolicyState::kRefused)]},
        {"skipped", counts[static_cast<size_t>(PolicyState::kSkipped)]}}},
      {"policies", std::move(entries)}};
  return {std::string("/apis/") + kOwnApiVersion + "/nodepolicystatuses/" + node.name +
              "?force=true&fieldManager=gatehouse",
          kApply, Dump(object)};
}

}  // namespace gatehouse::kube
