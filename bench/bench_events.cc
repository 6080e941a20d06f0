// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "benches.h"
#include "bind/instances.h"
#include "daemon/event_pipeline.h"
#include "event/decode.h"
#include "event/enrich.h"
#include "export/json.h"
#include "kernel/fd.h"
#include "workload/registry.h"

namespace gatehouse::bench {
namespace {

constexpr double kEventLimitNs = 1e9 / 300'000;
constexpr bind::InstanceId kInstance = 1;
constexpr size_t kWriteBytes = 1 << 20;
constexpr int kRounds = 7;
constexpr const char* kInMemory = "/dev/shm";  // how fast a disk is, is another question
constexpr uint32_t kPid = 4242;

using Clock = std::chrono::steady_clock;

gh_process ProcessOf(uint32_t pid, bind::WorkloadId workload) {
  gh_process process{};
  process.pid = pid;
  process.tid = pid;
  process.start_ns = pid * 1'000ULL;
  process.exec_seq = 1;
  process.parent_pid = 1;
  process.workload = workload;
  return process;
}

template <typename Layout>
void Append(const Layout& layout, std::vector<std::byte>& bytes) {
  const auto* const begin = reinterpret_cast<const std::byte*>(&layout);
  bytes.insert(bytes.end(), begin, begin + sizeof(layout));
}

/// The record of a program that begins.
std::vector<std::byte> ExecBytes(uint32_t pid, bind::WorkloadId workload) {
  constexpr std::string_view kBinary = "/usr/sbin/nginx";
  constexpr std::string_view kArguments("nginx\0-g\0daemon off;", 20);
  constexpr std::string_view kDirectory = "/";
  gh_event_exec exec{};
  exec.header.type = GH_EVENT_EXEC;
  exec.process = ProcessOf(pid, workload);
  exec.binary_len = kBinary.size();
  exec.args_len = kArguments.size();
  exec.cwd_len = kDirectory.size();
  exec.header.size =
      static_cast<uint32_t>(sizeof(exec) + kBinary.size() + kArguments.size() + kDirectory.size());
  std::vector<std::byte> bytes;
  Append(exec, bytes);
  for (const std::string_view text : {kBinary, kArguments, kDirectory}) {
    const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), begin, begin + text.size());
  }
  return bytes;
}

/// The record of a system call with one number.
std::vector<std::byte> CallBytes(uint32_t pid, bind::WorkloadId workload, uint64_t number) {
  gh_event_policy event{};
  event.header.type = GH_EVENT_POLICY;
  event.header.size =
      static_cast<uint32_t>(sizeof(event) + sizeof(gh_event_value) + sizeof(number));
  event.header.time_ns = number;
  event.process = ProcessOf(pid, workload);
  event.policy = kInstance;
  event.actions = GH_ACTION_POST;
  event.n_values = 1;
  gh_event_value value{};
  value.bytes = sizeof(number);
  std::vector<std::byte> bytes;
  Append(event, bytes);
  Append(value, bytes);
  Append(number, bytes);
  return bytes;
}

/// All that events go through behind the ring buffer, in one thread.
class Line {
 public:
  Line()
      : cache_({.node_name = "node"}, clock_, proc_),
        enricher_({.node_name = "node", .cluster_name = {}}, cache_, clock_, workloads_,
                  instances_) {
    policy::HookInfo hook{.call = "__x64_sys_getpgid"};
    hook.arguments = {{0, policy::ArgumentType::kInt32, {}, {}}};
    bind::InstanceInfo instance;
    instance.id = kInstance;
    instance.key.name = "calls";
    instance.hooks = std::make_shared<const std::vector<policy::HookInfo>>(std::vector{hook});
    directory_.Add(std::make_shared<const bind::InstanceInfo>(std::move(instance)));
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  /// A container of a pod, as events tell it.
  Result<bind::WorkloadId> AddWorkload() {
    workload::Workload pod;
    pod.cgroup = kCgroupRoot + std::string("/pod");
    pod.ns = "shop";
    pod.pod = "web-7d4b9c6f5-x2x8q";
    pod.pod_uid = "0f4b5c6d-1111-2222-3333-444455556666";
    pod.container = "nginx";
    pod.container_id =
        "containerd://4f5d0c2e8b7a69f1c3d2e4b5a6978897a6b5c4d3e2f10123456789abcdef0123";
    pod.image = "docker.io/library/nginx:1.25";
    pod.labels = {{"app", "web"}, {"tier", "front"}, {"version", "7"}};
    GH_ASSIGN(const workload::WorkloadPtr workload, registry_.Add(std::move(pod)));
    return workload->id;
  }

  /// Takes a record through all stages; its line waits in the buffer.
  Result<void> Take(std::span<const std::byte> record) {
    GH_ASSIGN(const event::Record decoded, event::Decode(record));
    exporting::AppendJsonLine(*enricher_.Enrich(decoded), &buffer_);
    return {};
  }
  [[nodiscard]] std::string& buffer() { return buffer_; }

 private:
  static constexpr const char* kCgroupRoot = "/sys/fs/cgroup";

  workload::Registry registry_{kCgroupRoot};
  bind::InstanceDirectory directory_;
  const daemon::RegistryLookup workloads_{registry_};
  const daemon::DirectoryLookup instances_{directory_};
  const event::SystemClock clock_;
  const event::ProcFilesystem proc_;
  event::ProcessCache cache_;
  event::Enricher enricher_;
  std::string buffer_;
};

/// Writes what waits, as the event log does.
Result<void> Flush(int file, std::string& buffer) {
  if (write(file, buffer.data(), buffer.size()) != static_cast<ssize_t>(buffer.size())) {
    return FailErrno("event log", "cannot write", errno);
  }
  buffer.clear();
  return {};
}

Result<double> NsPerEvent(Line& line, std::span<const std::vector<std::byte>> records, int file,
                          size_t& line_bytes) {
  if (lseek(file, 0, SEEK_SET) < 0) return FailErrno("event log", "cannot seek", errno);
  const auto begin = Clock::now();
  for (const std::vector<std::byte>& record : records) {
    GH_TRY(line.Take(record));
    if (line_bytes == 0) line_bytes = line.buffer().size();
    if (line.buffer().size() >= kWriteBytes) GH_TRY(Flush(file, line.buffer()));
  }
  GH_TRY(Flush(file, line.buffer()));
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() /
         static_cast<double>(records.size());
}

}  // namespace

Result<void> BenchEvents(const Settings& settings, Report& report) {
  const uint32_t events = settings.quick ? 50'000 : 500'000;
  std::vector<std::vector<Cell>> rows;
  double pod_ns = 0;
  for (const bool in_pod : {false, true}) {
    Line line;
    bind::WorkloadId workload = bind::kHostWorkload;
    if (in_pod) {
      GH_ASSIGN(workload, line.AddWorkload());
    }
    const kernel::Fd file(open(kInMemory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (!file.valid()) return FailErrno(kInMemory, "cannot make a file", errno);
    std::vector<std::vector<std::byte>> records;
    for (uint32_t i = 0; i < events; ++i) records.push_back(CallBytes(kPid, workload, i));
    GH_TRY(line.Take(ExecBytes(kPid, workload)));
    line.buffer().clear();
    size_t line_bytes = 0;
    std::vector<double> rounds;
    for (int round = 0; round < kRounds; ++round) {
      GH_ASSIGN(const double ns, NsPerEvent(line, records, file.get(), line_bytes));
      rounds.push_back(ns);
    }
    const double best = *std::ranges::min_element(rounds);
    if (in_pod) pod_ns = best;
    rows.push_back({in_pod ? "container of a pod, 3 labels" : "process of the host", line_bytes,
                    std::round(best), std::round(1e9 / best)});
  }
  report.Table(
      "Events from the bytes of the ring buffer to lines in a file, one core: a system call "
      "with one number; best of " +
          std::to_string(kRounds),
      {"of", "bytes of a line", "ns/event", "events/s"}, rows);
  report.Add({"an event decoded and written (300,000/s)", kEventLimitNs, pod_ns, "ns"});
  return {};
}

}  // namespace gatehouse::bench
