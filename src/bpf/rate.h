/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events that are posted once in an interval, for all rules in one map of fixed size: what an event
 * says, who acts, and the rule become one digest with a random key, so nobody can keep another's
 * event back by making two meet.
 */
#ifndef GATEHOUSE_BPF_RATE_H_
#define GATEHOUSE_BPF_RATE_H_

#include "bpf/digest.h"

#define NSEC_PER_SEC 1000000000ULL

/* Absorbs at most LOOP_BLOCK words of the event from byte `at` on, up to `end`. */
__noinline int absorb_event(__u32 index, __u32 at, __u32 end) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  __u64 v0 = scratch->sip[0], v1 = scratch->sip[1], v2 = scratch->sip[2], v3 = scratch->sip[3];
  for (__u32 i = 0; i < LOOP_BLOCK; i++) {
    __u64 word = 0, place = at + 8 * i;
    opaque(place);
    if (place >= end || place > sizeof(scratch->event) - sizeof(word)) break;
    bpf_probe_read_kernel(&word, sizeof(word), &scratch->event[place]);
    sip_compress(v0, v1, v2, v3, word);
  }
  scratch->sip[0] = v0;
  scratch->sip[1] = v1;
  scratch->sip[2] = v2;
  scratch->sip[3] = v3;
  return 0;
}

static __always_inline void absorb(struct scratch* scratch, __u64 word) {
  sip_compress(scratch->sip[0], scratch->sip[1], scratch->sip[2], scratch->sip[3], word);
}

/* Whether the event in the scratch memory `index`, which ends at `end`, was posted less than the
 * rule's interval ago; if not, it counts as posted now. Two CPUs at once may both find that it was
 * not. */
__noinline int posted_lately(__u32 index, __u32 rule_address, __u32 end) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_rule* rule = record_at(struct gh_rule, rule_address);
  if (!scratch || !rule) return 0;
  struct gh_event_policy* event = (struct gh_event_policy*)scratch->event;
  __u64 interval_ns = rule->interval_s * NSEC_PER_SEC, zero = 0, behind = end;
  __u32 who = rule->flags & GH_RULE_PER_THREAD    ? event->process.tid
              : rule->flags & GH_RULE_PER_PROCESS ? event->process.pid
                                                  : 0;
  opaque(behind);
  if (behind > sizeof(scratch->event) - sizeof(zero)) return 0;
  bpf_probe_read_kernel(&scratch->event[behind], sizeof(zero), &zero); /* the last word's rest */
  sip_start(scratch);
  absorb(scratch, (__u64)rule->policy << 32 | rule->number);
  absorb(scratch, who ? event->process.start_ns : 0);
  for (__u32 at = sizeof(*event); at < sizeof(scratch->event); at += 8 * LOOP_BLOCK) {
    if (at >= end) break;
    absorb_event(index, at, end);
  }
  struct gh_digest digest = sip_finish(scratch, (__u64)who << 32 | end);
  __u64 now = bpf_ktime_get_boot_ns();
  __u64* last = bpf_map_lookup_elem(&last_posted, &digest);
  if (last && now - *last < interval_ns) return 1;
  bpf_map_update_elem(&last_posted, &digest, &now, BPF_ANY);
  return 0;
}

#endif /* GATEHOUSE_BPF_RATE_H_ */
