// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Baseline: one program, and an inner map for each policy.
 *
 * Models the usual answer to one program per policy: a hash of cgroup ids gives the policy's
 * number, a hash of maps gives the policy's set of allowed paths, which is a hash. Real designs
 * have an outer map for each size of key; here all values fit into one.
 */
#include "baseline_state.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, __u32);
} workloads SEC(".maps");

struct allowed {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1); /* of each inner map its own */
  __type(key, struct path_key);
  __type(value, __u8);
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __array(values, struct allowed);
} policies SEC(".maps");

static __always_inline int judge(struct linux_binprm* bprm) {
  __u64 cgroup = bpf_get_current_cgroup_id();
  __u32* policy = bpf_map_lookup_elem(&workloads, &cgroup);
  if (!policy) return 0;
  void* allowed = bpf_map_lookup_elem(&policies, policy);
  if (!allowed) return 0;
  struct path_key* key = program_key(bprm);
  return key && bpf_map_lookup_elem(allowed, key) ? 0 : -EPERM;
}

BASELINE_PROGRAMS
