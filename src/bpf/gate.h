/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate: what every operation passes on a hook, for all policies.
 *
 *   find the workload -> its group's gate on this hook (none: return) -> read the inputs, once
 *   -> judge policy by policy -> combine the verdicts, post the events
 *   -> if an event is to tell a stack: take it, and post those that do
 *   -> if an event is to be followed by whole buffers, or the hash of the file: send them
 *
 * Fail-open or fail-closed: a value that cannot be read is in no set, so an allow-list denies; an
 * image that cannot be read (never seen: it would be a bug of the agent) denies nothing.
 */
#ifndef GATEHOUSE_BPF_GATE_H_
#define GATEHOUSE_BPF_GATE_H_

#include "bpf/enforcer.h"
#include "bpf/follow.h"
#include "bpf/inputs.h"
#include "bpf/judge.h"
#include "bpf/process.h"
#include "bpf/rate.h"
#include "bpf/stacks.h"

/* The agent and its ancestors: no verdict is carried out on them, whatever a policy says. */
static __always_inline bool is_protected(struct task_struct* task) {
  __u32 pid = BPF_CORE_READ(task, tgid);
  __u64 ticks = start_ticks_of(task);
  for (int i = 0; i < GH_PROTECTED_MAX; i++) {
    if (!protected_tasks[i].pid) break;
    if (protected_tasks[i].pid == pid && protected_tasks[i].start_ticks == ticks) return true;
  }
  return false;
}

/* Appends the value of the input at `address` to the event that ends at `end`, if `shows` has it;
 * returns the new end. */
__noinline __u32 append_value(__u32 index, __u32 address, __u32 shows, __u32 end) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_input* input = record_at(struct gh_input, address);
  if (!scratch || !input) return end;
  __u32 number = input->subject & (SUBJECTS - 1);
  if (number >= GH_SUBJECT_TOLD || !(shows >> number & 1)) return end;
  struct subject* subject = &scratch->subjects[number];
  struct gh_event_value head = {.subject = number, .read = input->read};
  __u64 at = end;
  opaque(at);
  if (at > sizeof(scratch->event) - GH_PATH_MAX - sizeof(head)) return end;
  __u64 text = at + sizeof(head);
  if (gh_is_socket(input->read) || gh_is_cred(input->read) || gh_is_object(input->read)) {
    __u32 bytes = gh_is_socket(input->read) ? sizeof(struct gh_socket)
                  : gh_is_cred(input->read) ? sizeof(struct gh_cred)
                                            : sizeof(struct gh_object);
    head.unreadable = subject->unreadable;
    head.bytes = subject->unreadable ? 0 : bytes;
    bpf_probe_read_kernel(&scratch->event[text], sizeof(struct gh_socket),
                          &scratch->sockets[number & (WORDS_TAKEN - 1)]);
  } else if (!gh_is_text(input->read)) {
    head.unreadable = subject->unreadable;
    head.bytes = subject->unreadable ? 0 : sizeof(subject->number);
    bpf_probe_read_kernel(&scratch->event[text], sizeof(subject->number), &subject->number);
  } else {
    struct value* value = &scratch->values[subject->slot & (GH_TEXTS_MAX - 1)];
    head.unreadable = value->unreadable;
    head.file_mode = subject->file_mode;
    if (input->read == GH_READ_SOCKADDR_UN || input->read == GH_READ_USER_SOCKADDR_UN)
      head.family = subject->number;
    if (gh_is_buffer(input->read)) head.length = subject->number;
    head.bytes = append_text(scratch, text, value);
  }
  bpf_probe_read_kernel(&scratch->event[at], sizeof(head), &head);
  ((struct gh_event_policy*)scratch->event)->n_values++;
  return text + head.bytes;
}

/* Sends the event of one policy. */
__noinline int post(__u32 index, __u32 rule_address, __u32 hook, __u32 flags) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!scratch || !rule) {
    count(GH_STAT_EVENTS_LOST_POLICY);
    return 0;
  }
  struct gh_event_policy* event = (struct gh_event_policy*)scratch->event;

  __builtin_memset(event, 0, sizeof(*event));
  fill_process(&event->process);
  struct gh_process* owner =
      scratch->tracked ? bpf_map_lookup_elem(&socket_owners, &scratch->tracked) : 0;
  if (owner) event->process = *owner;
  event->policy = rule->policy;
  event->hook = hook;
  event->rule = rule->number;
  event->actions = rule->actions;
  event->error = rule->error;
  event->signal = rule->signal;
  event->flags = flags;
  __u32 end = sizeof(*event), shows = rule->shows, inputs = scratch->inputs;
  for (__u32 i = 0; i < GH_SUBJECT_TOLD; i++) { /* inputs ascend by subject */
    if (i >= scratch->n_inputs) break;
    end = append_value(index, inputs + i * INPUT_WORDS, shows, end);
  }
  if (rule->interval_s && posted_lately(index, rule_address, end)) {
    count(GH_STAT_EVENTS_LIMITED);
    return 0;
  }
  if (rule->flags & GH_RULE_STACKS) end = append_stacks(index, rule->flags, end);
  __u32 follows = GH_FOLLOWS_OF(shows);
  if (follows && !scratch->follows) scratch->since_ns = bpf_ktime_get_boot_ns();
  scratch->follows |= follows;
  event->flags |= follows;
  __u64 size = end;
  opaque(size);
  if (size <= sizeof(scratch->event))
    send_event(event, GH_EVENT_POLICY, size, GH_STAT_EVENTS_LOST_POLICY);
  return 0;
}

/* What an event says about what became of the policy's actions. */
static __always_inline __u32 event_flags(struct gh_rule* rule, bool is_protected_task) {
  __u32 flags = 0;
  if (rule->flags & GH_RULE_MONITOR)
    flags |= GH_POLICY_MONITOR;
  else if (is_protected_task && rule->actions & GH_ACTIONS_ENFORCING)
    flags |= GH_POLICY_PROTECTED;
  else if (deny_with_signal && rule->actions & GH_ACTION_OVERRIDE)
    flags |= GH_POLICY_BY_SIGNAL;
  return flags;
}

/* Notes down what the rule sets: it is written when all policies have been heard. Of several, the
 * first one's number stays. */
static __always_inline void note_set(__u32 index, struct gh_rule* rule) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_filter* set =
      record_at(struct gh_filter, rule->filters + rule->n_filters * FILTER_WORDS);
  if (!scratch || !set) return;
  __u32 argument = set->subject & (GH_ARGUMENTS_MAX - 1);
  opaque(argument);
  if (scratch->sets >> argument & 1) return;
  scratch->sets |= 1 << argument;
  scratch->set_to[argument & (GH_ARGUMENTS_MAX - 1)] = set->set;
}

/* Carries out what a rule says of the socket that it names. A function of its own, as the stack of
 * its caller is part of the deepest one. */
__noinline int track_socket(__u32 index, __u32 rule_address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!scratch || !rule) return 0;
  __u64 sock = scratch->arguments[rule->signal & (WORDS_TAKEN - 1)];
  if (rule->actions & GH_ACTION_UNTRACK_SOCK) {
    bpf_map_delete_elem(&socket_owners, &sock);
  } else if (sock) {
    struct gh_process process = {};
    fill_process(&process);
    bpf_map_update_elem(&socket_owners, &sock, &process, BPF_ANY);
  }
  return 0;
}

/*
 * Judges the policy whose first rule's address stands at `policy_address`: posts its event, sends
 * its signal, returns its errno (negative) or 0. Every policy is carried out by itself; only errnos
 * have to be combined, and there the first one wins. With `again` stacks have been taken, and what
 * waited for them is done, nothing else.
 */
__noinline int judge_policy(__u32 index, __u32 policy_address, __u32 hook, __u32 again) {
  __u32 address = deciding_rule(index, word_at(policy_address));
  struct gh_rule* rule = record_at(struct gh_rule, address);
  if (!rule) return 0;
  if (rule->flags & GH_RULE_ENFORCER) return again ? 0 : enforce(address);
  __u32 stacks = rule->flags & GH_RULE_STACKS;
  if (again && !stacks) return 0;
  if (!again && !(rule->flags & GH_RULE_UNCOUNTED)) atomic_add(&rule->hits, 1);
  __u32 actions = rule->actions;
  bool enforcing = actions & GH_ACTIONS_ENFORCING && !(rule->flags & GH_RULE_MONITOR);
  bool spared = enforcing && is_protected((struct task_struct*)bpf_get_current_task());
  if (stacks && !again) {
    ask_for_stacks(index, stacks);
  } else {
    if (actions & GH_ACTION_POST) post(index, address, hook, event_flags(rule, spared));
    if (actions & (GH_ACTION_TRACK_SOCK | GH_ACTION_UNTRACK_SOCK)) track_socket(index, address);
  }
  if (again) return 0;
  if (spared) count(GH_STAT_PROTECTED);
  if (actions & GH_ACTION_CLEANUP) forget_notification(address);
  if (!enforcing || spared) return 0;
  if (actions & GH_ACTION_NOTIFY) notify_enforcer(address);
  if (actions & GH_ACTION_SIGNAL) kill_current(rule->signal);
  if (actions & GH_ACTION_SET) note_set(index, rule);
  return actions & GH_ACTION_OVERRIDE ? rule->error : 0;
}

/* Judges at most LOOP_BLOCK policies of a gate whose values have been read. */
__noinline int judge_block(__u32 index, __u32 policies, __u32 n_policies, __u32 hook, __u32 again) {
  __u32 verdict = 0;
  for (__u32 i = 0; i < LOOP_BLOCK; i++) {
    if (i >= n_policies) break;
    __u32 error = judge_policy(index, policies + i, hook, again);
    verdict |= error & -(__u32)is_at_most(verdict, 0); /* the first errno stays */
  }
  return verdict;
}

/* Judges all policies of a gate whose values have been read. */
__noinline int judge_gate(__u32 index, __u32 policies, __u32 n_policies, __u32 hook, __u32 again) {
  __u32 verdict = 0;
  for (__u32 first = 0; first < GH_POLICIES_PER_GATE_MAX; first += LOOP_BLOCK) {
    if (first >= n_policies) break;
    __u32 error = judge_block(index, policies + first, n_policies - first, hook, again);
    verdict |= error & -(__u32)is_at_most(verdict, 0);
  }
  return verdict;
}

/* The address of the group of a workload, or 0. */
static __always_inline __u32 group_of(const struct gh_root* root, __u32 slot) {
  if (slot == 0) return root->host;
  if (slot / GH_CHUNK_SLOTS >= root->n_chunks) return 0;
  __u32 chunk = word_at(root->chunks + slot / GH_CHUNK_SLOTS);
  return chunk ? word_at(chunk + slot % GH_CHUNK_SLOTS) : 0;
}

#define GATE_WORDS (sizeof(struct gh_gate) / GH_WORD_BYTES)
/* 2^10 gates are the most that a group has. */
GH_STATIC_ASSERT(GH_HOOKS_PER_GROUP_MAX <= 1 << SEARCH_STEPS, "steps");

/* Address of the gate of `hook` among the `n` at `address`, ascending by hook; or 0. */
__noinline int gate_among(__u32 address, __u32 n, __u32 hook) {
  if (!n) return 0;
  for (int i = 0; i < SEARCH_STEPS && n > 1; i++) {
    __u32 half = n / 2;
    struct gh_gate* gate = record_at(struct gh_gate, address + half * GATE_WORDS);
    if (!gate) return 0;
    address += half * GATE_WORDS * is_at_most(gate->hook, hook);
    n -= half;
  }
  struct gh_gate* gate = record_at(struct gh_gate, address);
  return gate && gate->hook == hook ? address : 0;
}

/* Address of the gate that what the current process does on `hook` has to pass, in the image at
 * `root_address`; 0: none. */
static __always_inline __u32 find_gate(__u32 hook, __u32 root_address) {
  struct gh_cgroup* cgroup = current_cgroup();
  __u32 slot = cgroup ? cgroup->slot : 0;
  struct gh_root* root = record_at(struct gh_root, root_address);
  if (!root) return 0;
  struct gh_group* group = record_at(struct gh_group, group_of(root, slot));
  return group ? gate_among(group->gates, group->n_gates, hook) : 0;
}

/* Whether the current process is in a container's cgroup and not of the container yet: then only
 * executions are judged. Few operations find that anyone is. */
static __always_inline bool is_entering(__u32 hook) {
  if (hook < GH_HOOK_FIRST_FREE || !*(volatile __u32*)&n_entering) return false;
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  __u64* ticks = bpf_map_lookup_elem(&entering, &pid);
  return ticks && *ticks == start_ticks_of((struct task_struct*)bpf_get_current_task());
}

/* The operation passes the gate at `gate_address`: a negative errno, or 0. Its arguments stand in
 * the scratch memory `index`, if there is any; `own` is about the program whose context it is.
 * `more`: see read_inputs. */
static __always_inline int pass_gate(__u32 index, __u32 hook, __u32 root, __u32 gate_address,
                                     void* context, enum frames own, bool more) {
  struct gh_gate* gate = record_at(struct gh_gate, gate_address);
  if (!gate) return 0;
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch) {
    scratch->root = root;
    scratch->follows = 0;
    read_inputs(scratch, index, gate, more);
  }
  int verdict = judge_gate(index, gate->policies, gate->n_policies, hook, false);
  if (scratch && take_stacks(scratch, context, own))
    judge_gate(index, gate->policies, gate->n_policies, hook, true);
  if (more && scratch && scratch->follows & GH_POLICY_PARTS) send_parts(index);
  return verdict;
}

#endif /* GATEHOUSE_BPF_GATE_H_ */
