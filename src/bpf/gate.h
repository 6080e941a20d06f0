/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate: what every operation passes on a hook, for all policies.
 *
 *   find the workload -> its group's gate on this hook (none: return) -> read the values, once
 *   -> judge policy by policy -> combine the verdicts, post the events
 *
 * Fail-open or fail-closed: a value that cannot be read is in no set, so an allow-list denies; an
 * image that cannot be read (never seen: it would be a bug of the agent) denies nothing.
 */
#ifndef GATEHOUSE_BPF_GATE_H_
#define GATEHOUSE_BPF_GATE_H_

#include "bpf/digest.h"
#include "bpf/judge.h"
#include "bpf/path.h"
#include "bpf/process.h"

#define NSEC_PER_TICK 10000000ULL /* USER_HZ is 100 */

/* The agent and its ancestors: no verdict is carried out on them, whatever a policy says. */
static __always_inline bool is_protected(struct task_struct* task) {
  __u32 pid = BPF_CORE_READ(task, tgid);
  __u64 ticks = BPF_CORE_READ(task, group_leader, start_boottime) / NSEC_PER_TICK;
  for (int i = 0; i < GH_PROTECTED_MAX; i++) {
    if (!protected_tasks[i].pid) break;
    if (protected_tasks[i].pid == pid && protected_tasks[i].start_ticks == ticks) return true;
  }
  return false;
}

/* Sends the event of one policy; the object's path stands in the scratch memory. */
__noinline int post(__u32 index, __u32 rule_address, __u32 hook, __u32 flags) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!scratch || !rule) {
    count(GH_STAT_EVENTS_LOST_POLICY);
    return 0;
  }
  struct gh_event_policy* event = (struct gh_event_policy*)scratch->event;
  struct value* object = &scratch->values[GH_SUBJECT_OBJECT];

  __builtin_memset(event, 0, sizeof(*event));
  fill_process(&event->process);
  event->policy = rule->policy;
  event->hook = hook;
  event->rule = rule->index;
  event->actions = rule->actions;
  event->error = rule->error;
  event->signal = rule->signal;
  event->flags = flags;
  event->hook_index = rule->hook_index;
  event->file_mode = scratch->file_mode;
  event->unreadable = object->unreadable;

  __u64 len = object->unreadable ? 0 : object->len, start = object->start;
  opaque(len);
  if (len >= GH_PATH_MAX || start > TEXT_END)
    len = 0;
  else if (bpf_probe_read_kernel(scratch->event + sizeof(*event), len, &object->bytes[start]))
    len = 0;
  event->object_len = len;
  send_event(event, GH_EVENT_POLICY, sizeof(*event) + len, GH_STAT_EVENTS_LOST_POLICY);
  return 0;
}

/* What an event says about what became of the policy's actions. */
static __always_inline __u32 event_flags(struct gh_rule* rule, bool is_protected_task) {
  __u32 flags = 0;
  if (rule->flags & GH_RULE_MONITOR)
    flags |= GH_POLICY_MONITOR;
  else if (is_protected_task && rule->actions & (GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL))
    flags |= GH_POLICY_PROTECTED;
  else if (deny_with_signal && rule->actions & GH_ACTION_OVERRIDE)
    flags |= GH_POLICY_BY_SIGNAL;
  return flags;
}

/* Sends `signal` to the acting process. */
static __always_inline void kill_current(__u32 signal) {
  if (bpf_send_signal(signal)) count(GH_STAT_SIGNAL_FAILED);
}

/*
 * Judges the policy whose first rule's address stands at `policy_address`: posts its event, sends
 * its signal, returns its errno (negative) or 0. Every policy is carried out by itself; only errnos
 * have to be combined, and there the first one wins.
 */
__noinline int judge_policy(__u32 index, __u32 policy_address, __u32 hook) {
  __u32 address = deciding_rule(index, word_at(policy_address));
  struct gh_rule* rule = record_at(struct gh_rule, address);
  if (!rule) return 0;
  atomic_add(&rule->hits, 1);
  __u32 actions = rule->actions;
  bool enforcing =
      actions & (GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL) && !(rule->flags & GH_RULE_MONITOR);
  bool spared = enforcing && is_protected((struct task_struct*)bpf_get_current_task());
  if (spared) count(GH_STAT_PROTECTED);
  if (actions & GH_ACTION_POST) post(index, address, hook, event_flags(rule, spared));
  if (!enforcing || spared) return 0;
  if (actions & GH_ACTION_SIGNAL) kill_current(rule->signal);
  return actions & GH_ACTION_OVERRIDE ? rule->error : 0;
}

/* Judges at most LOOP_BLOCK policies of a gate whose values have been read. */
__noinline int judge_block(__u32 index, __u32 policies, __u32 n_policies, __u32 hook) {
  __u32 verdict = 0;
  for (__u32 i = 0; i < LOOP_BLOCK; i++) {
    if (i >= n_policies) break;
    __u32 error = judge_policy(index, policies + i, hook);
    verdict |= error & -(__u32)is_at_most(verdict, 0); /* the first errno stays */
  }
  return verdict;
}

/* Judges all policies of a gate whose values have been read. */
__noinline int judge_gate(__u32 index, __u32 policies, __u32 n_policies, __u32 hook) {
  __u32 verdict = 0;
  for (__u32 first = 0; first < GH_POLICIES_PER_GATE_MAX; first += LOOP_BLOCK) {
    if (first >= n_policies) break;
    __u32 error = judge_block(index, policies + first, n_policies - first, hook);
    verdict |= error & -(__u32)is_at_most(verdict, 0);
  }
  return verdict;
}

/* The executable of the acting program, before the execve. */
static __always_inline void resolve_binary(__u32 index) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct file* file = BPF_CORE_READ(task, mm, exe_file);
  struct value* value = value_of(index, GH_SUBJECT_BINARY);
  if (file && binary_is_known) {
    resolve_file(index, GH_SUBJECT_BINARY, file);
  } else if (value) {
    value->unreadable = GH_UNREADABLE_NO_BINARY;
    count(GH_STAT_NO_BINARY);
  }
}

/* The operation passes a gate with policies: reads what they look at, then judges. */
static __always_inline int pass_gate(__u32 hook, __u32 root, __u32 gate_address, __u64 file) {
  struct gh_gate* gate = record_at(struct gh_gate, gate_address);
  if (!gate) return 0;
  __u32 index = scratch_claim();
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch) {
    struct file* object = (struct file*)file;
    scratch->root = root;
    scratch->file_mode = BPF_CORE_READ(object, f_inode, i_mode);
    resolve_file(index, GH_SUBJECT_OBJECT, object);
    intern_value(index, GH_SUBJECT_OBJECT, gate->lengths);
    if (gate->subjects & (1 << GH_SUBJECT_BINARY)) {
      resolve_binary(index);
      intern_value(index, GH_SUBJECT_BINARY, gate->lengths);
    }
  }
  int verdict = judge_gate(index, gate->policies, gate->n_policies, hook);
  if (scratch) scratch_release(index);
  return verdict;
}

/* The address of the group of a workload, or 0. */
static __always_inline __u32 group_of(const struct gh_root* root, __u32 slot) {
  if (slot == 0) return root->host;
  if (slot / GH_CHUNK_SLOTS >= root->n_chunks) return 0;
  __u32 chunk = word_at(root->chunks + slot / GH_CHUNK_SLOTS);
  return chunk ? word_at(chunk + slot % GH_CHUNK_SLOTS) : 0;
}

/* The whole way, in the image at `root_address`, for the program that `bprm` is about to run: a
 * negative errno, or 0. */
static __always_inline int gate(__u32 hook, __u32 root_address, struct linux_binprm* bprm) {
  struct gh_cgroup* cgroup = current_cgroup();
  __u32 slot = cgroup ? cgroup->slot : 0;
  struct gh_root* root = record_at(struct gh_root, root_address);
  if (!root) return 0;
  struct gh_group* group = record_at(struct gh_group, group_of(root, slot));
  if (!group || hook >= GH_HOOK_COUNT) return 0;
  __u32 gate_address = group->gate[hook];
  if (!gate_address) return 0;
  return pass_gate(hook, root_address, gate_address, (__u64)BPF_CORE_READ(bprm, file));
}

#endif /* GATEHOUSE_BPF_GATE_H_ */
