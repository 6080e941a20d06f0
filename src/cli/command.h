// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>

#include "base/result.h"

/// The client: one file for each group of commands. Each Add… declares the options of its commands
/// and, when one of them is chosen on the command line, sets Invocation::run.
namespace gatehouse::cli {

enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,  ///< refused, not found, no daemon
  kUsage = 2,
};

enum class Format { kTable, kJson, kCompact };

/// What the command line says, and the command that it chooses.
struct Invocation {
  std::string control_socket;
  Format format = Format::kTable;
  /// Does the command: writes to standard output, or returns what stopped it. Empty: none was
  /// chosen.
  std::function<Result<ExitStatus>(const Invocation&)> run;
};

void AddPolicyCommands(CLI::App& app, Invocation& invocation);
void AddWorkloadCommands(CLI::App& app, Invocation& invocation);
void AddCheckCommand(CLI::App& app, Invocation& invocation);
void AddExplainCommand(CLI::App& app, Invocation& invocation);
void AddEventsCommand(CLI::App& app, Invocation& invocation);
void AddHookCommands(CLI::App& app, Invocation& invocation);
void AddStatusCommands(CLI::App& app, Invocation& invocation);

/// Declares --control-socket and -o on a command that talks to the daemon.
void AddClientOptions(CLI::App& command, Invocation& invocation);
/// Declares -o table|json.
void AddOutputOption(CLI::App& command, Invocation& invocation);
/// A group of commands, one of which has to be given, with examples below its help.
[[nodiscard]] CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& help,
                                 const std::string& examples);
/// A command, with examples below its help.
[[nodiscard]] CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& help,
                                   const std::string& examples);

/// The program without main: parses and runs. Returns the exit status.
[[nodiscard]] int Run(int argc, const char* const* argv);

}  // namespace gatehouse::cli
