// SPDX-License-Identifier: Apache-2.0
// gatehouse policy add|replace|delete|list|show|mode|enable|disable
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text_files.h"

namespace gatehouse::cli {
namespace {

const char* OutcomeName(v1::DocumentResult::Outcome outcome) {
  switch (outcome) {
    case v1::DocumentResult::OUTCOME_ADDED:
      return "added";
    case v1::DocumentResult::OUTCOME_REPLACED:
      return "replaced";
    case v1::DocumentResult::OUTCOME_UNCHANGED:
      return "unchanged";
    case v1::DocumentResult::OUTCOME_REFUSED:
      return "refused";
    default:
      return "not applied";
  }
}

const char* StateName(v1::PolicyState state) {
  switch (state) {
    case v1::POLICY_STATE_ENABLED:
      return "enabled";
    case v1::POLICY_STATE_DISABLED:
      return "disabled";
    case v1::POLICY_STATE_ERROR:
      return "error";
    case v1::POLICY_STATE_CONFLICT:
      return "conflict";
    case v1::POLICY_STATE_UNBOUND:
      return "unbound";
    case v1::POLICY_STATE_SKIPPED:
      return "skipped";
    default:
      return "unknown";
  }
}

/// Turns places in the whole text into places in its files.
void Relocate(const TextFiles& files, v1::Diagnostic* diagnostic) {
  const auto [name, line] = files.Locate(diagnostic->line());
  diagnostic->set_source(name);
  diagnostic->set_line(line);
}

void Relocate(const TextFiles& files, v1::AddPoliciesResponse* response) {
  for (v1::Diagnostic& diagnostic : *response->mutable_diagnostics()) Relocate(files, &diagnostic);
  for (v1::DocumentResult& document : *response->mutable_documents()) {
    for (v1::Diagnostic& diagnostic : *document.mutable_diagnostics()) {
      Relocate(files, &diagnostic);
    }
  }
}

void PrintApplied(const v1::AddPoliciesResponse& response, bool dry_run) {
  size_t refused = 0;
  for (const v1::Diagnostic& diagnostic : response.diagnostics()) {
    fmt::print(stderr, "{}\n", Printable(ToString(diagnostic)));
  }
  for (const v1::DocumentResult& document : response.documents()) {
    if (response.applied()) {
      fmt::print("{}: {}{} ({})\n", Printable(NameOf(document.policy())),
                 OutcomeName(document.outcome()), dry_run ? " (dry run)" : "",
                 KindOf(document.policy().kind()));
    }
    for (const v1::Diagnostic& diagnostic : document.diagnostics()) {
      fmt::print(stderr, "{}\n", Printable(ToString(diagnostic)));
    }
    if (document.outcome() == v1::DocumentResult::OUTCOME_REFUSED) ++refused;
  }
  if (response.applied()) return;
  if (refused > 0) {
    fmt::print(stderr, "gatehouse: nothing was applied: {} of {} documents refused\n", refused,
               response.documents_size());
  } else {
    fmt::print(stderr, "gatehouse: nothing was applied\n");
  }
}

Result<ExitStatus> Add(const Invocation& invocation, const std::vector<std::string>& paths,
                       bool replace, bool dry_run) {
  GH_ASSIGN(const TextFiles files, TextFiles::Read(paths));
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  v1::AddPoliciesRequest request;
  request.set_yaml(files.text());
  request.set_source(files.name());
  request.set_replace(replace);
  request.set_dry_run(dry_run);
  GH_ASSIGN(v1::AddPoliciesResponse response, client.Call(request));
  Relocate(files, &response);
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
  } else {
    PrintApplied(response, dry_run);
  }
  return response.applied() ? kDone : kFailed;
}

Result<ExitStatus> Delete(const Invocation& invocation, const std::vector<std::string>& names) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  auto deleted = nlohmann::ordered_json::array();
  Result<ExitStatus> done = kDone;
  for (const std::string& name : names) {
    const v1::PolicyRef policy = PolicyRefOf(name);
    tetragon::DeleteTracingPolicyRequest request;
    request.set_name(policy.name());
    request.set_namespace_(policy.namespace_());
    if (auto answer = client.Call(request); !answer) {
      done = tl::unexpected(std::move(answer).error());
      break;
    }
    deleted.push_back({{"name", policy.name()}, {"namespace", policy.namespace_()}});
    if (invocation.format != Format::kJson) fmt::print("{}: deleted\n", name);
  }
  // Also of those before the one that failed: they are gone.
  if (invocation.format == Format::kJson) {
    PrintJson(nlohmann::ordered_json{{"deleted", std::move(deleted)}});
  }
  return done;
}

Result<ExitStatus> List(const Invocation& invocation) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::ListPoliciesResponse response, client.Call(v1::ListPoliciesRequest()));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
    return kDone;
  }
  if (response.policies().empty()) {
    Print("no policies; add some with: gatehouse policy add FILE\n");
    return kDone;
  }
  using Align = Table::Align;
  Table table({{"NAME"},
               {"KIND"},
               {"MODE"},
               {"STATE"},
               {"WORKLOADS", Align::kRight},
               {"MEMORY", Align::kRight},
               {"SOURCE"}});
  std::string errors;
  for (const v1::PolicyStatus& policy : response.policies()) {
    table.Add({NameOf(policy.policy()), KindOf(policy.policy().kind()), ModeOf(policy.mode()),
               StateName(policy.state()), std::to_string(policy.workloads()),
               HumanBytes(policy.kernel_memory_bytes()), policy.source()});
    if (!policy.error().empty()) {
      errors += Printable(NameOf(policy.policy()) + ": " + policy.error()) + "\n";
    }
    if (policy.overridden() > 0) {
      errors += fmt::format("{}: overridden by a binding of higher priority on {} {}\n",
                            Printable(NameOf(policy.policy())), policy.overridden(),
                            policy.overridden() == 1 ? "workload" : "workloads");
    }
  }
  Print(table.ToString());
  if (!errors.empty()) Print("\n" + errors);
  return kDone;
}

Result<ExitStatus> Show(const Invocation& invocation, const std::string& name) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  v1::GetPolicyRequest request;
  *request.mutable_policy() = PolicyRefOf(name);
  GH_ASSIGN(const v1::GetPolicyResponse response, client.Call(request));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
    return kDone;
  }
  Print(response.yaml());
  if (!response.yaml().empty() && response.yaml().back() != '\n') Print("\n");
  return kDone;
}

struct Change {
  std::optional<bool> enable;
  std::optional<std::string> mode;
};

Result<ExitStatus> Configure(const Invocation& invocation, const std::string& name,
                             const Change& change) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  const v1::PolicyRef policy = PolicyRefOf(name);
  tetragon::ConfigureTracingPolicyRequest request;
  request.set_name(policy.name());
  request.set_namespace_(policy.namespace_());
  if (change.enable) request.set_enable(*change.enable);
  if (change.mode) {
    request.set_mode(*change.mode == "enforce" ? tetragon::TP_MODE_ENFORCE
                                               : tetragon::TP_MODE_MONITOR);
  }
  GH_TRY(client.Call(request));
  v1::GetPolicyRequest after;
  *after.mutable_policy() = policy;
  GH_ASSIGN(const v1::GetPolicyResponse response, client.Call(after));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response.status()));
    return kDone;
  }
  fmt::print("{}: {}, mode {}\n", name, StateName(response.status().state()),
             ModeOf(response.status().mode()));
  return kDone;
}

/// What the options of a command are written to; lives as long as the command.
struct Arguments {
  std::vector<std::string> names;
  std::string name;
  std::string mode;
  bool dry_run = false;
};

void AddApply(CLI::App& group, Invocation& invocation, bool replace) {
  const std::string verb = replace ? "replace" : "add";
  CLI::App* command = AddCommand(
      group, verb,
      replace ? "Add the policies of files; those that exist are replaced. All documents or none"
              : "Add the policies of files. All documents of all files are applied, or none",
      "  gatehouse policy " + verb + " web.yaml\n  gatehouse policy " + verb +
          " templates.yaml bindings.yaml\n  kubectl get tracingpolicy web -o yaml | gatehouse "
          "policy " +
          verb + " -\n");
  const auto arguments = std::make_shared<Arguments>();
  command
      ->add_option("FILE", arguments->names,
                   "YAML files with any number of documents; - is "
                   "standard input")
      ->required();
  command->add_flag("--dry-run", arguments->dry_run,
                    "Check everything against the kernel of the daemon, change nothing");
  AddClientOptions(*command, invocation);
  command->callback([&invocation, arguments, replace] {
    invocation.run = [arguments, replace](const Invocation& chosen) {
      return Add(chosen, arguments->names, replace, arguments->dry_run);
    };
  });
}

void AddSwitch(CLI::App& group, Invocation& invocation, bool enable) {
  const std::string verb = enable ? "enable" : "disable";
  CLI::App* command = AddCommand(
      group, verb, enable ? "Put a policy in force again" : "Take a policy out of force, keep it",
      "  gatehouse policy " + verb + " web\n");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("NAME", arguments->name, "Name, or NAMESPACE/NAME")->required();
  AddClientOptions(*command, invocation);
  command->callback([&invocation, arguments, enable] {
    invocation.run = [arguments, enable](const Invocation& chosen) {
      return Configure(chosen, arguments->name, {.enable = enable, .mode = {}});
    };
  });
}

void AddMode(CLI::App& group, Invocation& invocation) {
  CLI::App* command = AddCommand(
      group, "mode", "Set whether a policy acts (enforce) or only reports (monitor)",
      "  gatehouse policy mode web monitor     try it\n  gatehouse policy mode web enforce\n");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("NAME", arguments->name, "Name, or NAMESPACE/NAME")->required();
  command->add_option("MODE", arguments->mode, "enforce or monitor")
      ->required()
      ->check(CLI::IsMember({"enforce", "monitor"}));
  AddClientOptions(*command, invocation);
  command->callback([&invocation, arguments] {
    invocation.run = [arguments](const Invocation& chosen) {
      return Configure(chosen, arguments->name, {.enable = {}, .mode = arguments->mode});
    };
  });
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = AddGroup(app, "policy", "Add, change, delete and look at policies",
                             "  gatehouse policy add web.yaml\n"
                             "  gatehouse policy list\n"
                             "  gatehouse policy mode web monitor\n"
                             "  gatehouse policy delete web\n");
  AddApply(*group, invocation, false);
  AddApply(*group, invocation, true);

  CLI::App* remove =
      AddCommand(*group, "delete",
                 "Delete policies that were added with add, one after the other up to the "
                 "first that cannot be",
                 "  gatehouse policy delete web shop/db\n");
  const auto removed = std::make_shared<Arguments>();
  remove->add_option("NAME", removed->names, "Names, or NAMESPACE/NAME")->required();
  AddClientOptions(*remove, invocation);
  remove->callback([&invocation, removed] {
    invocation.run = [removed](const Invocation& chosen) { return Delete(chosen, removed->names); };
  });

  CLI::App* list =
      AddCommand(*group, "list", "List policies, templates and bindings with their state",
                 "  gatehouse policy list\n  gatehouse policy list -o json\n");
  AddClientOptions(*list, invocation);
  list->callback([&invocation] { invocation.run = List; });

  CLI::App* show = AddCommand(*group, "show", "Print a policy as it was written",
                              "  gatehouse policy show shop/db\n");
  const auto shown = std::make_shared<Arguments>();
  show->add_option("NAME", shown->name, "Name, or NAMESPACE/NAME")->required();
  AddClientOptions(*show, invocation);
  show->callback([&invocation, shown] {
    invocation.run = [shown](const Invocation& chosen) { return Show(chosen, shown->name); };
  });

  AddMode(*group, invocation);
  AddSwitch(*group, invocation, true);
  AddSwitch(*group, invocation, false);
}

}  // namespace gatehouse::cli
