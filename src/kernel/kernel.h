// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "bind/delta.h"
#include "policy/model.h"

/// The kernel side behind one interface: programs, maps, image, cgroups, events. The only folder
/// that includes <bpf/...>. Tests of other folders use a fake Kernel.
namespace gatehouse::kernel {

/// A way to attach and to deny. In the order of preference.
enum class Backend { kLsm, kFmodRet, kSignal };
[[nodiscard]] const char* BackendName(Backend backend);  // "lsm", "fmod_ret", "signal"

/// Result of probing one backend, in stages: BTF target, program load, attach, and that it really
/// runs, and that it is never left out. `absent_because` names the stage that failed, the reason
/// and the remedy.
struct BackendProbe {
  Backend backend = Backend::kLsm;
  bool available = false;
  std::string absent_because;
  /// A program that was detached can be attached again: not so for trampolines before 5.13 (commit
  /// f3a95075549e).
  bool reattaches = false;
};

/// Probes every backend on the running kernel. Needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN).
/// Loads small programs and detaches them again.
[[nodiscard]] std::vector<BackendProbe> ProbeBackends();

/// Which processes get process_exec and process_exit events.
enum class BaseEvents { kOff, kWorkloads, kAll };

struct Options {
  std::optional<Backend> backend;  ///< none: the first available in the order of preference
  BaseEvents base_events = BaseEvents::kAll;
  uint32_t ring_bytes = 8u << 20;  ///< power of two, multiple of the page size
  uint32_t max_cgroups = 65'536;   ///< tracked cgroups, children included
  std::string cgroup_root;         ///< mount point of cgroup2; "" finds it in /proc/self/mountinfo
};

/// Decisions of one selector since its instance was added.
struct RuleHits {
  uint16_t hook_index = 0;
  uint16_t rule = 0;  ///< position of the selector on its hook
  uint64_t hits = 0;
};

struct HookStatus {
  std::string name;     ///< `bprm_creds_for_exec`, `security_file_open`
  std::string program;  ///< name of the BPF program
  uint32_t program_id = 0;
  bool attached = false;
  uint64_t policies = 0;   ///< in force on it
  uint64_t run_count = 0;  ///< with kernel.bpf_stats_enabled, else 0
  uint64_t run_time_ns = 0;
};

struct ProgramStatus {
  std::string name;
  uint32_t id = 0;
  /// That the verifier walked through, of at most a million; 0: the kernel does not tell, as of
  /// programs other than gates before 5.16.
  uint64_t verified_instructions = 0;
};

struct MapStatus {
  std::string name;
  uint32_t id = 0;
  uint64_t memlock_bytes = 0;  ///< as the kernel admits in fdinfo
};

struct ImageStatus {
  uint64_t generation = 0;
  uint64_t arena_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t instances = 0, groups = 0, sets = 0, strings = 0, workloads = 0;
};

struct Status {
  Backend backend = Backend::kLsm;
  std::vector<BackendProbe> probes;
  std::vector<HookStatus> hooks;
  std::vector<ProgramStatus> programs;  ///< all that are loaded, attached or not
  std::vector<MapStatus> maps;
  ImageStatus image;
  std::vector<std::pair<std::string, uint64_t>> counters;  ///< name of gh_stat, value
};

/// A value of which a policy does not say all: where it is (resolve), or of which type (auto).
struct Unsettled {
  policy::Site site;  ///< where the hook is judged
  const policy::Argument* argument = nullptr;
};

/// What the kernel says of it.
struct Settled {
  policy::ArgumentType type = policy::ArgumentType::kNop;  ///< that of the argument, if it has one
  std::optional<policy::Chain> chain = {};                 ///< of a path
};

/// A place in a file that a static probe is at: of each of its arguments, the type that the file
/// says it has; nullopt: no program can read it.
using ProbePlace = std::vector<std::optional<policy::ArgumentType>>;

/// Thread: everything from one thread (the control thread), except PollEvents, which has a thread
/// of its own, and status(), which any thread may call between two changes.
class Kernel {
 public:
  virtual ~Kernel() = default;

  [[nodiscard]] virtual Backend backend() const = 0;
  /// Nothing, or why this kernel and backend cannot do on the hook what a policy asks for: there is
  /// no such hook, an argument is of another type, Override is not possible, the acting program
  /// cannot be known (matchBinaries). Loads nothing.
  [[nodiscard]] virtual Result<void> Supports(const compile::HookProgram& hook) const = 0;

  /// Whether the kernel has such a place, whatever can be done there.
  [[nodiscard]] virtual bool Has(const policy::Site& site) const = 0;

  /// The names of all system calls, or of all functions, that the kernel tells of; sorted,
  /// distinct. Some of them may be such that nothing can be attached to them.
  [[nodiscard]] virtual std::vector<std::string> Names(policy::Site::Kind kind) const = 0;

  /// For each place, nothing, or why no program can be attached to it. Attaches nothing.
  [[nodiscard]] virtual std::vector<Result<void>> CanAttach(
      std::span<const policy::Site> sites) const = 0;

  /// For each value, what the policy leaves open, or why that cannot be: a field is not there, a
  /// type does not fit.
  [[nodiscard]] virtual std::vector<Result<Settled>> Settle(
      std::span<const Unsettled> all) const = 0;

  /// All places that a static probe (Site::Kind::kUsdt) has in its file, at least one; Site::place
  /// counts them. Errors (kUnsupported): there is no such file or probe, or no way to it.
  [[nodiscard]] virtual Result<std::vector<ProbePlace>> Places(const policy::Site& site) const = 0;

  /// Whether a file has one of some digests: see policy::Hook. Errors (kUnsupported): it cannot be
  /// read.
  [[nodiscard]] virtual Result<bool> HasDigest(const std::string& path,
                                               std::span<const std::string> digests) const = 0;

  /// The identity (GH_FIELD_FILE) of the file at a path, as the agent sees it; links are followed.
  /// None: there is no such file.
  [[nodiscard]] virtual std::optional<gh_address_range> FindFile(const std::string& path) const = 0;

  /// Publishes a change: afterwards every operation is judged by the new image. Atomic: on error
  /// the old image stands, complete. Loads no program, except that a hook's is loaded and attached
  /// when its first policy comes; it is detached after the last.
  [[nodiscard]] virtual Result<void> Apply(const bind::Delta& delta) = 0;

  /// Ties a cgroup and all its descendants, present and future, to `workload`; returns the cgroup
  /// id. `path` is absolute, below the cgroup2 mount. A nested workload's cgroups stay its own.
  /// Refused: the root cgroup. On error nothing is tied.
  [[nodiscard]] virtual Result<uint64_t> Track(bind::WorkloadId workload,
                                               const std::string& path) = 0;
  /// Undoes Track; the descendants fall to the workload around, or to the host. The cgroup may have
  /// gone already.
  virtual void Untrack(bind::WorkloadId workload) = 0;

  /// Process `pid` is in a workload's cgroup and on its way: until it executes a program, only that
  /// execution is judged. Errors: there is no such process; the kernel refuses what it takes.
  [[nodiscard]] virtual Result<void> LetEnter(pid_t pid) = 0;

  [[nodiscard]] virtual std::vector<RuleHits> Hits(bind::InstanceId instance) const = 0;
  /// Kernel memory that the instance's own records take: rules, filters, and its share of value
  /// sets and strings (each divided by the number of instances that use it). Bytes.
  [[nodiscard]] virtual uint64_t MemoryBytes(bind::InstanceId instance) const = 0;
  [[nodiscard]] virtual Status status() const = 0;

  /// Hands each event record (struct gh_event_header and what follows) to `sink`, in order; waits
  /// at most `timeout` for the first. Returns how many.
  [[nodiscard]] virtual Result<size_t> PollEvents(
      std::chrono::milliseconds timeout,
      const std::function<void(std::span<const std::byte>)>& sink) = 0;
};

/// Loads programs and maps on the running kernel. Errors: no backend available (with every reason),
/// no BTF, no rights, no cgroup2 mount. When the Kernel is destroyed, everything is detached and
/// freed. `strings`: where the programs given to Apply have their strings; outlives the kernel.
[[nodiscard]] Result<std::unique_ptr<Kernel>> Load(const Options& options,
                                                   compile::StringPool& strings);

}  // namespace gatehouse::kernel
