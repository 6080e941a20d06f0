// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "benches.h"
#include "bind/instances.h"
#include "daemon/event_pipeline.h"
#include "event/assembler.h"
#include "event/decode.h"
#include "event/enrich.h"
#include "event/fakes.h"
#include "export/json.h"
#include "workload/registry.h"

namespace gatehouse::bench {
namespace {

constexpr double kEventLimitNs = 1e9 / 300'000;
constexpr bind::InstanceId kInstance = 1;
constexpr size_t kWriteBytes = 1 << 20;
constexpr off_t kFileBytes = 64 << 20;
constexpr uint32_t kRecords = 20'000;  // the buffer of 8 MB holds some more
constexpr int kRounds = 7;
constexpr const char* kInMemory = "/dev/shm";  // how fast a disk is, is another question
constexpr uint32_t kPid = 4242;

using Clock = std::chrono::steady_clock;

gh_process ProcessIn(bind::WorkloadId workload) {
  gh_process process{};
  process.pid = kPid;
  process.tid = kPid;
  process.start_ns = 1;
  process.exec_seq = 1;
  process.parent_pid = 1;
  process.workload = workload;
  return process;
}

/// The record of a program that begins.
std::vector<std::byte> ExecBytes(bind::WorkloadId workload) {
  constexpr std::string_view kBinary = "/usr/sbin/nginx";
  constexpr std::string_view kArguments("nginx\0-g\0daemon off;", 20);
  gh_event_exec layout = event::testing::ExecLayout(kBinary, kArguments, "/");
  layout.process = ProcessIn(workload);
  return event::testing::Bytes(layout, GH_EVENT_EXEC, {kBinary, kArguments, "/"});
}

/// The record of a system call with one number.
std::vector<std::byte> CallBytes(bind::WorkloadId workload, uint64_t number) {
  gh_event_policy layout{};
  layout.header.time_ns = number;
  layout.process = ProcessIn(workload);
  layout.policy = kInstance;
  layout.actions = GH_ACTION_POST;
  layout.n_values = 1;
  return event::testing::Bytes(layout, GH_EVENT_POLICY,
                               {event::testing::NumberBytes(GH_SUBJECT_ARGUMENT_0, number)});
}

/// All that events go through behind the ring buffer, in one thread.
class Line {
 public:
  Line()
      : cache_({.node_name = "node"}, clock_, proc_),
        enricher_({.node_name = "node", .cluster_name = {}}, cache_, clock_, workloads_, instances_,
                  symbols_) {
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
  Result<void> Take(std::span<const std::byte> record) { return assembler_.Take(record); }
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
  event::testing::FakeSymbols symbols_;
  event::Enricher enricher_;
  std::string buffer_;
  event::Assembler assembler_{[this](const event::Whole& record) {
    exporting::AppendJsonLine(*enricher_.Enrich(record), &buffer_);
  }};
};

/// Writes what waits, as the event log does; a file that is full is begun anew, as by rotation.
Result<void> Flush(int file, std::string& buffer) {
  if (lseek(file, 0, SEEK_CUR) >= kFileBytes && lseek(file, 0, SEEK_SET) < 0) {
    return FailErrno("event log", "cannot seek", errno);
  }
  if (write(file, buffer.data(), buffer.size()) != static_cast<ssize_t>(buffer.size())) {
    return FailErrno("event log", "cannot write", errno);
  }
  buffer.clear();
  return {};
}

Result<double> NsPerEvent(Line& line, std::span<const std::vector<std::byte>> records,
                          uint32_t events, int file) {
  const auto begin = Clock::now();
  for (uint32_t i = 0; i < events; ++i) {
    GH_TRY(line.Take(records[i % records.size()]));
    if (line.buffer().size() >= kWriteBytes) GH_TRY(Flush(file, line.buffer()));
  }
  GH_TRY(Flush(file, line.buffer()));
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / events;
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
    const Fd file(open(kInMemory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (!file.valid()) return FailErrno(kInMemory, "cannot make a file", errno);
    std::vector<std::vector<std::byte>> records;
    for (uint32_t i = 0; i < kRecords; ++i) records.push_back(CallBytes(workload, i));
    GH_TRY(line.Take(ExecBytes(workload)));
    line.buffer().clear();
    GH_TRY(line.Take(records.back()));
    const size_t line_bytes = line.buffer().size();
    std::vector<double> rounds;
    for (int round = 0; round < kRounds; ++round) {
      GH_ASSIGN(const double ns, NsPerEvent(line, records, events, file.get()));
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
