// SPDX-License-Identifier: Apache-2.0
// gatehouse status, gatehouse stats
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"

namespace gatehouse::cli {
namespace {

void PrintAgent(const v1::GetStatusResponse& status) {
  const v1::Agent& agent = status.agent();
  const v1::Counts& counts = status.counts();
  fmt::print("gatehoused {} on {}, Linux {}, pid {}, up {} s, {} resident\n", agent.version(),
             Printable(agent.node_name()), agent.kernel_release(), agent.pid(),
             agent.uptime().seconds(), HumanBytes(agent.resident_bytes()));
  fmt::print("backend {}{}{}\n", status.backend(),
             agent.deny_by_signal() ? ", Override is carried out as SIGKILL" : "",
             agent.host_enforcement() ? ", enforcing on the whole machine is allowed" : "");
  fmt::print("{} policies, {} templates, {} bindings ({} in conflict), {} workloads\n",
             counts.tracing_policies(), counts.templates(), counts.bindings(), counts.conflicts(),
             counts.workloads());
  const v1::HookFailures& failures = status.hook_failures();
  if (failures.allowed() + failures.denied() + failures.unreadable() > 0) {
    fmt::print(
        "runtime hook: {} containers started without their policies, {} not started; {} records "
        "not understood\n",
        failures.allowed(), failures.denied(), failures.unreadable());
  }
}

void PrintSources(const v1::GetStatusResponse& status) {
  Table sources({{"SOURCE"},
                 {"WHAT"},
                 {"STATE"},
                 {"OBJECTS", Table::Align::kRight},
                 {"REFUSED", Table::Align::kRight},
                 {"LAST ERROR"}});
  for (const v1::Source& source : status.sources()) {
    std::string what = source.name();
    if (!source.endpoint().empty()) what += (what.empty() ? "" : " at ") + source.endpoint();
    sources.Add({source.kind(), Printable(what), source.state(), std::to_string(source.objects()),
                 std::to_string(source.refused()), Printable(source.last_error())});
  }
  if (!sources.empty()) Print("\n" + sources.ToString());
}

void PrintKernel(const v1::GetStatusResponse& status) {
  using Align = Table::Align;
  Table backends({{"BACKEND"}, {"AVAILABLE"}, {"REASON"}});
  for (const v1::Backend& backend : status.backends()) {
    backends.Add({backend.name(), backend.available() ? "yes" : "no", backend.absent_because()});
  }
  Print("\n" + backends.ToString());

  Table hooks({{"HOOK"},
               {"PROGRAM"},
               {"ID", Align::kRight},
               {"POLICIES", Align::kRight},
               {"RUNS", Align::kRight},
               {"NS/RUN", Align::kRight}});
  for (const v1::Hook& hook : status.hooks()) {
    constexpr double kNsPerSecond = 1e9;
    const double ns =
        static_cast<double>(hook.run_time().seconds()) * kNsPerSecond + hook.run_time().nanos();
    const bool timed = hook.run_count() > 0;
    hooks.Add({hook.name(), hook.program(),
               hook.program_id() == 0 ? "" : std::to_string(hook.program_id()),
               std::to_string(hook.policies()), timed ? std::to_string(hook.run_count()) : "",
               timed ? fmt::format("{:.0f}", ns / static_cast<double>(hook.run_count())) : ""});
  }
  if (!hooks.empty()) Print("\n" + hooks.ToString());

  Table programs({{"OTHER PROGRAM"}, {"ID", Align::kRight}});
  for (const v1::Program& program : status.programs()) {
    const bool of_a_hook = std::ranges::any_of(
        status.hooks(), [&](const v1::Hook& hook) { return hook.program_id() == program.id(); });
    if (!of_a_hook) programs.Add({program.name(), std::to_string(program.id())});
  }
  if (!programs.empty()) Print("\n" + programs.ToString());

  Table maps({{"MAP"}, {"ID", Align::kRight}, {"MEMLOCK", Align::kRight}});
  uint64_t total = 0;
  for (const v1::Map& map : status.maps()) {
    maps.Add({map.name(), std::to_string(map.id()), HumanBytes(map.memlock_bytes())});
    total += map.memlock_bytes();
  }
  if (!maps.empty()) {
    Print("\n" + maps.ToString());
  }
  fmt::print("\nin the kernel: {} programs, {} maps, {}\n", status.programs_size(),
             status.maps_size(), HumanBytes(total));
  const v1::Image& image = status.image();
  fmt::print(
      "image {}: {} of {} used; {} instances, {} groups, {} sets, {} strings, {} workloads\n",
      image.generation(), HumanBytes(image.used_bytes()), HumanBytes(image.arena_bytes()),
      image.instances(), image.groups(), image.sets(), image.strings(), image.workloads());
}

Result<ExitStatus> Status(const Invocation& invocation) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::GetStatusResponse response, client.Call(v1::GetStatusRequest()));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
    return kDone;
  }
  PrintAgent(response);
  PrintSources(response);
  PrintKernel(response);
  return kDone;
}

void PrintStats(const v1::GetStatsResponse& response) {
  using Align = Table::Align;
  Table rules({{"POLICY"},
               {"MODE"},
               {"SELECTOR"},
               {"ACTIONS"},
               {"DECISIONS", Align::kRight},
               {"WORKLOADS", Align::kRight},
               {"MEMORY", Align::kRight}});
  for (const v1::PolicyStats& policy : response.policies()) {
    for (const v1::RuleStats& rule : policy.rules()) {
      rules.Add({NameOf(policy.policy()), ModeOf(policy.mode()),
                 fmt::format("{} of {}", rule.rule().selector(), rule.rule().call()),
                 ActionsOf(rule.actions()), std::to_string(rule.hits()),
                 std::to_string(policy.workloads()), HumanBytes(policy.kernel_memory_bytes())});
    }
  }
  Print(rules.empty() ? "no policy is in force on a workload\n" : rules.ToString());

  Table counters({{"KERNEL COUNTER"}, {"VALUE", Align::kRight}});
  for (const v1::Counter& counter : response.kernel()) {
    counters.Add({counter.name(), std::to_string(counter.value())});
  }
  if (!counters.empty()) Print("\n" + counters.ToString());

  const v1::EventStats& events = response.events();
  fmt::print("\nevents: {} received, {} not understood; log: {} written ({}), {} lost{}\n",
             events.received(), events.undecodable(), events.file_written(),
             HumanBytes(events.file_bytes()), events.file_lost() + events.queue_lost(),
             events.file_error().empty() ? "" : ": " + Printable(events.file_error()));
  fmt::print("processes: {} kept, {} unknown\n", events.processes_cached(),
             events.processes_unknown());
  if (events.network_actions_done() + events.network_actions_failed() +
          events.network_actions_lost() >
      0) {
    fmt::print("GetUrl and DnsLookup: {} answered, {} not, {} lost\n",
               events.network_actions_done(), events.network_actions_failed(),
               events.network_actions_lost());
  }
  Table subscribers(
      {{"READER"}, {"SENT", Align::kRight}, {"LOST", Align::kRight}, {"QUEUED", Align::kRight}});
  for (const v1::Subscriber& subscriber : events.subscribers()) {
    subscribers.Add({subscriber.peer(), std::to_string(subscriber.sent()),
                     std::to_string(subscriber.lost()), std::to_string(subscriber.queued())});
  }
  if (!subscribers.empty()) Print(subscribers.ToString());
}

Result<ExitStatus> Stats(const Invocation& invocation, const std::string& policy) {
  v1::GetStatsRequest request;
  if (!policy.empty()) *request.mutable_policy() = PolicyRefOf(policy);
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::GetStatsResponse response, client.Call(request));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
  } else {
    PrintStats(response);
  }
  return kDone;
}

}  // namespace

void AddStatusCommands(CLI::App& app, Invocation& invocation) {
  CLI::App* status =
      AddCommand(app, "status", "Show the daemon, the ways to enforce, hooks and kernel memory",
                 "  gatehouse status\n  gatehouse status -o json\n");
  AddClientOptions(*status, invocation);
  status->callback([&invocation] { invocation.run = Status; });

  CLI::App* stats = AddCommand(
      app, "stats", "Show decisions of each selector, memory of each policy, losses by cause",
      "  gatehouse stats\n  gatehouse stats web\n");
  const auto policy = std::make_shared<std::string>();
  stats->add_option("NAME", *policy, "Only this policy: name, or NAMESPACE/NAME");
  AddClientOptions(*stats, invocation);
  stats->callback([&invocation, policy] {
    invocation.run = [policy](const Invocation& chosen) { return Stats(chosen, *policy); };
  });
}

}  // namespace gatehouse::cli
