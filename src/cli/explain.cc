// SPDX-License-Identifier: Apache-2.0
// gatehouse explain: what would happen, and who decides.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"

namespace gatehouse::cli {
namespace {

constexpr const char* kHost = "host";

struct Arguments {
  std::string workload, exec, binary, hook;
};

v1::WorkloadRef WorkloadRefOf(const std::string& name) {
  v1::WorkloadRef reference;
  if (name == kHost) return reference;
  if (name.starts_with('/')) {
    reference.set_cgroup_path(name);
    return reference;
  }
  // namespace/pod/container, of which the namespace or the container may be missing
  const size_t first = name.find('/');
  const size_t last = name.rfind('/');
  if (first == std::string::npos) {
    reference.set_pod(name);
  } else {
    reference.set_namespace_(name.substr(0, first));
    reference.set_pod(name.substr(first + 1, last == first ? last : last - first - 1));
    if (last != first) reference.set_container(name.substr(last + 1));
  }
  return reference;
}

/// "denied with EPERM", "allowed, but SIGTERM is sent".
std::string Describe(const v1::Verdict& verdict) {
  std::string signals;
  for (const int signal : verdict.signals()) {
    signals += (signals.empty() ? "" : ", ") + SignalName(signal);
  }
  std::string text = verdict.allowed() ? "allowed" : "denied";
  if (verdict.error() != 0) {
    text += verdict.by_signal() ? " with SIGKILL in the place of " : " with ";
    text += ErrnoName(verdict.error());
  }
  if (!signals.empty()) text += ", " + signals + " is sent";
  std::string deniers;
  for (const v1::PolicyRef& policy : verdict.denied_by()) {
    deniers += (deniers.empty() ? "" : ", ") + NameOf(policy);
  }
  return deniers.empty() ? text : text + ", by " + deniers;
}

void PrintExplanation(const v1::ExplainResponse& response, const Arguments& arguments) {
  fmt::print("{} executes {}\n", Printable(NameOf(response.workload().workload())),
             Printable(arguments.exec));
  for (const v1::HookExplanation& hook : response.hooks()) {
    fmt::print("\n{}: {}\n", hook.hook(), Printable(Describe(hook.verdict())));
    if (hook.decisions().empty()) {
      fmt::print("  no policy is about it\n");
      continue;
    }
    Table table({{"POLICY"}, {"MODE"}, {"SELECTOR"}, {"ACTIONS"}, {"BECAUSE"}});
    for (const v1::PolicyDecision& decision : hook.decisions()) {
      std::string rule;
      if (decision.has_rule()) {
        rule = fmt::format("{} of {}", decision.rule().selector(), decision.rule().call());
        if (decision.rule().line() > 0) rule += fmt::format(", line {}", decision.rule().line());
      }
      table.Add({NameOf(decision.policy()), ModeOf(decision.policy().mode()), rule,
                 ActionsOf(decision.actions()), decision.because()});
    }
    Print(table.ToString());
  }
}

Result<ExitStatus> Explain(const Invocation& invocation, const Arguments& arguments) {
  v1::ExplainRequest request;
  *request.mutable_workload() = WorkloadRefOf(arguments.workload);
  request.set_exec_path(arguments.exec);
  request.set_binary_path(arguments.binary);
  request.set_hook(arguments.hook);
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::ExplainResponse response, client.Call(request));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
  } else {
    PrintExplanation(response, arguments);
  }
  return kDone;
}

}  // namespace

void AddExplainCommand(CLI::App& app, Invocation& invocation) {
  CLI::App* command = AddCommand(
      app, "explain",
      "Tell which policies apply, which selector decides, and what would happen; changes nothing",
      "  gatehouse explain --workload /sys/fs/cgroup/shop --exec /usr/bin/curl\n"
      "  gatehouse explain --workload shop/web-1/app --exec /usr/bin/curl --binary /usr/bin/bash\n"
      "  gatehouse explain --workload host --exec /usr/bin/curl\n");
  const auto arguments = std::make_shared<Arguments>();
  command
      ->add_option("--workload", arguments->workload,
                   "Path of its cgroup, or NAMESPACE/POD/CONTAINER; host: what is in no workload")
      ->type_name("WORKLOAD")
      ->required();
  command
      ->add_option(
          "--exec", arguments->exec,
          "Program that is executed: absolute path without symlinks, as the workload sees it")
      ->type_name("PATH")
      ->required();
  command
      ->add_option("--binary", arguments->binary,
                   "Program that executes it, for matchBinaries; without, it counts as unreadable")
      ->type_name("PATH");
  command->add_option("--hook", arguments->hook, "Only this hook, as in bprm_check_security")
      ->type_name("NAME");
  AddClientOptions(*command, invocation);
  command->callback([&invocation, arguments] {
    invocation.run = [arguments](const Invocation& chosen) { return Explain(chosen, *arguments); };
  });
}

}  // namespace gatehouse::cli
