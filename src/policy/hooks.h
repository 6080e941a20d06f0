// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "policy/lists.h"
#include "policy/model.h"
#include "policy/reader.h"

/// The sections of hooks: kprobes, fentries, lsmhooks, tracepoints, uprobes, usdts, loader.
namespace gatehouse::policy {

/// The variables that filters may name, and which of them do.
class VariableScope {
 public:
  /// Of a policy: there are none.
  VariableScope() = default;
  /// Of a template. `declared` must outlive this. Where it has no type, its first use gives it one.
  explicit VariableScope(std::vector<Variable>& declared)
      : declared_(&declared), used_(declared.size()) {}

  /// Reads the name of a variable whose values an argument of `type` can be compared with; nullopt,
  /// reported, if there is none such.
  [[nodiscard]] std::optional<std::string> Use(Reader& reader, YamlNode node, ArgumentType type);
  [[nodiscard]] bool Used(size_t variable) const { return used_[variable]; }

 private:
  std::vector<Variable>* declared_ = nullptr;
  std::vector<bool> used_;
};

/// A named fragment of selectors: only with a hook can be told what its filters are about, so it is
/// read again for each selector that names it.
struct Macro {
  std::string name;
  YamlNode node;
  size_t nodes = 0;    ///< in it, after expansion of aliases
  bool sound = false;  ///< nothing is reported of it yet
};

/// What hooks may name.
struct HookScope {
  VariableScope& variables;
  const std::vector<NameList>& lists;
  const std::vector<Macro>& macros;
};

/// Reads the list of a section. What is wrong is reported and may be missing from the result.
[[nodiscard]] std::vector<Hook> ReadHooks(Reader& reader, YamlNode node, HookKind kind,
                                          const HookScope& scope);

/// `loader: true`: what processes map to execute is told, each file once for each process.
[[nodiscard]] Hook LoaderHook(Position position);

}  // namespace gatehouse::policy
