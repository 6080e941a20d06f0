// SPDX-License-Identifier: Apache-2.0
// What the runtime hook adds to a container's start: its own time as a runtime sees it, from its
// start to its end, each time for a container that has a policy of its own.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/fd.h"
#include "benches.h"
#include "cli/client.h"
#include "daemon_process.h"
#include "kernel/cgroup_tree.h"
#include "programs.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr double kAddedLimitMs = 10;
constexpr uint32_t kContainers = 1000;
constexpr uint32_t kContainersQuick = 50;
constexpr auto kStartGivenUp = std::chrono::minutes(5);
constexpr useconds_t kPollUs = 10'000;

using Clock = std::chrono::steady_clock;
using nlohmann::json;

/// A directory that is removed in the end.
class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / "gatehouse-bench-oci-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A process in the container's cgroup, as the one that a runtime has there when it calls hooks.
class Waiting {
 public:
  explicit Waiting(const std::string& cgroup) : pid_(kernel::testing::ForkInto(cgroup)) {
    if (pid_ == 0) {
      for (;;) pause();
    }
  }
  ~Waiting() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

/// About as long as containerd's are.
std::string Spec(uint32_t number, const std::string& cgroups_path) {
  json spec = {{"ociVersion", "1.0.2"},
               {"linux", {{"cgroupsPath", cgroups_path}}},
               {"annotations",
                {{"io.kubernetes.cri.container-type", "container"},
                 {"io.kubernetes.cri.container-name", fmt::format("main-{}", number)},
                 {"io.kubernetes.cri.image-name", "docker.io/library/nginx:1.25"},
                 {"io.kubernetes.cri.sandbox-name", fmt::format("app-{}", number)},
                 {"io.kubernetes.cri.sandbox-namespace", "bench"}}}};
  constexpr int kMounts = 20;
  for (int i = 0; i < kMounts; ++i) {
    spec["mounts"].push_back({{"destination", fmt::format("/mnt/{}", i)},
                              {"type", "bind"},
                              {"source", fmt::format("/var/lib/kubelet/pods/volumes/{}", i)},
                              {"options", {"rbind", "rprivate", "rw"}}});
  }
  return spec.dump();
}

Result<double> HookMs(const std::string& socket, const std::string& state_file) {
  std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "gatehouse-oci-hook";
  std::string option = "--control-socket";
  std::string path = socket;
  char* argv[] = {program.data(), option.data(), path.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, state_file.c_str(), O_RDONLY, 0);
  pid_t pid = 0;
  const auto begin = Clock::now();
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno(program, "cannot be started", error, "build it");
  int status = 0;
  waitpid(pid, &status, 0);
  const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  if (status != 0) return Fail(ErrorCode::kSystem, program, "failed; it says why above");
  return ms;
}

}  // namespace

Result<void> BenchOci(const Settings& settings, Report& report) {
  const uint32_t many = settings.ManyPolicies();
  const uint32_t containers = settings.quick ? kContainersQuick : kContainers;
  const std::vector<Policy> policies = MakePolicies(many);
  const Cgroups cgroups(containers);
  const Directory directory;
  DaemonProcess daemon;
  std::string yaml;
  for (const Policy& policy : policies) {
    AppendPolicy(yaml, policy, "containerSelector: {matchLabels: {name: main-$}}");
  }
  GH_TRY(daemon.WritePolicies(yaml));
  GH_TRY(daemon.Start(settings.backend));
  const auto begin = Clock::now();
  for (auto client = cli::Client::Connect(daemon.socket()); !client;
       client = cli::Client::Connect(daemon.socket())) {
    GH_TRY(daemon.CheckAlive());
    if (Clock::now() - begin > kStartGivenUp) return tl::unexpected(client.error());
    usleep(kPollUs);
  }

  std::vector<double> times_ms;
  const std::string config = directory.path() + "/config.json", state = directory.path() + "/state";
  GH_ASSIGN(const std::string root, kernel::FindCgroupRoot());
  for (const Workload& workload : cgroups.workloads()) {
    const Waiting waiting(workload.cgroup);
    std::ofstream(config) << Spec(workload.number, workload.cgroup.substr(root.size()));
    std::ofstream(state) << json{{"id", fmt::format("bench-{}", workload.number)},
                                 {"pid", waiting.pid()},
                                 {"bundle", directory.path()}};
    GH_ASSIGN(const double ms, HookMs(daemon.socket(), state));
    times_ms.push_back(ms);
  }
  GH_ASSIGN(cli::Client client, cli::Client::Connect(daemon.socket()));
  GH_ASSIGN(const v1::ListWorkloadsResponse listed, client.Call(v1::ListWorkloadsRequest()));
  for (const v1::WorkloadStatus& status : listed.workloads()) {
    if (status.policies_size() != 1) {
      return Fail(ErrorCode::kSystem, "gatehoused", "a container is without its policy");
    }
  }
  const std::string count = std::to_string(many);
  report.Table("Time of gatehouse-oci-hook, from its start to its end, milliseconds; " + count +
                   " policies, " + std::to_string(containers) + " containers",
               {"", "p50", "p99", "longest"},
               {{"container with a policy of its own", Quantile(times_ms, 0.5),
                 Quantile(times_ms, 0.99), Quantile(times_ms, 1)}});
  report.Add({"runtime hook, " + count + " policies there, added to a container's start, p99",
              kAddedLimitMs, Quantile(times_ms, 0.99), "ms"});
  return {};
}

}  // namespace gatehouse::bench
