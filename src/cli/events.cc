// SPDX-License-Identifier: Apache-2.0
// gatehouse events: the stream of events.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "export/compact.h"
#include "export/json.h"

namespace gatehouse::cli {
namespace {

struct Arguments {
  bool follow = false;
  double seconds = 1;
  uint64_t count = 0;
  std::vector<std::string> events, binaries, namespaces, pods, policies;
};

const std::map<std::string, tetragon::EventType>& EventTypes() {
  static const std::map<std::string, tetragon::EventType> kTypes = {
      {"process_exec", tetragon::PROCESS_EXEC},
      {"process_exit", tetragon::PROCESS_EXIT},
      {"process_kprobe", tetragon::PROCESS_KPROBE},
      {"process_lsm", tetragon::PROCESS_LSM},
      {"process_tracepoint", tetragon::PROCESS_TRACEPOINT},
      {"process_uprobe", tetragon::PROCESS_UPROBE},
      {"process_usdt", tetragon::PROCESS_USDT},
      {"process_loader", tetragon::PROCESS_LOADER}};
  return kTypes;
}

tetragon::GetEventsRequest RequestFor(const Arguments& arguments) {
  tetragon::GetEventsRequest request;
  tetragon::Filter filter;
  for (const std::string& event : arguments.events) filter.add_event_set(EventTypes().at(event));
  for (const std::string& binary : arguments.binaries) filter.add_binary_regex(binary);
  for (const std::string& ns : arguments.namespaces) filter.add_namespace_(ns);
  for (const std::string& pod : arguments.pods) filter.add_pod_regex(pod);
  for (const std::string& policy : arguments.policies) filter.add_policy_names(policy);
  if (filter.ByteSizeLong() > 0) *request.add_allow_list() = filter;
  return request;
}

Result<ExitStatus> Events(const Invocation& invocation, const Arguments& arguments) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  std::optional<std::chrono::milliseconds> period;
  if (!arguments.follow) {
    constexpr double kMsPerSecond = 1000;
    period = std::chrono::milliseconds(static_cast<int64_t>(arguments.seconds * kMsPerSecond));
  }
  uint64_t seen = 0;
  GH_TRY(client.Events(RequestFor(arguments), period, [&](const auto& event) {
    std::string line;
    if (invocation.format == Format::kJson) {
      exporting::AppendJsonLine(event, &line);
    } else {
      line = exporting::CompactLine(event) + "\n";
    }
    Print(line);
    std::fflush(stdout);
    return ++seen != arguments.count;
  }));
  return kDone;
}

}  // namespace

void AddEventsCommand(CLI::App& app, Invocation& invocation) {
  CLI::App* command = AddCommand(
      app, "events", "Print events as they happen",
      "  gatehouse events --follow                                  until interrupted\n"
      "  gatehouse events --for 10 --event process_exec -o json     ten seconds of executions\n"
      "  gatehouse events --follow --policy web --namespace shop    of that policy and namespace\n"
      "Of one filter's values one has to hold, and every filter that is given.\n");
  const auto arguments = std::make_shared<Arguments>();
  command->add_flag("-f,--follow", arguments->follow, "Go on until interrupted");
  command->add_option("--for", arguments->seconds, "Without --follow: how long to listen")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command->add_option("--count", arguments->count, "Stop after so many events; 0: no limit")
      ->type_name("N")
      ->capture_default_str();
  std::vector<std::string> names;
  for (const auto& [name, type] : EventTypes()) names.push_back(name);
  command->add_option("--event", arguments->events, "Type of event; may be given often")
      ->type_name("TYPE")
      ->allow_extra_args(false)
      ->check(CLI::IsMember(names));
  command->add_option("--binary", arguments->binaries, "Program of the process")
      ->type_name("REGEX")
      ->allow_extra_args(false);
  command->add_option("--namespace", arguments->namespaces, "Namespace of the pod")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--pod", arguments->pods, "Pod")->type_name("REGEX")->allow_extra_args(false);
  command
      ->add_option("--policy", arguments->policies,
                   "Name of the policy; of merged bindings, that of any of them")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--control-socket", invocation.control_socket, "Socket of the daemon")
      ->type_name("PATH");
  command
      ->add_option_function<std::string>(
          "-o,--output",
          [&invocation](const std::string& name) {
            invocation.format = name == "json" ? Format::kJson : Format::kCompact;
          },
          "One line for people, or one JSON object for programs, for each event")
      ->type_name("compact|json")
      ->check(CLI::IsMember({"compact", "json"}))
      ->default_str("compact");
  command->callback([&invocation, arguments] {
    invocation.run = [arguments](const Invocation& chosen) { return Events(chosen, *arguments); };
  });
}

}  // namespace gatehouse::cli
