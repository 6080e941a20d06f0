// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tetragon/events.pb.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bind/delta.h"
#include "event/clock.h"
#include "event/decode.h"
#include "event/process_cache.h"
#include "event/symbols.h"
#include "policy/model.h"

namespace gatehouse::event {

/// What events say about a workload. What is empty is left out.
struct WorkloadInfo {
  std::string ns = {};
  std::string pod = {};
  std::string pod_uid = {};
  std::string container = {};
  std::string container_id = {};  ///< with or without "runtime://"
  std::string image = {};
  std::map<std::string, std::string> labels = {};
  std::string cgroup = {};      ///< path of a workload that is no pod
  std::string owner_kind = {};  ///< of the pod: Deployment, DaemonSet
  std::string owner = {};
};

/// Implemented by the registry of workloads. Find is called by the thread that reads events.
class WorkloadLookup {
 public:
  virtual ~WorkloadLookup() = default;
  /// Null if it is not known; never asked for kHostWorkload. A workload that ended should be found
  /// for some seconds more: its last events are on their way.
  [[nodiscard]] virtual std::shared_ptr<const WorkloadInfo> Find(bind::WorkloadId id) const = 0;
};

/// What events say about an effective policy.
struct InstanceInfo {
  std::string policy_name = {};
  policy::HookInfos hooks = {};  ///< by hook_index; null: none are known
};

/// Implemented by the registry of policies. Find is called by the thread that reads events.
class InstanceLookup {
 public:
  virtual ~InstanceLookup() = default;
  /// Null if it is not known. A policy that was deleted should be found for some seconds more.
  [[nodiscard]] virtual std::shared_ptr<const InstanceInfo> Find(bind::InstanceId id) const = 0;
};

/// Facts that Tetragon's events have no field for. They are put behind the policy's own `tags`,
/// which a pipeline reads as opaque words. `action` is what the policy says, also in monitor mode,
/// as there.
inline constexpr char kTagMonitor[] = "gatehouse.monitor";  ///< nothing was done: monitor mode
inline constexpr char kTagProtected[] =
    "gatehouse.protected";  ///< nothing was done: the agent itself
inline constexpr char kTagBySignal[] = "gatehouse.by-signal";      ///< Override was done as SIGKILL
inline constexpr char kTagPolicyGone[] = "gatehouse.policy-gone";  ///< deleted meanwhile
/// Key among the annotations of `pod`: the path of the cgroup, if the workload is no pod and so has
/// no name that Tetragon's events could tell.
inline constexpr char kAnnotationCgroup[] = "gatehouse.cgroup";
/// Followed by too-long, unreachable, fault, no-binary, no-scratch, too-many: why an argument that
/// the event shows could not be judged; see enum gh_unreadable. One tag for each reason.
inline constexpr char kTagUnreadable[] = "gatehouse.unreadable.";
/// Followed by kernel- or user-, and by unreadable or unnamed: why a stack that the event should
/// tell is not there, or its functions have no names.
inline constexpr char kTagStack[] = "gatehouse.stack.";
/// The hash of the file that the event should tell is not there.
inline constexpr char kTagNoHash[] = "gatehouse.hash.unknown";

struct EnricherOptions {
  std::string node_name = {};
  std::string cluster_name = {};  ///< empty: left out
  std::map<std::string, std::string, std::less<>> node_labels = {};
  /// Tell the addresses of stacks, which say where the kernel and programs are in memory.
  bool stack_addresses = false;
};

using EventPtr = std::shared_ptr<const tetragon::GetEventsResponse>;

/// Makes Tetragon's events from records. Thread: the one that reads events.
class Enricher {
 public:
  /// All but `options` must outlive the enricher.
  Enricher(EnricherOptions options, ProcessCache& cache, const Clock& clock,
           const WorkloadLookup& workloads, const InstanceLookup& instances, SymbolSource& symbols);

  /// The event of a record; never null. Takes exec and exit into the process cache.
  [[nodiscard]] EventPtr Enrich(const Whole& record);

 private:
  void FillProcess(const Process& process, tetragon::Process* out) const;
  void Fill(const ExecRecord& record, tetragon::GetEventsResponse* out);
  void Fill(const ExitRecord& record, tetragon::GetEventsResponse* out);
  void Fill(const PolicyRecord& record, tetragon::GetEventsResponse* out);
  /// `hook` is null if the policy is not known any more.
  void FillLoader(const PolicyRecord& record, tetragon::ProcessLoader* out);
  void FillStacks(const PolicyRecord& record, tetragon::ProcessKprobe* out);
  template <typename Event>
  void FillPolicyEvent(const PolicyRecord& record, std::string_view policy_name,
                       const policy::HookInfo* hook, Event* out);
  [[nodiscard]] int64_t WallNs(uint64_t boot_ns);

  const EnricherOptions options_;
  ProcessCache& cache_;
  const Clock& clock_;
  const WorkloadLookup& workloads_;
  const InstanceLookup& instances_;
  SymbolSource& symbols_;
  int64_t boot_offset_ns_ = 0;
  uint64_t offset_taken_ns_ = 0;  ///< boot time of the event at which the offset was read
};

}  // namespace gatehouse::event
