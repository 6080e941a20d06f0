// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "kube/reflector.h"
#include "kube/store.h"
#include "policy/model.h"
#include "workload/facts.h"

/// Objects of the cluster as values. Pure; any thread. An object that is not as it should be is
/// refused with the field and the reason: whatever stands in it, whoever wrote it.
namespace gatehouse::kube {

// ---- pods ----

/// Those that are bound to this node.
[[nodiscard]] Resource PodsOf(const std::string& node);
/// The key of changes: `namespace/name`.
///
/// Of a static pod (the API server has its mirror) the uid is the hash of its configuration, which
/// is what runtimes know. It is believed only if it has the form of a hash and the pod says of
/// itself in all ways that it is a mirror, because anybody who makes pods may write annotations: so
/// none of them gets the uid of a pod that the API server named.
///
/// Of a pod that has ended, and of a container that has, the ids are empty.
[[nodiscard]] Result<Converted<workload::PodFacts>> ConvertPod(const nlohmann::json& object);

// ---- namespaces ----

[[nodiscard]] Resource Namespaces();
[[nodiscard]] Result<Converted<workload::NamespaceFacts>> ConvertNamespace(
    const nlohmann::json& object);

// ---- this node ----

struct NodeFacts {
  std::string name;
  std::string uid;
  workload::Labels labels;  ///< what nodeSelector is about
};

[[nodiscard]] Resource Node(const std::string& name);
[[nodiscard]] Result<Converted<NodeFacts>> ConvertNode(const nlohmann::json& object);

// ---- policies ----

enum class PolicyKind { kPolicy, kNamespacedPolicy, kTemplate, kBinding };
inline constexpr PolicyKind kPolicyKinds[] = {PolicyKind::kTemplate, PolicyKind::kPolicy,
                                              PolicyKind::kNamespacedPolicy, PolicyKind::kBinding};
[[nodiscard]] const char* PolicyKindName(PolicyKind kind);  // "TracingPolicy", …
/// Its name in paths: "tracingpolicies", …
[[nodiscard]] const char* PolicyPlural(PolicyKind kind);
/// Whether objects of the kind have a status that nodes write into: those that we define.
[[nodiscard]] bool HasStatus(PolicyKind kind);

[[nodiscard]] Resource Policies(PolicyKind kind);

/// What a node says of a policy.
enum class PolicyState { kAccepted, kConflict, kRefused, kSkipped };
[[nodiscard]] const char* PolicyStateName(PolicyState state);  // "Accepted", …

struct PolicyReport {
  PolicyState state = PolicyState::kAccepted;
  std::string message = {};  ///< "" unless there is something to say
  int64_t generation = 0;    ///< of the object that it is about
  bool operator==(const PolicyReport&) const = default;
};

/// A custom resource of one of the four kinds.
struct PolicyObject {
  PolicyKind kind = PolicyKind::kPolicy;
  policy::Key key;
  std::string uid;
  int64_t generation = 0;
  /// The document for policy::Parse, in block style: kind, name, namespace, labels, and spec as it
  /// is. What is wrong with it is for the parser to say.
  std::string text;
  /// What its status said of this node when it was read.
  std::optional<PolicyReport> reported;
  size_t reports = 0;  ///< how many nodes its status is of
};

/// State of changes: uid and generation, so that a status, which a thousand nodes may write, is no
/// change.
[[nodiscard]] Converter<PolicyObject> PolicyConverter(PolicyKind kind, std::string node);

/// An object of JSON as a YAML document in block style, in which every text is quoted. Error: it
/// has more levels than any policy.
[[nodiscard]] Result<std::string> ToYaml(const nlohmann::json& object);

}  // namespace gatehouse::kube
