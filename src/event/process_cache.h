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
  ProcessKey key;
  bool exec_seq_known = true;  ///< false: read from /proc and not yet seen in a record
  bool forked = false;         ///< runs its parent's program: no execve of its own yet
  bool ended = false;          ///< exited, or replaced by its next execve
  bool in_init_tree = false;   ///< descends from the first process of its container
  uint32_t uid = 0;
  uint32_t auid = 0;
  uint32_t children = 0;  ///< executions in the cache that have this one as parent
  bind::WorkloadId workload = bind::kHostWorkload;
  int64_t start_wall_ns = 0;  ///< of the execve, or of the fork; UTC since 1970
  ProcessKey parent;          ///< pid 0: none
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
  std::string node_name;              ///< in exec_id
  size_t capacity = 65'536;           ///< executions; at least 16
  uint64_t keep_ended_ns = 2'000'000'000;  ///< for records that arrive out of order
};

/// Executions by (pid, start, exec_seq), linked to their parents. An ended one is kept for a while and
/// as long as it has children; when the cache is full the least recently used one goes.
///
/// A process that the cache does not know is found as follows. It has the exec_seq of an execution of
/// its parent: it was forked from it and runs that program. Otherwise its exec event was lost: /proc
/// tells, if the process is still there; else only the record.
///
/// Thread: one (the reader of events), except stats(), which any thread may call. References stay
/// valid until the next call of OnExec, OnExit or Resolve.
class ProcessCache {
 public:
  /// `clock` and `proc` must outlive the cache.
  ProcessCache(ProcessCacheOptions options, const Clock& clock, const ProcSource& proc);
  ProcessCache(const ProcessCache&) = delete;
  ProcessCache& operator=(const ProcessCache&) = delete;

  /// Takes in all processes that run now, parents before children. `workload_of` is asked nothing:
  /// their workload comes with their first record.
  void FillFromProc();

  /// A new execution; the task's previous one has ended.
  const Process& OnExec(const ExecRecord& record);
  /// The process of an exit record; it has ended.
  const Process& OnExit(const ExitRecord& record);
  /// The process that acts in a record.
  const Process& Resolve(const ProcessRecord& record);
  /// The parent execution, looked for in /proc if it is not in the cache; null if nothing is known.
  const Process* Parent(const Process& process);

  /// Removes what ended more than keep_ended_ns before `now_ns` (CLOCK_BOOTTIME).
  void Expire(uint64_t now_ns);

  [[nodiscard]] ProcessCacheStats stats() const;

 private:
  struct TaskKey {
    uint32_t pid;
    uint64_t start_ticks;
    bool operator==(const TaskKey&) const = default;
  };
  struct TaskHash {
    size_t operator()(const TaskKey& key) const noexcept;
  };
  using Node = std::list<Process>::iterator;
  using Tasks = std::unordered_map<TaskKey, std::vector<Node>, TaskHash>;

  [[nodiscard]] static TaskKey TaskOf(const ProcessKey& key);
  Process* Find(const ProcessKey& key);
  Process* Latest(const ProcessKey& key);
  Process& Insert(Process process);
  void Remove(Node node);
  void SetParent(Process& process, Process* parent, const ProcessKey& parent_key);
  void End(Process& process, uint64_t time_ns);
  Process* FindOrRead(const ProcessKey& key);
  Process* ReadProc(const ProcessKey& key);
  Process& Fork(const ProcessRecord& record, Process& program);
  Process& FromRecord(const ProcessRecord& record);
  Process* InsertFromProc(const ProcProcess& from, const ProcessKey& key, bool exec_seq_known);
  void InheritInitTree(Process& process, const Process* parent);
  [[nodiscard]] std::string ExecId(uint32_t pid, uint64_t start_ns) const;

  const ProcessCacheOptions options_;
  const Clock& clock_;
  const ProcSource& proc_;
  std::list<Process> lru_;  ///< most recently used first
  Tasks tasks_;
  struct Ended {
    uint64_t time_ns;
    ProcessKey key;
  };
  std::deque<Ended> ended_;
  std::atomic<uint64_t> entries_ = 0, evicted_ = 0, forks_ = 0, from_proc_ = 0, unknown_ = 0;
};

/// base64 of "node:start_ns:pid".
[[nodiscard]] std::string MakeExecId(std::string_view node_name, uint64_t start_ns, uint32_t pid);

}  // namespace gatehouse::event
