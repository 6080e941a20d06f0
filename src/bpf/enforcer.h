/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a rule at one place asks for at another: a notification is noted for the thread and the
 * policy, and carried out where that thread next meets an enforcer of that policy. All of them are
 * in one map of fixed size. Functions of their own, as the stack of who calls them is part of the
 * deepest one.
 */
#ifndef GATEHOUSE_BPF_ENFORCER_H_
#define GATEHOUSE_BPF_ENFORCER_H_

#include "bpf/process.h"

/* Sends `signal` to the acting process. */
static __always_inline void kill_current(__u32 signal) {
  if (bpf_send_signal(signal)) count(GH_STAT_SIGNAL_FAILED);
}

/* When the current thread began: of another one with the same id, an old notification is not. */
static __always_inline __u64 thread_start_ns(void) {
  return BPF_CORE_READ((struct task_struct*)bpf_get_current_task(), start_boottime);
}

static __always_inline struct notified notified_of(struct gh_rule* rule) {
  return (struct notified){.thread = bpf_get_current_pid_tgid(), .policy = rule->policy};
}

/* Notes what the rule asks for. */
__noinline int notify_enforcer(__u32 rule_address) {
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!rule) return 0;
  struct notified key = notified_of(rule);
  struct notification asked = {
      .start_ns = thread_start_ns(), .error = rule->error, .signal = rule->signal};
  struct notification* before = bpf_map_lookup_elem(&notifications, &key);
  if (before && before->start_ns == asked.start_ns) count(GH_STAT_NOTIFICATION_REPLACED);
  if (bpf_map_update_elem(&notifications, &key, &asked, BPF_ANY)) count(GH_STAT_NOTIFICATION_LOST);
  return 0;
}

/* Forgets what the policy of the rule noted for the current thread. */
__noinline int forget_notification(__u32 rule_address) {
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!rule) return 0;
  struct notified key = notified_of(rule);
  struct notification* noted = bpf_map_lookup_elem(&notifications, &key);
  if (!noted) return 0;
  if (noted->start_ns == thread_start_ns()) count(GH_STAT_NOTIFICATION_UNUSED);
  bpf_map_delete_elem(&notifications, &key);
  return 0;
}

/* The current thread meets an enforcer: what is noted for it is carried out, once. The errno, or 0.
 * Nothing is ever noted for who is protected, or by a policy that monitors. */
__noinline int enforce(__u32 rule_address) {
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!rule) return 0;
  struct notified key = notified_of(rule);
  struct notification* noted = bpf_map_lookup_elem(&notifications, &key);
  if (!noted) return 0;
  int error = noted->error;
  __u32 signal = noted->signal;
  bool is_its_own = noted->start_ns == thread_start_ns();
  bpf_map_delete_elem(&notifications, &key);
  if (!is_its_own) return 0;
  atomic_add(&rule->hits, 1);
  if (signal) kill_current(signal);
  return error;
}

#endif /* GATEHOUSE_BPF_ENFORCER_H_ */
