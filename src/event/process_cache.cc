// SPDX-License-Identifier: Apache-2.0
#include "event/process_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "event/text.h"

namespace gatehouse::event {
namespace {

constexpr size_t kLeastCapacity = 16;
constexpr uint32_t kContainerInit = 1;  // pid of the first process of a pid namespace

// Words of Tetragon's `flags`, in its order.
std::string ExecFlags(const ExecRecord& record, bool reexec, bool in_init_tree) {
  std::string flags = "execve";
  const auto add = [&](bool condition, std::string_view word) {
    if (condition) flags.append(" ").append(word);
  };
  add((record.flags & GH_EXEC_ARGS_CUT) != 0, "truncArgs");
  add((record.flags & GH_EXEC_BINARY_UNREADABLE) != 0, "errorFilename");
  add((record.flags & GH_EXEC_ARGS_FAULT) != 0, "errorArgs");
  add(record.cwd == "/", "rootcwd");
  add((record.flags & GH_EXEC_CWD_UNREADABLE) != 0, "errorCWD");
  add(!reexec, "clone");
  add(in_init_tree, "inInitTree");
  return flags;
}

}  // namespace

std::string MakeExecId(std::string_view node_name, uint64_t start_ns, uint32_t pid) {
  return Base64(fmt::format("{}:{}:{}", node_name, start_ns, pid));
}

size_t ProcessCache::TaskHash::operator()(const TaskKey& key) const noexcept {
  constexpr uint64_t kOddConstant = 0x9e3779b97f4a7c15;
  return (key.start_ticks ^ (uint64_t{key.pid} << 40)) * kOddConstant;
}

ProcessCache::ProcessCache(ProcessCacheOptions options, const Clock& clock, const ProcSource& proc)
    : options_([&] {
        options.capacity = std::max(options.capacity, kLeastCapacity);
        return std::move(options);
      }()),
      clock_(clock),
      proc_(proc) {}

// ---- events
// ----------------------------------------------------------------------------------------

const Process& ProcessCache::OnExec(const ExecRecord& record) {
  const ProcessRecord& from = record.process;
  Process* previous = Latest(from.key);
  if (previous != nullptr && previous->exec_seq_known &&
      previous->key.exec_seq >= from.key.exec_seq) {
    previous = nullptr;
  }
  if (previous != nullptr) {
    Touch(*previous);
    End(*previous, record.time_ns);
  }
  const bool reexec = previous != nullptr && !previous->forked;
  Process* parent = reexec ? previous : FindOrRead(from.parent);

  Process process;
  process.key = from.key;
  process.uid = from.uid;
  process.auid = from.auid;
  process.workload = from.workload;
  process.start_wall_ns = WallNs(record.time_ns);
  process.exec_id = ExecId(from.key.pid, record.time_ns);
  process.binary = ToUtf8(record.binary);
  process.arguments = JoinArguments(record.args);
  process.cwd = ToUtf8(record.cwd);
  SetInitTree(process, parent, nullptr);
  process.flags = ExecFlags(record, reexec, process.in_init_tree);
  SetParent(process, parent, from.parent);
  return Insert(std::move(process));
}

const Process& ProcessCache::OnExit(const ExitRecord& record) {
  Resolve(record.process);
  const auto task = tasks_.find(TaskOf(record.process.key));
  for (const uint64_t id : task->second) End(*by_id_.at(id), record.time_ns);
  return *Find(record.process.key);
}

const Process& ProcessCache::Resolve(const ProcessRecord& record) {
  if (Process* known = FindOrAdopt(record.key)) {
    known->workload = record.workload;
    Touch(*known);
    return *known;
  }
  if (const Process* latest = Latest(record.key)) {
    // Another execution of the task: a newer one, whose exec event was lost, is what /proc shows.
    const bool newer = record.key.exec_seq > latest->key.exec_seq;
    return newer ? ReadOrRecord(record) : FromRecord(record);
  }
  FindOrRead(record.parent);
  if (Process* program = Find({record.parent.pid, record.parent.start_ns, record.key.exec_seq})) {
    return Fork(record, *program);
  }
  return ReadOrRecord(record);
}

Process& ProcessCache::ReadOrRecord(const ProcessRecord& record) {
  Process* read = ReadProc(record.key);
  if (read == nullptr) return FromRecord(record);
  read->workload = record.workload;
  return *read;
}

const Process* ProcessCache::Parent(const Process& process) const {
  const auto found = by_id_.find(process.parent_id);
  return found == by_id_.end() ? nullptr : &*found->second;
}

// ---- entries from elsewhere
// ------------------------------------------------------------------------

void ProcessCache::FillFromProc() {
  std::unordered_map<uint32_t, ProcProcess> all;
  for (const uint32_t pid : proc_.Pids()) {
    if (auto process = proc_.Read(pid)) all.emplace(pid, *std::move(process));
  }
  std::vector<const ProcProcess*> by_age;
  by_age.reserve(all.size());
  for (const auto& [pid, process] : all) by_age.push_back(&process);
  std::ranges::sort(by_age, {},
                    [](const ProcProcess* p) { return std::pair(p->start_ticks, p->pid); });
  for (const ProcProcess* process : by_age) {
    ProcessKey key{process->pid, process->start_ticks * kTickNs, 0};
    if (Latest(key) != nullptr) continue;
    const auto parent = all.find(process->parent_pid);
    const ProcProcess* parent_proc = parent == all.end() ? nullptr : &parent->second;
    Process* parent_entry = parent_proc == nullptr
                                ? nullptr
                                : Latest({parent_proc->pid, parent_proc->start_ticks * kTickNs, 0});
    InsertFromProc(*process, key, parent_entry, parent_proc)->exec_seq_known = false;
  }
}

Process* ProcessCache::ReadProc(const ProcessKey& key) {
  if (key.pid == 0) return nullptr;
  const auto process = proc_.Read(key.pid);
  if (!process || process->start_ticks != TaskOf(key).start_ticks) return nullptr;
  const auto parent = proc_.Read(process->parent_pid);
  Process* parent_entry =
      parent ? Latest({parent->pid, parent->start_ticks * kTickNs, 0}) : nullptr;
  ++from_proc_;
  return InsertFromProc(*process, key, parent_entry, parent ? &*parent : nullptr);
}

Process* ProcessCache::InsertFromProc(const ProcProcess& from, const ProcessKey& key,
                                      Process* parent, const ProcProcess* parent_proc) {
  Process process;
  process.key = key;
  process.uid = from.uid;
  process.auid = from.auid;
  process.start_wall_ns = WallNs(from.start_ticks * kTickNs);
  process.exec_id = ExecId(from.pid, from.start_ticks * kTickNs);
  process.binary = ToUtf8(from.binary);
  process.arguments = JoinArguments(from.args);
  process.cwd = ToUtf8(from.cwd);
  process.flags = from.cwd == "/" ? "procFS rootcwd" : "procFS";
  SetInitTree(process, parent, &from);
  SetParent(process, parent,
            parent_proc == nullptr
                ? ProcessKey{}
                : ProcessKey{parent_proc->pid, parent_proc->start_ticks * kTickNs, 0});
  return &Insert(std::move(process));
}

Process& ProcessCache::Fork(const ProcessRecord& record, Process& program) {
  Touch(program);
  Process process;
  process.key = record.key;
  process.forked = true;
  process.uid = record.uid;
  process.auid = record.auid;
  process.workload = record.workload;
  process.start_wall_ns = WallNs(record.key.start_ns);
  process.exec_id = ExecId(record.key.pid, record.key.start_ns);
  process.binary = program.binary;
  process.arguments = program.arguments;
  process.cwd = program.cwd;
  SetInitTree(process, &program, nullptr);
  process.flags = process.in_init_tree ? "clone inInitTree" : "clone";
  SetParent(process, &program, program.key);
  ++forks_;
  return Insert(std::move(process));
}

Process& ProcessCache::FromRecord(const ProcessRecord& record) {
  Process process;
  process.key = record.key;
  process.uid = record.uid;
  process.auid = record.auid;
  process.workload = record.workload;
  process.start_wall_ns = WallNs(record.key.start_ns);
  process.exec_id = ExecId(record.key.pid, record.key.start_ns);
  process.flags = "miss";
  SetParent(process, Find(record.parent), record.parent);
  ++unknown_;
  return Insert(std::move(process));
}

void ProcessCache::SetParent(Process& process, Process* parent, const ProcessKey& parent_key) {
  // What has no parent is a child of the kernel: pid 0, as Tetragon numbers it.
  constexpr uint64_t kKernelStartNs = 1;
  if (parent != nullptr) {
    process.parent_id = parent->id;
    process.parent_exec_id = parent->exec_id;
  } else {
    process.parent_exec_id =
        ExecId(parent_key.pid, parent_key.pid == 0 ? kKernelStartNs : parent_key.start_ns);
  }
}

void ProcessCache::SetInitTree(Process& process, const Process* parent, const ProcProcess* proc) {
  if (parent != nullptr && parent->in_init_tree) {
    process.in_init_tree = true;
    return;
  }
  if (proc == nullptr && process.workload == bind::kHostWorkload) return;
  const auto read = proc == nullptr ? proc_.Read(process.key.pid) : std::optional(*proc);
  process.in_init_tree = read && read->ns_pid == kContainerInit && read->pid != kContainerInit;
}

// ---- lookup
// ----------------------------------------------------------------------------------------

ProcessCache::TaskKey ProcessCache::TaskOf(const ProcessKey& key) {
  return {key.pid, key.start_ns / kTickNs};
}

Process* ProcessCache::Find(const ProcessKey& key) {
  const auto task = tasks_.find(TaskOf(key));
  if (task == tasks_.end()) return nullptr;
  for (const uint64_t id : task->second) {
    Process& process = *by_id_.at(id);
    if (process.exec_seq_known && process.key.exec_seq == key.exec_seq) return &process;
  }
  return nullptr;
}

Process* ProcessCache::Latest(const ProcessKey& key) {
  const auto task = tasks_.find(TaskOf(key));
  return task == tasks_.end() ? nullptr : &*by_id_.at(task->second.back());
}

Process* ProcessCache::FindOrAdopt(const ProcessKey& key) {
  if (Process* exact = Find(key)) return exact;
  Process* latest = Latest(key);
  if (latest == nullptr || latest->exec_seq_known) return nullptr;
  latest->exec_seq_known = true;
  latest->key = key;
  return latest;
}

Process* ProcessCache::FindOrRead(const ProcessKey& key) {
  if (Process* known = FindOrAdopt(key)) {
    Touch(*known);
    return known;
  }
  const Process* latest = Latest(key);
  const bool older = latest != nullptr && latest->key.exec_seq > key.exec_seq;
  return older ? nullptr : ReadProc(key);
}

// ---- the list
// --------------------------------------------------------------------------------------

Process& ProcessCache::Insert(Process process) {
  if (const auto parent = by_id_.find(process.parent_id); parent != by_id_.end()) {
    ++parent->second->children;
  }
  if (Process* same = process.exec_seq_known ? Find(process.key) : nullptr) {
    if (const auto parent = by_id_.find(same->parent_id); parent != by_id_.end()) {
      --parent->second->children;
    }
    process.id = same->id;
    process.children = same->children;
    process.ended = same->ended;
    process.expired = same->expired;
    *same = std::move(process);
    Touch(*same);
    return *same;
  }
  if (lru_.size() >= options_.capacity) {
    if (!lru_.back().ended) ++evicted_;
    Remove(std::prev(lru_.end()));
  }
  process.id = ++last_id_;
  lru_.push_front(std::move(process));
  Process& inserted = lru_.front();
  by_id_.emplace(inserted.id, lru_.begin());
  std::vector<uint64_t>& executions = tasks_[TaskOf(inserted.key)];
  executions.push_back(inserted.id);
  // Mostly in place already: only a record that came out of order is older than the last one.
  for (size_t i = executions.size() - 1; i > 0; --i) {
    if (by_id_.at(executions[i - 1])->key.exec_seq <= inserted.key.exec_seq) break;
    std::swap(executions[i - 1], executions[i]);
  }
  entries_ = lru_.size();
  return inserted;
}

void ProcessCache::Remove(Node node) {
  while (true) {
    const auto task = tasks_.find(TaskOf(node->key));
    std::erase(task->second, node->id);
    if (task->second.empty()) tasks_.erase(task);
    const auto parent = by_id_.find(node->parent_id);
    by_id_.erase(node->id);
    lru_.erase(node);
    entries_ = lru_.size();
    if (parent == by_id_.end()) return;
    node = parent->second;
    --node->children;
    if (!node->expired || node->children > 0) return;
  }
}

void ProcessCache::Touch(const Process& process) {
  lru_.splice(lru_.begin(), lru_, by_id_.at(process.id));
}

void ProcessCache::End(Process& process, uint64_t time_ns) {
  if (process.ended) return;
  process.ended = true;
  ended_.push_back({time_ns, process.id});
}

void ProcessCache::Expire(uint64_t now_ns) {
  while (!ended_.empty() && ended_.front().time_ns + options_.keep_ended_ns < now_ns) {
    const auto found = by_id_.find(ended_.front().id);
    ended_.pop_front();
    if (found == by_id_.end()) continue;
    found->second->expired = true;
    if (found->second->children == 0) Remove(found->second);
  }
}

ProcessCacheStats ProcessCache::stats() const {
  return {.entries = entries_,
          .evicted = evicted_,
          .forks = forks_,
          .from_proc = from_proc_,
          .unknown = unknown_};
}

std::string ProcessCache::ExecId(uint32_t pid, uint64_t start_ns) const {
  return MakeExecId(options_.node_name, start_ns, pid);
}

int64_t ProcessCache::WallNs(uint64_t boot_ns) const {
  return static_cast<int64_t>(boot_ns) + clock_.BootOffsetNs();
}

}  // namespace gatehouse::event
