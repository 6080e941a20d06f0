#include "policy/sites.h"
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Policies as the text that a user would write, made from values.
namespace gatehouse::test {

struct FilterText {
  std::string op = {};
  std::vector<std::string> values = {};
  bool binary = false;        ///< matchBinaries, else matchArgs on argument 0
  std::string variable = {};  ///< in the place of the values
};
[[nodiscard]] inline FilterText Object(std::string op, std::vector<std::string> values) {
  return {std::move(op), std::move(values), false, {}};
}
[[nodiscard]] inline FilterText Binary(std::string op, std::vector<std::string> values) {
  return {std::move(op), std::move(values), true, {}};
}

struct ActionText {
  std::string name = {};
  int argument = 0;  ///< argError, argSig
};
[[nodiscard]] inline ActionText Post() { return {"Post"}; }
[[nodiscard]] inline ActionText NoPost() { return {"NoPost"}; }
[[nodiscard]] inline ActionText Override(int error) { return {"Override", -error}; }
[[nodiscard]] inline ActionText Sigkill() { return {"Sigkill"}; }
[[nodiscard]] inline ActionText Signal(int number) { return {"Signal", number}; }

struct SelectorText {
  std::vector<FilterText> filters = {};
  std::vector<ActionText> actions = {};
};

inline constexpr std::string_view kCredsForExec = "security_bprm_creds_for_exec";
inline constexpr std::string_view kCheck = "security_bprm_check";

struct HookText {
  std::string call{kCredsForExec};  ///< with lsm: `bprm_creds_for_exec`, `bprm_check_security`
  std::vector<SelectorText> selectors = {};
  bool lsm = false;
  std::string label = {};
  std::string message = {};
  std::vector<std::string> tags = {};
};

using LabelText = std::map<std::string, std::string>;

struct PolicyText {
  std::string name = "policy";
  std::string ns = {};      ///< not empty: TracingPolicyNamespaced
  LabelText pods = {};      ///< podSelector.matchLabels; {} selects every workload
  bool everywhere = false;  ///< no selector: about the host as well
  std::vector<HookText> hooks = {};
  bool monitor = false;
  std::vector<std::string> variables = {};  ///< not empty: TracingPolicyTemplate
};

struct BindingText {
  std::string name = {};
  std::string template_name = {};
  LabelText pods = {};
  std::map<std::string, std::vector<std::string>> values = {};  ///< by variable
  bool override_allowed = false;
  int override_priority = 0;
  bool merge = false;
};

/// One YAML document, with its separator; several can be put one after the other.
[[nodiscard]] std::string Text(const PolicyText& policy);
[[nodiscard]] std::string Text(const BindingText& binding);
template <typename Document>
[[nodiscard]] std::string Text(const std::vector<Document>& documents) {
  std::string text;
  for (const Document& document : documents) text += Text(document);
  return text;
}

/// A policy with one hook and one selector.
[[nodiscard]] PolicyText OneRule(std::string name, std::vector<FilterText> filters,
                                 std::vector<ActionText> actions);

}  // namespace gatehouse::test
