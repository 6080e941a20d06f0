// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Baseline: one program and one set of maps for each policy.
 *
 * Models what a policy costs in Tetragon (1.8), at its leanest: a program of the policy's own on
 * the hook, a hash of cgroup ids that says whom the policy is about, a hash of the paths that it
 * allows, and one per-CPU slot of scratch memory. Left out: the other seven programs and forty-odd
 * maps that Tetragon loads for a policy, events, and the larger part of its scratch (it has about
 * 80 kB for each possible CPU and policy; here it is a path of 4 kB and a key).
 */
#include "baseline_state.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, __u64);
  __type(value, __u8);
} workloads SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1); /* set to the number of values */
  __type(key, struct path_key);
  __type(value, __u8);
} allowed SEC(".maps");

static __always_inline int judge(struct linux_binprm* bprm) {
  __u64 cgroup = bpf_get_current_cgroup_id();
  if (!bpf_map_lookup_elem(&workloads, &cgroup)) return 0;
  struct path_key* key = program_key(bprm);
  return key && bpf_map_lookup_elem(&allowed, key) ? 0 : -EPERM;
}

BASELINE_PROGRAMS
