// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kube/convert.h"

/// What a node tells the cluster of policies, in two places.
///
/// *Of the node*: one object NodePolicyStatus for each node, named as it is. It says what became of
/// all policies, of every kind; whatever is not Accepted comes first, and of the rest as many as
/// fit. It has one writer, nobody watches it, and it goes when its node goes (owner reference).
///
/// *Of the policy*: an entry in `status.nodes` of templates and bindings, keyed by node, each
/// applied by a field manager of its own (server-side apply), so that nodes do not overwrite each
/// other. Every such write is sent to every agent, as all watch these objects, and the object holds
/// what all have written: with a thousand nodes a policy would be half a megabyte and every change
/// of it half a terabyte of traffic. So the definition admits 64 entries, and who comes later is
/// refused by the server (422) and leaves it at that: its own object says the same. Nodes that have
/// no workload for a policy are to write nothing at all, and neither is one whose entry is there
/// already (PolicyObject::reported).
///
/// Tetragon's own two kinds have no status: for these there is only the first.
namespace gatehouse::kube {

/// One object to be patched.
struct Patch {
  std::string target;  ///< path and query
  std::string content_type;
  std::string body;
};

inline constexpr size_t kReportsOfPolicyMax = 64;  ///< maxItems in the definitions
inline constexpr size_t kReportsOfNodeMax = 1000;  ///< the same of NodePolicyStatus
/// What is longer is cut.
inline constexpr size_t kReportMessageBytesMax = 1024;

/// Whether `node` is to write `report` into the object's own status: the kind has one, it does not
/// say so already, and it is not full of others.
[[nodiscard]] bool WantsReport(const PolicyObject& policy, const PolicyReport& report);

/// This node's entry in the status of the object of a kind that has one.
[[nodiscard]] Patch ReportOnPolicy(const std::string& node, PolicyKind kind, const policy::Key& key,
                                   const PolicyReport& report);
/// Removes it: the node has nothing to say of it any more.
[[nodiscard]] Patch WithdrawReport(const std::string& node, PolicyKind kind,
                                   const policy::Key& key);

struct PolicyInReport {
  PolicyKind kind = PolicyKind::kPolicy;
  policy::Key key;
  PolicyReport report;
};

/// The node's own object, made if it is not there.
[[nodiscard]] Patch ReportOfNode(const NodeFacts& node, std::vector<PolicyInReport> policies);

}  // namespace gatehouse::kube
