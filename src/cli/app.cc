// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "cli/command.h"

namespace gatehouse::cli {
namespace {

constexpr const char* kDefaultControlSocket = "/run/gatehouse/gatehouse.sock";

constexpr const char* kDescription =
    "gatehouse talks to gatehoused, which enforces what the workloads of this node may run.";

constexpr const char* kExamples =
    "Examples:\n"
    "  gatehouse check policies.yaml                          is it right? needs neither root nor "
    "daemon\n"
    "  gatehouse workload add --cgroup /sys/fs/cgroup/shop --label app=shop\n"
    "  gatehouse policy add policies.yaml                     all of its documents, or none\n"
    "  gatehouse policy list\n"
    "  gatehouse explain --workload /sys/fs/cgroup/shop --exec /usr/bin/curl\n"
    "  gatehouse events --follow --policy web\n"
    "\n"
    "Exit status: 0 done, 1 refused or not found, 2 wrong usage.\n"
    "More about a command: gatehouse COMMAND --help\n";

/// Groups print the help of the command that was named after them.
void Finish(CLI::App& app) {
  app.set_help_flag("-h,--help", "Print this text");
  for (CLI::App* command : app.get_subcommands(nullptr)) Finish(*command);
}

}  // namespace

void AddOutputOption(CLI::App& command, Invocation& invocation) {
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&invocation](const std::string& name) {
            invocation.format = name == "json" ? Format::kJson : Format::kTable;
          },
          "Print a table for people or JSON for programs")
      ->type_name("table|json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
}

void AddClientOptions(CLI::App& command, Invocation& invocation) {
  command.add_option("--control-socket", invocation.control_socket, "Socket of the daemon")
      ->type_name("PATH")
      ->default_str(kDefaultControlSocket);
  AddOutputOption(command, invocation);
}

CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& help,
                   const std::string& examples) {
  CLI::App* group = AddCommand(app, name, help, examples);
  group->require_subcommand(1);
  return group;
}

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& help,
                     const std::string& examples) {
  CLI::App* command = app.add_subcommand(name, help);
  command->footer("Examples:\n" + examples);
  return command;
}

int Run(int argc, const char* const* argv) {
  Invocation invocation;
  invocation.control_socket = kDefaultControlSocket;
  CLI::App app(kDescription, "gatehouse");
  app.footer(kExamples);
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("gatehouse " GATEHOUSE_VERSION));
  AddClientOptions(app, invocation);
  AddPolicyCommands(app, invocation);
  AddWorkloadCommands(app, invocation);
  AddCheckCommand(app, invocation);
  AddExplainCommand(app, invocation);
  AddEventsCommand(app, invocation);
  AddHookCommands(app, invocation);
  AddStatusCommands(app, invocation);
  Finish(app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return kDone;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "gatehouse: {}\n", error.what());
    std::string command = "gatehouse";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      command += " " + at->get_name();
    }
    fmt::print(stderr, "Try {} --help\n", command);
    return kUsage;
  }
  const auto status = invocation.run(invocation);
  std::fflush(stdout);
  if (!status) {
    fmt::print(stderr, "gatehouse: {}\n", status.error().Message());
    return kFailed;
  }
  return *status;
}

}  // namespace gatehouse::cli
