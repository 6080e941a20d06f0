// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <sstream>

#include "benches.h"
#include "cli/client.h"
#include "daemon_process.h"
#include "kernel_objects.h"
#include "programs.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr double kStartLimitS = 5;
constexpr double kResidentLimitMb = 100;
constexpr double kChangeLimitMs = 5;
constexpr double kStartGivenUpS = 300;
constexpr useconds_t kPollUs = 10'000;
constexpr useconds_t kSettleUs =
    10'000'000;  // processes that have ended are forgotten, memory is given back
constexpr double kKbPerMb = 1024;

/// The number of the policy goes where the dollar sign is.
constexpr std::string_view kSelector = "podSelector: {matchLabels: {app: app-$}}";

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string PolicyYaml(const Policy& policy) {
  std::string yaml;
  AppendPolicy(yaml, policy, kSelector);
  return yaml;
}

std::string WorkloadsYaml(std::span<const Workload> workloads) {
  std::string yaml;
  for (const Workload& workload : workloads) {
    fmt::format_to(std::back_inserter(yaml),
                   "- cgroup: {0}\n  namespace: bench\n  pod: app-{1}\n  container: main\n"
                   "  labels: {{app: app-{1}}}\n",
                   workload.cgroup, workload.number);
  }
  return yaml;
}

double MbOf(pid_t pid, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == key && status >> kilobytes) return kilobytes / kKbPerMb;
  }
  return 0;
}

/// Resident pages of BPF maps: the ring buffer (its pages twice, one behind the other) and the
/// image.
double MappedMapsMb(pid_t pid) {
  std::ifstream mappings("/proc/" + std::to_string(pid) + "/smaps");
  bool of_map = false;
  double sum_kb = 0;
  for (std::string line; std::getline(mappings, line);) {
    std::istringstream words(line);
    std::string key;
    double kilobytes = 0;
    words >> key;
    if (!key.ends_with(':')) of_map = line.ends_with("anon_inode:bpf-map");
    if (of_map && key == "Rss:" && words >> kilobytes) sum_kb += kilobytes;
  }
  return sum_kb / kKbPerMb;
}

Result<bool> IsDenied(const Runner& runner, const std::string& program) {
  GH_ASSIGN(const Executions executions, runner.Run(program, 1));
  return executions.denied == 1;
}

/// Until the program is denied in the workload of the last policy.
Result<double> TimeToEnforced(DaemonProcess& daemon, kernel::Backend backend, const Runner& last,
                              const std::string& denied) {
  const auto begin = Clock::now();
  GH_TRY(daemon.Start(backend));
  while (SecondsSince(begin) < kStartGivenUpS) {
    GH_ASSIGN(const bool enforced, IsDenied(last, denied));
    if (enforced) return SecondsSince(begin);
    GH_TRY(daemon.CheckAlive());
    usleep(kPollUs);
  }
  return Fail(ErrorCode::kSystem, "gatehoused", "enforces nothing after five minutes");
}

/// It enforces before it listens.
Result<cli::Client> ConnectTo(const DaemonProcess& daemon) {
  const auto begin = Clock::now();
  while (true) {
    auto client = cli::Client::Connect(daemon.socket());
    if (client || SecondsSince(begin) > kStartGivenUpS) return client;
    GH_TRY(daemon.CheckAlive());
    usleep(kPollUs);
  }
}

struct Changes {
  std::vector<double> added_ms, replaced_ms, deleted_ms;
};

/// From the call to the answer; and what the answer says has to be true.
template <typename Request>
Result<double> TimedMs(cli::Client& client, const Request& request, const Runner& runner,
                       const std::string& program, bool denied_then) {
  const auto begin = Clock::now();
  auto response = client.Call(request);
  const double ms = SecondsSince(begin) * 1000;
  if (!response) return tl::unexpected(std::move(response).error());
  GH_ASSIGN(const bool denied, IsDenied(runner, program));
  if (denied != denied_then) {
    return Fail(ErrorCode::kSystem, "gatehoused",
                "answered, but does not enforce what it was told");
  }
  return ms;
}

Result<Changes> Change(cli::Client& client, Policy policy, uint32_t changes, const Runner& runner,
                       const std::string& program) {
  Changes times;
  v1::AddPoliciesRequest add;
  add.set_yaml(PolicyYaml(policy));
  policy.allowed.front() = program;
  v1::AddPoliciesRequest replace;
  replace.set_yaml(PolicyYaml(policy));
  replace.set_replace(true);
  tetragon::DeleteTracingPolicyRequest remove;
  remove.set_name("policy-" + std::to_string(policy.number));
  for (uint32_t i = 0; i < changes; ++i) {
    GH_ASSIGN(const double added, TimedMs(client, add, runner, program, true));
    GH_ASSIGN(const double replaced, TimedMs(client, replace, runner, program, false));
    GH_ASSIGN(const double deleted, TimedMs(client, remove, runner, program, false));
    times.added_ms.push_back(added);
    times.replaced_ms.push_back(replaced);
    times.deleted_ms.push_back(deleted);
  }
  return times;
}

}  // namespace

Result<void> BenchDaemon(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const uint32_t changes = settings.quick ? 100 : 1000;
  const std::vector<Policy> policies = MakePolicies(many + 1);
  const Cgroups cgroups(many + 1);
  const Programs programs;
  const std::string program = programs.Make("program");
  const Runner last(cgroups.workloads()[many - 1].cgroup),
      changed(cgroups.workloads()[many].cgroup);

  DaemonProcess daemon;
  std::string yaml;
  for (uint32_t i = 0; i < many; ++i) AppendPolicy(yaml, policies[i], kSelector);
  GH_TRY(daemon.WritePolicies(yaml));
  GH_TRY(daemon.WriteWorkloads(WorkloadsYaml(cgroups.workloads())));
  GH_ASSIGN(const double start_s, TimeToEnforced(daemon, settings.backend, last, program));
  const std::string count = std::to_string(many);
  report.Add({count + " policies from YAML to enforced, daemon's start included", kStartLimitS,
              start_s, "s"});

  const pid_t pid = daemon.pid();
  GH_ASSIGN(cli::Client client, ConnectTo(daemon));
  const double after_start_mb = MbOf(pid, "VmRSS:");
  const std::set<uint32_t> loaded = FindObjectsOf(pid).programs;
  GH_ASSIGN(const Changes times, Change(client, policies[many], changes, changed, program));
  usleep(kSettleUs);
  const double after_changes_mb = MbOf(pid, "VmRSS:");
  const double maps_mb = MappedMapsMb(pid);

  report.Table("gatehoused with " + count + " policies in one file and as many workloads",
               {"figure", "value"},
               {{"YAML, MB", static_cast<double>(yaml.size()) / kKbPerMb / kKbPerMb},
                {"from its start to enforced, s", start_s},
                {"resident memory then, MB", after_start_mb},
                {"after the changes below and ten seconds, MB", after_changes_mb},
                {"of this its own (anonymous), MB", MbOf(pid, "RssAnon:")},
                {"of this kernel memory: event buffer and image, mapped, MB", maps_mb},
                {"of this program and libraries, MB", MbOf(pid, "RssFile:") - maps_mb},
                {"at its highest, MB", MbOf(pid, "VmHWM:")}});
  std::vector<std::vector<Cell>> rows;
  for (const auto& [what, ms] : {std::pair{"added", times.added_ms},
                                 {"replaced", times.replaced_ms},
                                 {"deleted", times.deleted_ms}}) {
    rows.push_back({what, Quantile(ms, 0.5), Quantile(ms, 0.99), Quantile(ms, 1)});
    report.Add(
        {std::string("a policy ") + what + ", " + count + " there, from RPC to enforced, p99",
         kChangeLimitMs, Quantile(ms, 0.99), "ms"});
  }
  report.Table("From the call of the RPC to its answer, when it is enforced, milliseconds",
               {"policy", "p50", "p99", "longest"}, rows);
  report.Add({"programs loaded by these changes", 0,
              FindObjectsOf(pid).programs == loaded ? 0.0 : 1.0, ""});
  report.Add({"resident memory of the daemon, " + count + " policies", kResidentLimitMb,
              std::max(after_start_mb, after_changes_mb), "MB"});
  return {};
}

}  // namespace gatehouse::bench
