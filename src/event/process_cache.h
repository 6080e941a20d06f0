// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "event/clock.h"
#include "event/decode.h"
#include "event/proc_source.h"

namespace gatehouse::event {

/// One program execution: what events show of the process that acts. Strings are valid UTF-8.
struct Process {
  uint64_t id = 0;         ///< of this entry, from 1, never used twice
  uint64_t parent_id = 0;  ///< 0: none known
  ProcessKey key;
  bool exec_seq_known = true;  ///< false: read from /proc and not yet seen in a record
  bool forked = false;         ///< runs its parent's program: no execve of its own yet
  bool ended = false;          ///< exited, or replaced by its next execve
  bool expired = false;        ///< ended long ago; stays for its children only
  bool in_init_tree = false;   ///< descends from the first process of its pid namespace
  uint32_t uid = 0;
  uint32_t auid = 0;
  uint32_t children = 0;  ///< executions in the cache that have this one as parent
  bind::WorkloadId workload = bind::kHostWorkload;
  int64_t start_wall_ns = 0;  ///< of the execve, or of the fork; UTC since 1970
  std::string exec_id;
  std::string parent_exec_id;
  std::string binary;
  std::string arguments;
  std::string cwd;
  std::string flags;

  /// As Tetragon's `refcnt`: itself while it runs, and its children.
  [[nodiscard]] uint32_t References() const { return children + (ended ? 0 : 1); }
};

struct ProcessCacheStats {
  uint64_t entries = 0;
  uint64_t evicted = 0;    ///< removed although in use, because the cache was full
  uint64_t forks = 0;      ///< made from the parent's entry
  uint64_t from_proc = 0;  ///< not known from events; /proc told
  uint64_t unknown = 0;    ///< neither knew: only what the record says
};

struct ProcessCacheOptions {
  std::string node_name;                   ///< in exec_id
  size_t capacity = 65'536;                ///< executions; at least 16
  uint64_t keep_ended_ns = 2'000'000'000;  ///< for records that arrive out of order
};

/// Executions by (pid, start, exec_seq), linked to their parents. An ended one is kept for a while
/// and as long as it has children; when the cache is full the least recently used one goes.
///
/// A process that the cache does not know is found as follows. It has the exec_seq of an execution
/// of its parent: it was forked from it and runs that program (a fork keeps the value, an execve
/// adds 1). Otherwise its exec event was lost: /proc tells, if the process is still there; else
/// only the record. An orphan that never called execve is taken for a fork of its new parent if
/// that one happens to have called execve as often.
///
/// Thread: one (the reader of events), except stats(), which any thread may call. References stay
/// valid until the next call of OnExec, OnExit, Resolve or Expire.
class ProcessCache {
 public:
  /// `clock` and `proc` must outlive the cache.
  ProcessCache(ProcessCacheOptions options, const Clock& clock, const ProcSource& proc);
  ProcessCache(const ProcessCache&) = delete;
  ProcessCache& operator=(const ProcessCache&) = delete;

  /// Takes in all processes that run now. Their workload comes with their first record.
  void FillFromProc();

  /// A new execution; the task's previous one has ended.
  const Process& OnExec(const ExecRecord& record);
  /// The process of an exit record; it has ended.
  const Process& OnExit(const ExitRecord& record);
  /// The process that acts in a record.
  const Process& Resolve(const ProcessRecord& record);
  /// Null if it is not known.
  [[nodiscard]] const Process* Parent(const Process& process) const;

  /// Removes what ended more than keep_ended_ns before `now_ns` (CLOCK_BOOTTIME).
  void Expire(uint64_t now_ns);

  [[nodiscard]] ProcessCacheStats stats() const;

 private:
  /// A thread group, with the start as precise as /proc shows it.
  struct TaskKey {
    uint32_t pid;
    uint64_t start_ticks;
    bool operator==(const TaskKey&) const = default;
  };
  struct TaskHash {
    size_t operator()(const TaskKey& key) const noexcept;
  };
  using Node = std::list<Process>::iterator;
  struct Ended {
    uint64_t time_ns;
    uint64_t id;
  };

  [[nodiscard]] static TaskKey TaskOf(const ProcessKey& key);
  /// The execution of exactly this key. Null if there is none.
  Process* Find(const ProcessKey& key);
  /// As Find; an execution from /proc, of which exec_seq is not known, takes the key's.
  Process* FindOrAdopt(const ProcessKey& key);
  /// As FindOrAdopt; if there is none, /proc is asked.
  Process* FindOrRead(const ProcessKey& key);
  Process* Latest(const ProcessKey& key);
  Process* ReadProc(const ProcessKey& key);
  Process* InsertFromProc(const ProcProcess& from, const ProcessKey& key, Process* parent,
                          const ProcProcess* parent_proc);
  Process& Fork(const ProcessRecord& record, Process& program);
  Process& ReadOrRecord(const ProcessRecord& record);
  Process& FromRecord(const ProcessRecord& record);
  /// Adds an entry, or gives an existing one of the same key new contents.
  Process& Insert(Process process);
  void Remove(Node node);
  void Touch(const Process& process);
  void End(Process& process, uint64_t time_ns);
  void SetParent(Process& process, Process* parent, const ProcessKey& parent_key);
  void SetInitTree(Process& process, const Process* parent, const ProcProcess* proc);
  [[nodiscard]] std::string ExecId(uint32_t pid, uint64_t start_ns) const;
  [[nodiscard]] int64_t WallNs(uint64_t boot_ns) const;

  const ProcessCacheOptions options_;
  const Clock& clock_;
  const ProcSource& proc_;
  std::list<Process> lru_;  ///< most recently used first
  std::unordered_map<uint64_t, Node> by_id_;
  std::unordered_map<TaskKey, std::vector<uint64_t>, TaskHash> tasks_;  ///< ids, oldest first
  std::deque<Ended> ended_;
  uint64_t last_id_ = 0;
  std::atomic<uint64_t> entries_ = 0, evicted_ = 0, forks_ = 0, from_proc_ = 0, unknown_ = 0;
};

/// base64 of "node:start_ns:pid".
[[nodiscard]] std::string MakeExecId(std::string_view node_name, uint64_t start_ns, uint32_t pid);

}  // namespace gatehouse::event
