/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who acts, for events. Nothing is kept in the kernel: (pid, start time, exec count) names a
 * program execution, and the agent knows the rest from the event of its execve.
 */
#ifndef GATEHOUSE_BPF_PROCESS_H_
#define GATEHOUSE_BPF_PROCESS_H_

#include "bpf/state.h"

/* Whose workload a cgroup that could not be inserted belongs to: the nearest one above that is
 * tracked. Returns its id, or 0. (bpf_get_current_ancestor_cgroup_id is not for our programs
 * on 5.10.) */
__noinline __u64 tracked_ancestor(void) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct cgroup_subsys_state* state = (void*)BPF_CORE_READ(task, cgroups, dfl_cgrp);
  for (int level = 0; level < GH_CGROUP_DEPTH_MAX && state; level++) {
    __u64 id = BPF_CORE_READ(state, cgroup, kn, id);
    if (bpf_map_lookup_elem(&cgroups, &id)) return id;
    state = BPF_CORE_READ(state, parent);
  }
  return 0;
}

static __always_inline bool some_cgroup_is_untracked(void) {
  __u32 stat = GH_STAT_CGROUP_UNTRACKED;
  __u64* counter = bpf_map_lookup_elem(&stats, &stat);
  return counter && *counter;
}

static __always_inline struct gh_cgroup* current_cgroup(void) {
  __u64 id = bpf_get_current_cgroup_id();
  struct gh_cgroup* cgroup = bpf_map_lookup_elem(&cgroups, &id);
  if (cgroup || !some_cgroup_is_untracked()) return cgroup;
  id = tracked_ancestor();
  return bpf_map_lookup_elem(&cgroups, &id);
}

#define NSEC_PER_TICK 10000000ULL /* USER_HZ is 100 */

/* When a process began, as /proc/PID/stat shows it. */
static __always_inline __u64 start_ticks_of(struct task_struct* task) {
  return BPF_CORE_READ(task, group_leader, start_boottime) / NSEC_PER_TICK;
}

/* The pid namespace that a process is in, and what it is called there (see task_active_pid_ns() in
 * kernel/pid.c). */
static __always_inline struct upid innermost_pid(struct task_struct* task) {
  struct pid* pid = BPF_CORE_READ(task, group_leader, thread_pid);
  __u32 level = BPF_CORE_READ(pid, level);
  struct upid innermost = {};
  bpf_core_read(&innermost, sizeof(innermost),
                (void*)&pid->numbers[0] + level * bpf_core_type_size(struct upid));
  return innermost;
}

#define INUM_OF(task, member) BPF_CORE_READ(task, nsproxy, member, ns.inum)

/* The inode number of a namespace of the current process, with a mark if it is the host's. */
static __always_inline __u64 namespace_of(struct task_struct* task, __u32 kind) {
  __u32 inum = 0;
  struct nsproxy* proxy = BPF_CORE_READ(task, nsproxy);
  if (kind == GH_NAMESPACE_UTS) inum = INUM_OF(task, uts_ns);
  if (kind == GH_NAMESPACE_IPC) inum = INUM_OF(task, ipc_ns);
  if (kind == GH_NAMESPACE_MNT) inum = INUM_OF(task, mnt_ns);
  if (kind == GH_NAMESPACE_PID) inum = BPF_CORE_READ(innermost_pid(task).ns, ns.inum);
  if (kind == GH_NAMESPACE_PID_FOR_CHILDREN) inum = INUM_OF(task, pid_ns_for_children);
  if (kind == GH_NAMESPACE_NET) inum = INUM_OF(task, net_ns);
  if (kind == GH_NAMESPACE_CGROUP) inum = INUM_OF(task, cgroup_ns);
  if (kind == GH_NAMESPACE_USER) inum = BPF_CORE_READ(task, cred, user_ns, ns.inum);
  /* CONFIG_TIME_NS is an option. */
  if (kind == GH_NAMESPACE_TIME && bpf_core_field_exists(proxy->time_ns))
    inum = INUM_OF(task, time_ns);
  if (kind == GH_NAMESPACE_TIME_FOR_CHILDREN && bpf_core_field_exists(proxy->time_ns))
    inum = INUM_OF(task, time_ns_for_children);
  opaque(kind);
  return inum == host_namespaces[kind & (NAMESPACES - 1)] ? GH_HOST_NAMESPACE + inum : inum;
}

static __always_inline __u64 capabilities_of(struct task_struct* task, __u32 set) {
  const struct cred* cred = BPF_CORE_READ(task, cred);
  __u64 bits = 0;
  if (set == GH_CAPABILITIES_EFFECTIVE)
    read_capabilities(&bits, &cred->cap_effective);
  else if (set == GH_CAPABILITIES_INHERITABLE)
    read_capabilities(&bits, &cred->cap_inheritable);
  else
    read_capabilities(&bits, &cred->cap_permitted);
  return bits;
}

/* Reads the struct cred or, if it is `of_namespace`, the struct user_namespace at `raw` to where
 * sockets are: of its subject there is none. */
__noinline int read_cred(__u32 index, __u32 subject, __u32 of_namespace, __u64 raw) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  subject &= WORDS_TAKEN - 1;
  opaque(subject);
  struct gh_cred* to = (struct gh_cred*)&scratch->sockets[subject];
  const struct cred* cred = (const struct cred*)raw;
  struct user_namespace* ns = (struct user_namespace*)raw;
  __u32 inum = 0;
  __builtin_memset(to, 0, sizeof(*to));
  if (!of_namespace) {
    to->uid = BPF_CORE_READ(cred, uid.val);
    to->gid = BPF_CORE_READ(cred, gid.val);
    to->euid = BPF_CORE_READ(cred, euid.val);
    to->egid = BPF_CORE_READ(cred, egid.val);
    to->suid = BPF_CORE_READ(cred, suid.val);
    to->sgid = BPF_CORE_READ(cred, sgid.val);
    to->fsuid = BPF_CORE_READ(cred, fsuid.val);
    to->fsgid = BPF_CORE_READ(cred, fsgid.val);
    to->securebits = BPF_CORE_READ(cred, securebits);
    read_capabilities(&to->permitted, &cred->cap_permitted);
    read_capabilities(&to->effective, &cred->cap_effective);
    read_capabilities(&to->inheritable, &cred->cap_inheritable);
    ns = BPF_CORE_READ(cred, user_ns);
  }
  bool good = !bpf_core_read(&inum, sizeof(inum), &ns->ns.inum); /* the last that is read */
  to->user_ns = inum;
  to->user_ns_level = BPF_CORE_READ(ns, level);
  to->user_ns_uid = BPF_CORE_READ(ns, owner.val);
  to->user_ns_gid = BPF_CORE_READ(ns, group.val);
  scratch->subjects[subject].unreadable = good ? GH_READABLE : GH_UNREADABLE_FAULT;
  if (!good) count(GH_STAT_NUMBER_FAULT);
  return 0;
}

/* What `subject` (enum gh_subject) is of the current process. */
__noinline __u64 number_of_process(__u32 subject) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  if (subject == GH_SUBJECT_PID) return BPF_CORE_READ(task, tgid);
  if (subject == GH_SUBJECT_NAMESPACE_PID) return innermost_pid(task).nr;
  if (subject >= GH_SUBJECT_CAPABILITIES_0)
    return capabilities_of(task, subject - GH_SUBJECT_CAPABILITIES_0);
  return namespace_of(task, subject - GH_SUBJECT_NAMESPACE_0);
}

/* Reads the ids of the current process and of its ancestors. */
__noinline int read_ancestors(__u32 index, __u32 subject) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  bool of_namespace = subject == GH_SUBJECT_NAMESPACE_ANCESTORS;
  struct ancestors* ancestors = &scratch->ancestors[of_namespace];
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  __u32 n = 0;
  for (; n < GH_ANCESTORS_MAX; n++) {
    __u32 pid = BPF_CORE_READ(task, tgid);
    if (!pid) break; /* the idle task, parent of all */
    ancestors->pids[n] = of_namespace ? innermost_pid(task).nr : pid;
    task = BPF_CORE_READ(task, group_leader, real_parent);
  }
  ancestors->n = n;
  return 0;
}

static __always_inline void fill_process(struct gh_process* process) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct task_struct* leader = BPF_CORE_READ(task, group_leader);
  struct task_struct* parent = BPF_CORE_READ(leader, real_parent, group_leader);
  __u64 cgroup_id = bpf_get_current_cgroup_id();
  struct gh_cgroup* cgroup = current_cgroup();

  process->pid = BPF_CORE_READ(task, tgid);
  process->tid = BPF_CORE_READ(task, pid);
  process->start_ns = BPF_CORE_READ(leader, start_boottime);
  process->exec_seq = BPF_CORE_READ(leader, self_exec_id);
  process->parent_pid = BPF_CORE_READ(parent, tgid);
  process->parent_start_ns = BPF_CORE_READ(parent, start_boottime);
  process->parent_exec_seq = BPF_CORE_READ(parent, self_exec_id);
  process->uid = bpf_get_current_uid_gid();
  process->auid = task_login_uid(task);
  process->cgroup_id = cgroup_id;
  process->workload = cgroup ? cgroup->workload : 0;
}

/* Copies the text of a value to `at` in the event; returns its length. */
static __always_inline __u64 append_text(struct scratch* scratch, __u64 at, struct value* value) {
  __u64 len = value->unreadable ? 0 : value->len, start = value->start;
  opaque(len);
  opaque(at);
  if (len >= GH_PATH_MAX || start > TEXT_END || at > sizeof(scratch->event) - GH_PATH_MAX) return 0;
  return bpf_probe_read_kernel(&scratch->event[at], len, &value->bytes[start]) ? 0 : len;
}

/* Completes the header and hands the record over; a full ring buffer loses it and counts. */
static __always_inline void send_event(void* event, __u32 type, __u64 size, __u32 lost_stat) {
  struct gh_event_header* header = event;
  header->type = type;
  header->size = size;
  header->time_ns = bpf_ktime_get_boot_ns();
  if (bpf_ringbuf_output(&events, event, size, 0)) count(lost_stat);
}

#endif /* GATEHOUSE_BPF_PROCESS_H_ */
