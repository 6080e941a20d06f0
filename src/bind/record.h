// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "compile/lower.h"
#include "compile/strings.h"
#include "policy/model.h"
#include "workload/registry.h"

namespace gatehouse::bind {

enum class Kind { kPolicy, kTemplate, kBinding };
[[nodiscard]] const char* KindName(Kind kind);  // "TracingPolicy", "TracingPolicyTemplate", …

/// Number of a record, never reused: a changed object is a new record with a new version.
using Version = uint64_t;

/// A policy, template or binding as the resolver keeps it: immutable, without the values' texts.
struct Record {
  Version version = 0;
  Kind kind = Kind::kPolicy;
  policy::Key key;

  bool enabled = true;                       ///< set at run time
  bool for_node = true;                      ///< its nodeSelector matches this node
  std::optional<policy::Mode> runtime_mode;  ///< set at run time

  policy::WorkloadSelector selector;  ///< policy, binding
  compile::LoweredSpecPtr spec;       ///< policy, template

  std::string template_name;  ///< binding, and what follows
  bool override_allowed = false;
  int64_t override_priority = 0;
  policy::OnOverlap on_overlap = policy::OnOverlap::kConflict;
  std::vector<std::pair<std::string, compile::ValueSetPtr>> values;  ///< exact sets, by variable

  /// Whether it can have an effect: it is enabled, and for this node.
  [[nodiscard]] bool IsActive() const { return enabled && for_node; }
  /// The value of the pod label that applies this binding, empty if its name allows none.
  [[nodiscard]] std::string LabelSuffix() const;
  /// The key of that label.
  [[nodiscard]] std::string LabelKey() const { return "tetragon-" + template_name; }
};

using RecordPtr = std::shared_ptr<const Record>;

/// Lowers a document. `like`: as in compile::Lower. Errors: those of compile::Lower, the object
/// prefixed with the key.
[[nodiscard]] Result<Record> MakeRecord(const policy::Document& document, compile::ValueSets& sets,
                                        const policy::HookInfos& like = nullptr);

/// True unless the document has a nodeSelector that does not match `labels`.
[[nodiscard]] bool IsForNode(const policy::Document& document, const workload::Labels& labels);

/// True if a policy or binding is about `workload` (null: the host): its selector matches
/// (bind/selector.h), or the workload carries the label of the binding. A binding with an
/// unconstrained selector is applied by label alone, and no binding is about the host.
[[nodiscard]] bool IsAbout(const Record& record, const workload::Workload* workload);

/// Which rules of `spec` are not for `workload` (null: the host).
[[nodiscard]] compile::LeftOut LeftOutOn(const compile::LoweredSpec& spec,
                                         const workload::Workload* workload);

/// The mode in force of a policy or template (`tmpl` null), or of a binding. A binding without
/// template enforces nothing: kEnforce unless set at run time.
[[nodiscard]] policy::Mode ModeOf(const Record& record, const Record* tmpl);

/// The binding's values in the order of the template's variables. Error (object: the binding): a
/// variable without value, a value without variable; it names them.
[[nodiscard]] Result<std::vector<compile::ValueSetPtr>> ValuesFor(const Record& binding,
                                                                  const Record& tmpl);

}  // namespace gatehouse::bind
