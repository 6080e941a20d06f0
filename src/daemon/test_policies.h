// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// Policy texts for tests; the least that is a whole policy.
namespace gatehouse::daemon::testing {

struct PolicyText {
  std::string name = "web";
  std::string selector = "podSelector: {matchLabels: {app: web}}";  ///< a line of the spec, or ""
  std::string action = "Sigkill";                                   ///< `Override` gets argError -1
  std::string mode = "enforce";
  std::string call = "security_bprm_creds_for_exec";
  std::string filter = "matchArgs: [{index: 0, operator: NotIn, values: [/usr/bin/true]}]";

  [[nodiscard]] std::string ToString() const {
    const std::string error = action == "Override" ? ", argError: -1" : "";
    return "apiVersion: cilium.io/v1alpha1\n"
           "kind: TracingPolicy\n"
           "metadata: {name: " +
           name +
           "}\n"
           "spec:\n" +
           (selector.empty() ? "" : "  " + selector + "\n") +
           "  options: [{name: policy-mode, value: " + mode +
           "}]\n"
           "  kprobes:\n"
           "  - call: " +
           call +
           "\n"
           "    syscall: false\n"
           "    args: [{index: 0, type: linux_binprm}]\n"
           "    selectors:\n"
           "    - " +
           filter +
           "\n"
           "      matchActions: [{action: " +
           action + error + "}]\n";
  }
};

[[nodiscard]] inline std::string TemplateText(const std::string& name = "allow") {
  return "apiVersion: cilium.io/v1alpha1\n"
         "kind: TracingPolicyTemplate\n"
         "metadata: {name: " +
         name +
         "}\n"
         "spec:\n"
         "  variables: [{name: programs, type: linux_binprm}]\n"
         "  kprobes:\n"
         "  - call: security_bprm_creds_for_exec\n"
         "    syscall: false\n"
         "    args: [{index: 0, type: linux_binprm}]\n"
         "    selectors:\n"
         "    - matchArgs: [{index: 0, operator: NotIn, valuesFromVariable: programs}]\n"
         "      matchActions: [{action: Sigkill}]\n";
}

[[nodiscard]] inline std::string BindingText(const std::string& name, const std::string& program,
                                             const std::string& extra = "") {
  return "apiVersion: cilium.io/v1alpha1\n"
         "kind: TracingPolicyBinding\n"
         "metadata: {name: " +
         name +
         "}\n"
         "spec:\n"
         "  templateRef: {name: allow}\n"
         "  podSelector: {matchLabels: {app: web}}\n" +
         (extra.empty() ? "" : "  " + extra + "\n") + "  bindings: [{name: programs, values: [" +
         program + "]}]\n";
}

}  // namespace gatehouse::daemon::testing
