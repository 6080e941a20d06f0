// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include <malloc.h>
#include <poll.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <thread>
#include <utility>

#include "control/socket.h"
#include "daemon/cgroups.h"
#include "daemon/log.h"
#include "kernel/cgroup_tree.h"
#include "oci/failure_record.h"

namespace gatehouse::daemon {
namespace {

/// How often cgroups that came or went, and directories that could not be watched, are looked for.
constexpr std::chrono::milliseconds kHousekeeping{2000};

/// Heap that is not in use grows by so much before it is given back.
constexpr size_t kUnusedBytes = 1u << 20;

void NotifySystemd(const char* state) {
  (void)sd_notify(0, state);  // without systemd there is nobody to tell
}

std::optional<exporting::FileOptions> EventLog(const Options& options) {
  if (options.event_log.empty()) return std::nullopt;
  return exporting::FileOptions{.path = options.event_log,
                                .rotate_bytes = options.event_log_max_bytes,
                                .backups = options.event_log_backups};
}

}  // namespace

Platform SystemPlatform() {
  return {.load_kernel = kernel::Load,
          .find_cgroup_root = kernel::FindCgroupRoot,
          .cgroup_id = CgroupIdOf};
}

Daemon::Daemon(const Options& options, std::shared_ptr<spdlog::logger> log)
    : options_(options),
      log_(std::move(log)),
      started_(std::chrono::system_clock::now()),
      hook_failures_(oci::FailureDirectory(options.control_socket)) {}

Result<std::unique_ptr<Daemon>> Daemon::Start(const Options& options, const Platform& platform,
                                              std::shared_ptr<spdlog::logger> log) {
  GH_TRY(control::ClaimSocket(options.control_socket));
  std::unique_ptr<Daemon> daemon(new Daemon(options, std::move(log)));
  GH_TRY(daemon->LoadKernel(platform));
  GH_TRY(daemon->StartEvents());
  daemon->sources_ = std::make_unique<Sources>(*daemon->agent_, daemon->log_, options.policy_dir,
                                               options.workloads_file);
  daemon->sources_->Start();
  GH_TRY(daemon->StartContainerSources());
  daemon->CollectHookFailures();
  GH_TRY(daemon->Listen());
  daemon->ReturnMemory();
  NotifySystemd("READY=1");
  const AgentCounts counts = daemon->agent_->Counts();
  daemon->log_->info("ready: {} policies, {} templates, {} bindings, {} workloads", counts.policies,
                     counts.templates, counts.bindings, counts.workloads);
  return daemon;
}

Result<void> Daemon::LoadKernel(const Platform& platform) {
  kernel::Options kernel_options = options_.kernel;
  GH_ASSIGN(kernel_options.cgroup_root, platform.find_cgroup_root());
  GH_ASSIGN(kernel_, platform.load_kernel(kernel_options, strings_));
  const kernel::Status status = kernel_->status();
  for (const kernel::BackendProbe& probe : status.probes) {
    if (probe.backend == status.backend) {
      log_->info("backend {}: in use, {}", kernel::BackendName(probe.backend),
                 options_.kernel.backend ? "as asked for" : "the first that works here");
    } else if (!probe.available) {
      log_->info("backend {}: not available: {}", kernel::BackendName(probe.backend),
                 probe.absent_because);
    }
  }
  if (status.backend == kernel::Backend::kSignal) {
    log_->warn(options_.deny_by_signal
                   ? "policies with Override: carried out as SIGKILL (--deny-by-signal)"
                   : "policies with Override: refused, this backend can only kill; see "
                     "--deny-by-signal");
  }
  if (options_.allow_host_enforcement) {
    log_->warn("policies may enforce on the whole machine (--allow-host-enforcement)");
  }
  log_->info("cgroups: below {}", kernel_options.cgroup_root);
  agent_ = std::make_unique<Agent>(
      strings_, *kernel_,
      AgentOptions{.cgroup_root = kernel_options.cgroup_root,
                   .deny_by_signal = options_.deny_by_signal,
                   .allow_host_enforcement = options_.allow_host_enforcement,
                   .allow_network_actions = options_.allow_network_actions,
                   .node_labels = options_.node_labels,
                   .cgroup_id = platform.cgroup_id});
  containers_ = std::make_unique<Containers>(
      *agent_, [log = log_](const Error& error) { log->warn("{}", error.Message()); });
  return {};
}

Result<void> Daemon::StartEvents() {
  GH_ASSIGN(events_, EventPipeline::Start(*kernel_, agent_->workloads(), agent_->instances(),
                                          {.node_name = options_.node_name,
                                           .cluster_name = options_.cluster_name,
                                           .node_labels = options_.node_labels,
                                           .file = EventLog(options_),
                                           .network_actions = options_.allow_network_actions,
                                           .stack_addresses = options_.expose_stack_addresses}));
  if (!options_.event_log.empty()) log_->info("events: written to {}", options_.event_log);
  return {};
}

Result<kube::Config> ClusterConfig(const Options& options) {
  if (options.kubernetes != kInCluster) {
    return kube::FromKubeconfig(options.kubernetes, options.kube_context);
  }
  return kube::InCluster([](const char* name) { return getenv(name); },
                         kube::kServiceAccountDirectory);
}

Result<void> Daemon::StartContainerSources() {
  if (options_.cri || !options_.engines.empty()) {
    runtimes_ =
        std::make_unique<Runtimes>(RuntimeOptions{.cri = options_.cri,
                                                  .cri_sockets = options_.cri_sockets,
                                                  .engines = options_.engines,
                                                  .cgroup_root = agent_->options().cgroup_root},
                                   *containers_);
  }
  if (options_.kubernetes.empty()) return {};
  GH_ASSIGN(kube::Config config, ClusterConfig(options_));
  cluster_ = std::make_unique<ClusterSource>(
      std::move(config), options_.node_name, *agent_, *containers_,
      [log = log_](const std::string& line) { LogLines(*log, spdlog::level::warn, line); });
  return {};
}

Result<void> Daemon::Listen() {
  const auto log = [logger = log_](bool done, const std::string& line) {
    LogLines(*logger, done ? spdlog::level::info : spdlog::level::warn, line);
  };
  GH_ASSIGN(server_,
            control::Server::Listen(
                options_.control_socket,
                {.agent = *agent_,
                 .dispatcher = events_->dispatcher(),
                 .containers = *containers_,
                 .event_counts = [events = events_.get()] { return events->counts(); },
                 .sources = [this] { return SourcesHealth(); },
                 .hook_failures = [failures = &hook_failures_] { return failures->counts(); },
                 .log = log,
                 .info = {.node_name = options_.node_name, .started = started_}}));
  log_->info("control socket: {}", options_.control_socket);
  return {};
}

Daemon::~Daemon() {
  if (!server_) return;  // never got so far
  NotifySystemd("STOPPING=1");
  log_->info("stopping");
  server_.reset();
  cluster_.reset();
  runtimes_.reset();
  sources_.reset();
  events_.reset();
  containers_.reset();
  agent_.reset();
  kernel_.reset();
  log_->info("stopped: all programs are detached, no policy is in force any more");
}

std::vector<SourceHealth> Daemon::SourcesHealth() const {
  std::vector<SourceHealth> all;
  if (runtimes_) all = runtimes_->health();
  if (cluster_) std::ranges::move(cluster_->health(), std::back_inserter(all));
  return all;
}

void Daemon::Reconcile() {
  const auto [failures, ended] = agent_->ReconcileCgroups();
  if (!ended.empty()) {
    containers_->Change([&](workload::Inventory& inventory) {
      for (const std::string& cgroup : ended) inventory.Forget(cgroup);
    });
  }
  const std::string error = failures.empty() ? std::string() : failures.front().Message();
  if (!error.empty() && error != last_reconcile_error_) {
    log_->warn("{} ({} in all; tried again every {} ms)", error, failures.size(),
               kHousekeeping.count());
  }
  last_reconcile_error_ = error;
}

/// What happened while nobody listened, and what was refused.
void Daemon::CollectHookFailures() {
  for (const std::string& line : hook_failures_.Collect()) log_->warn("{}", line);
}

/// Reading a large text takes many times its size for a moment, on a thread of the server, whose
/// heap keeps it. It is given back when nothing else is going on.
void Daemon::ReturnMemory() {
  const size_t unused = mallinfo2().fordblks;
  if (unused > unused_after_trim_ + kUnusedBytes) {
    malloc_trim(0);
    unused_after_trim_ = mallinfo2().fordblks;
  }
  unused_after_trim_ = std::min(unused_after_trim_, unused);
}

void Daemon::Run(const Requests& requests) {
  using Clock = Sources::Clock;
  Clock::time_point housekeeping = Clock::now() + kHousekeeping;
  for (;;) {
    std::vector<pollfd> polled = {{.fd = requests.fd, .events = POLLIN, .revents = 0}};
    for (const int fd : sources_->fds())
      polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
    const Clock::time_point next = std::min(housekeeping, sources_->due().value_or(housekeeping));
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    const int timeout_ms = static_cast<int>(std::max<int64_t>(wait.count(), 0));
    // On an error nothing is ready; what is asked for below does not wait.
    if (poll(polled.data(), polled.size(), timeout_ms) < 0 && errno != EINTR) {
      log_->error("waiting for changes failed ({}); tried again", std::strerror(errno));
      std::this_thread::sleep_for(kHousekeeping);
    }
    for (Request request = requests.take(); request != Request::kNone; request = requests.take()) {
      if (request == Request::kStop) return;
      log_->info("reading policies and workloads again");
      events_->ReopenFile();
      sources_->Reread();
    }
    const Clock::time_point now = Clock::now();
    sources_->Drain(now);
    if (sources_->due() && *sources_->due() <= now) sources_->Apply();
    if (housekeeping <= now) {
      housekeeping = now + kHousekeeping;
      sources_->Retry();
      Reconcile();
      if (cluster_) cluster_->Report();
      CollectHookFailures();
      ReturnMemory();
    }
  }
}

}  // namespace gatehouse::daemon
