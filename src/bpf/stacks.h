/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stacks that events tell. The helper wants the context, which functions that are proven by
 * themselves cannot be given before 6.8, so the program itself takes them: once for all policies,
 * when these have been judged and one that tells its event asked for it. Its event is posted then.
 */
#ifndef GATEHOUSE_BPF_STACKS_H_
#define GATEHOUSE_BPF_STACKS_H_

#include "bpf/process.h"

/* Frames that are the program's own, and of what calls it: the innermost, which no event tells. */
enum frames {
  FRAMES_NONE = 0,       /* of a program on a perf event */
  FRAMES_RAW = 1,        /* the program */
  FRAMES_TRAMPOLINE = 2, /* the program, and the trampoline */
};

/* Notes that what a rule tells waits for stacks. */
static __always_inline void ask_for_stacks(__u32 index, __u32 stacks) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch)
    scratch->asked |= stacks;
  else
    count(GH_STAT_EVENTS_LOST_POLICY);
}

/* Takes the stacks that rules ask for; false: none does. */
static __always_inline bool take_stacks(struct scratch* scratch, void* context, enum frames own) {
  __u32 asked = scratch->asked;
  if (!asked) return false;
  struct stacks* stacks = &scratch->stacks;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  const __u32 bytes = GH_FRAMES_MAX * sizeof(__u64);
  long kernel = 0, user = 0;
  scratch->asked = 0;
  if (asked & GH_RULE_KERNEL_STACK) kernel = bpf_get_stack(context, stacks->kernel, bytes, own);
  if (asked & GH_RULE_USER_STACK)
    user = bpf_get_stack(context, stacks->user, bytes, BPF_F_USER_STACK);
  stacks->head.n_kernel = kernel < 0 ? kernel : kernel / (long)sizeof(__u64);
  stacks->head.n_user = user < 0 ? user : user / (long)sizeof(__u64);
  stacks->head.start_stack = BPF_CORE_READ(task, mm, start_stack);
  return true;
}

/* Appends `n` addresses to the event that ends at `end`; returns the new end. */
static __always_inline __u64 append_frames(struct scratch* scratch, __u64 end, const __u64* frames,
                                           __s16 n) {
  if (n <= 0) return end;
  __u64 bytes = n * sizeof(*frames);
  opaque(end);
  opaque(bytes);
  bytes &= sizeof(__u64) * STACK_FRAMES - 1;
  if (end > sizeof(scratch->event) - sizeof(__u64) * STACK_FRAMES) return end;
  bpf_probe_read_kernel(&scratch->event[end], bytes, frames);
  return end + bytes;
}

/* Appends the stacks that were taken, as far as the rule with `flags` asks for them, to the event
 * that ends at `end`; returns the new end. */
__noinline __u32 append_stacks(__u32 index, __u32 flags, __u32 end) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return end;
  struct stacks* stacks = &scratch->stacks;
  struct gh_event_stacks head = stacks->head;
  __u64 at = end;
  opaque(at);
  if (at > sizeof(scratch->event) - sizeof(struct stacks)) return end;
  if (!(flags & GH_RULE_KERNEL_STACK)) head.n_kernel = 0;
  if (!(flags & GH_RULE_USER_STACK)) head.n_user = 0;
  bpf_probe_read_kernel(&scratch->event[at], sizeof(head), &head);
  ((struct gh_event_policy*)scratch->event)->flags |= flags & GH_RULE_STACKS;
  at = append_frames(scratch, at + sizeof(head), stacks->kernel, head.n_kernel);
  return append_frames(scratch, at, stacks->user, head.n_user);
}

#endif /* GATEHOUSE_BPF_STACKS_H_ */
