// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <bit>
#include <climits>
#include <cstdlib>
#include <map>

#include "policy/names.h"

namespace gatehouse::daemon {
namespace {

constexpr int kUsageStatus = 2;

constexpr const char* kDescription =
    "gatehoused enforces, through eBPF, which programs every workload of this node may run.\n"
    "It takes policies (TracingPolicy, TracingPolicyNamespaced, TracingPolicyTemplate,\n"
    "TracingPolicyBinding) from a directory and over its control socket; see gatehouse(1) for the\n"
    "client and gatehouse-policy(5) for the language.";

constexpr const char* kExamples =
    "Examples:\n"
    "  gatehoused --policy-dir /etc/gatehouse/policies.d \\\n"
    "             --workloads /etc/gatehouse/workloads.yaml\n"
    "      the usual way: both are watched, and changes are applied as they are made\n"
    "  gatehoused --event-log /var/log/gatehouse/events.log --event-log-max-bytes 64MB\n"
    "      every event as a JSON line, rotated by size\n"
    "  gatehoused --backend signal --deny-by-signal\n"
    "      a kernel that allows no trampoline: Override is carried out as SIGKILL\n"
    "\n"
    "Signals: SIGTERM and SIGINT stop and detach everything; SIGHUP reads the files again.\n"
    "Exit status: 0 stopped on request, 1 could not start or failed, 2 wrong usage.\n";

uint32_t PageSize() { return static_cast<uint32_t>(sysconf(_SC_PAGESIZE)); }

std::string NodeName() {
  if (const char* name = std::getenv("NODE_NAME"); name != nullptr && *name != '\0') return name;
  std::array<char, HOST_NAME_MAX + 1> buffer{};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
  return buffer.data();
}

std::string CheckRingBytes(const std::string& text) {
  uint64_t bytes = 0;
  if (!CLI::detail::lexical_cast(text, bytes)) return "is not a number of bytes";
  if (!std::has_single_bit(bytes) || bytes < PageSize() || bytes > (1u << 30)) {
    return "must be a power of two, from " + std::to_string(PageSize()) + " to 1073741824 bytes";
  }
  return {};
}

std::string CheckLabel(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == text.npos) return "is not KEY=VALUE: " + text;
  return policy::IsLabelKey(text.substr(0, equals)) ? "" : "has no key of a label: " + text;
}

void AddSources(CLI::App& app, Options& options) {
  app.add_option(
         "--policy-dir", options.policy_dir,
         "Directory whose *.yaml and *.yml files are the policies; watched. A file that is\n"
         "wrong is reported, and what it said before stays in force")
      ->type_name("DIR")
      ->check(CLI::ExistingDirectory)
      ->group("Policies and workloads");
  app.add_option("--workloads", options.workloads_file,
                 "File that names cgroups as workloads; watched, may appear later")
      ->type_name("FILE")
      ->group("Policies and workloads");
}

void AddContainers(CLI::App& app, Options& options) {
  app.add_option_function<std::vector<std::string>>(
         "--cri",
         [&options](const std::vector<std::string>& sockets) {
           options.cri = true;
           options.cri_sockets = sockets;
           std::erase(options.cri_sockets, "auto");
         },
         "Ask the container runtime of Kubernetes at this socket which containers run here; auto:\n"
         "where containerd and CRI-O usually listen; may be given often, the first that answers")
      ->type_name("auto|SOCKET")
      ->allow_extra_args(false)
      ->group("Containers");
  app.add_option("--container-engine", options.engines,
                 "Ask Docker or podman at this socket, as /var/run/docker.sock; may be given often")
      ->type_name("SOCKET")
      ->allow_extra_args(false)
      ->group("Containers");
  app.add_option(
         "--kubernetes", options.kubernetes,
         "Watch a cluster's pods of this node, its namespaces and policies: in-cluster, as\n"
         "the service account of the agent's pod, or by a kubeconfig file")
      ->type_name("in-cluster|FILE")
      ->group("Containers");
  app.add_option("--kube-context", options.kube_context,
                 "Context of the kubeconfig; default: the current one")
      ->type_name("NAME")
      ->group("Containers");
}

void AddEnforcement(CLI::App& app, Options& options) {
  static const std::map<std::string, std::optional<kernel::Backend>> kBackends = {
      {"auto", std::nullopt},
      {"lsm", kernel::Backend::kLsm},
      {"fmod_ret", kernel::Backend::kFmodRet},
      {"signal", kernel::Backend::kSignal}};
  app.add_option_function<std::string>(
         "--backend",
         [&options](const std::string& name) { options.kernel.backend = kBackends.at(name); },
         "How to attach and to deny. lsm and fmod_ret return an errno; signal kills the new\n"
         "program before its first instruction. auto: the first of these that works here")
      ->type_name("auto|lsm|fmod_ret|signal")
      ->check(CLI::IsMember({"auto", "lsm", "fmod_ret", "signal"}))
      ->default_str("auto")
      ->group("Enforcement");
  app.add_flag("--probe", options.probe_only,
               "Say which backends work on this kernel, and why the others do not; then end.\n"
               "Exit status 1 if none works")
      ->group("Enforcement");
  app.add_flag("--deny-by-signal", options.deny_by_signal,
               "With backend signal: carry Override out as SIGKILL instead of refusing the policy")
      ->group("Enforcement");
  app.add_flag("--allow-host-enforcement", options.allow_host_enforcement,
               "Take enforcing policies that reach the whole machine: those without a selector\n"
               "or with hostSelector")
      ->group("Enforcement");
  app.add_flag("--allow-network-actions", options.allow_network_actions,
               "Take policies with GetUrl and DnsLookup, which reach out of this node, and carry\n"
               "them out")
      ->group("Enforcement");
}

void AddEvents(CLI::App& app, Options& options) {
  static const std::map<std::string, kernel::BaseEvents> kBaseEvents = {
      {"all", kernel::BaseEvents::kAll},
      {"workloads", kernel::BaseEvents::kWorkloads},
      {"off", kernel::BaseEvents::kOff}};
  app.add_option(
         "--event-log", options.event_log,
         "Append every event to this file as a JSON line; - is standard output, never rotated")
      ->type_name("FILE")
      ->group("Events");
  app.add_option("--event-log-max-bytes", options.event_log_max_bytes,
                 "Rotate the event log before it grows beyond this; 0: never")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str()
      ->group("Events");
  app.add_option("--event-log-backups", options.event_log_backups,
                 "How many rotated files to keep, FILE.1 being the newest")
      ->type_name("N")
      ->capture_default_str()
      ->group("Events");
  app.add_option_function<std::string>(
         "--base-events",
         [&options](const std::string& name) { options.kernel.base_events = kBaseEvents.at(name); },
         "For which processes process_exec and process_exit events are made")
      ->type_name("all|workloads|off")
      ->check(CLI::IsMember({"all", "workloads", "off"}))
      ->default_str("all")
      ->group("Events");
  app.add_flag("--expose-stack-addresses", options.expose_stack_addresses,
               "Have events with stacks tell addresses, too; who reads them learns where the\n"
               "kernel and programs are in memory")
      ->group("Events");
}

void AddNode(CLI::App& app, Options& options) {
  app.add_option("--node-name", options.node_name,
                 "Name of this node in events; default: NODE_NAME, else the host's name")
      ->type_name("NAME")
      ->group("Node");
  app.add_option("--cluster-name", options.cluster_name, "Name of the cluster in events")
      ->type_name("NAME")
      ->group("Node");
  app.add_option_function<std::vector<std::string>>(
         "--node-label",
         [&options](const std::vector<std::string>& labels) {
           for (const std::string& label : labels) {
             const size_t equals = label.find('=');
             options.node_labels[label.substr(0, equals)] = label.substr(equals + 1);
           }
         },
         "A label of this node, which nodeSelector of policies is compared with, and events\n"
         "tell; may be given often")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->check(CLI::Validator(CheckLabel, "", "label"))
      ->group("Node");
}

void AddLimits(CLI::App& app, Options& options) {
  app.add_option("--ring-buffer-bytes", options.kernel.ring_bytes,
                 "Size of the ring buffer for events, a power of two; a full one loses events,\n"
                 "counted by cause in `gatehouse stats`, never verdicts")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Validator(CheckRingBytes, "", "ring-buffer-bytes"))
      ->capture_default_str()
      ->group("Limits");
  app.add_option("--max-cgroups", options.kernel.max_cgroups,
                 "How many cgroups of workloads can be tracked, nested ones included")
      ->type_name("N")
      ->check(CLI::Range(1u, 1u << 24))
      ->capture_default_str()
      ->group("Limits");
}

void AddOperation(CLI::App& app, Options& options) {
  static const std::map<std::string, LogLevel> kLevels = {{"debug", LogLevel::kDebug},
                                                          {"info", LogLevel::kInfo},
                                                          {"warn", LogLevel::kWarn},
                                                          {"error", LogLevel::kError}};
  app.add_option("--control-socket", options.control_socket,
                 "Unix socket of the API; only its owner can connect (mode 0600)")
      ->type_name("PATH")
      ->capture_default_str()
      ->group("Operation");
  app.add_option_function<std::string>(
         "--log-level",
         [&options](const std::string& name) { options.log_level = kLevels.at(name); },
         "The least severity that is logged")
      ->type_name("debug|info|warn|error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->default_str("info")
      ->group("Operation");
  app.add_option_function<std::string>(
         "--log-format",
         [&options](const std::string& name) {
           options.log_format = name == "json" ? LogFormat::kJson : LogFormat::kText;
         },
         "Log lines on standard error for people (text) or for machines (json)")
      ->type_name("text|json")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text")
      ->group("Operation");
}

}  // namespace

tl::expected<Options, EarlyExit> ParseCommandLine(int argc, const char* const* argv) {
  Options options;
  CLI::App app(kDescription, "gatehoused");
  app.footer(kExamples);
  app.set_version_flag("--version", std::string("gatehoused " GATEHOUSE_VERSION))
      ->group("Operation");
  app.set_help_flag("-h,--help", "Print this text")->group("Operation");
  AddSources(app, options);
  AddContainers(app, options);
  AddEnforcement(app, options);
  AddEvents(app, options);
  AddNode(app, options);
  AddLimits(app, options);
  AddOperation(app, options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected(EarlyExit{0, app.help()});
  } catch (const CLI::CallForVersion& version) {
    return tl::unexpected(EarlyExit{0, std::string(version.what()) + "\n"});
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(EarlyExit{
        kUsageStatus, std::string("gatehoused: ") + error.what() + "\nTry gatehoused --help\n"});
  }
  if (options.deny_by_signal && options.kernel.backend &&
      *options.kernel.backend != kernel::Backend::kSignal) {
    return tl::unexpected(
        EarlyExit{kUsageStatus,
                  "gatehoused: --deny-by-signal is about backend signal; leave it out, or use "
                  "--backend auto or signal\n"});
  }
  if (options.node_name.empty()) options.node_name = NodeName();
  return options;
}

}  // namespace gatehouse::daemon
