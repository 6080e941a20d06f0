/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stands in the place of bpf/state.h for the baselines, so that they resolve a path with the very
 * code that the gate uses (bpf/path.h): the same names, less state. One scratch slot for each CPU,
 * as the designs modelled here have it; that a task preempted inside a program shares it with the
 * next one is their bug to have, and makes them no slower.
 */
#ifndef GATEHOUSE_BENCH_BASELINE_STATE_H_
#define GATEHOUSE_BENCH_BASELINE_STATE_H_

#define GATEHOUSE_BPF_STATE_H_
#include "bpf/kernel_types.h"

/* Paths are compared as keys of one size, padded with NUL. One size is enough for the values that
 * are measured; the real designs have several, each with a map of its own. */
#define PATH_KEY_BYTES 72

struct path_key {
  char text[PATH_KEY_BYTES];
};

struct value {
  __u32 unreadable;
  __u32 start;
  __u32 len;
  __u8 bytes[8 + GH_PATH_MAX + GH_NAME_MAX + 1];
};

#define TEXT_BEGIN 8u
#define TEXT_END (8u + GH_PATH_MAX)
#define LOOP_BLOCK 64
#define opaque(var) asm volatile("" : "+r"(var))

struct scratch {
  struct value value; /* first: no arithmetic on what may be null */
  __u64 walk_mount;
  __u64 walk_dentry;
  __u32 walk_leaf;
  __u32 reserved;
  struct path_key key;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratch_pool SEC(".maps");

static __always_inline void count(__u32 stat) {}

static __always_inline struct value* value_of(__u32 index, __u32 slot) {
  opaque(slot); /* there is one value only, but the argument has to be passed */
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  return scratch ? &scratch->value : 0;
}

#include "bpf/path.h"

/* The path of the program that `bprm` runs as a key; 0 if it has none or is longer than a key. */
static __always_inline struct path_key* program_key(struct linux_binprm* bprm) {
  __u32 index = 0;
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  resolve_file(index, 0, BPF_CORE_READ(bprm, file));
  __u64 len = scratch->value.len, start = scratch->value.start;
  opaque(len);
  opaque(start);
  if (scratch->value.unreadable || len > PATH_KEY_BYTES || start > TEXT_END) return 0;
  __builtin_memset(&scratch->key, 0, sizeof(scratch->key));
  if (bpf_probe_read_kernel(&scratch->key, len, &scratch->value.bytes[start])) return 0;
  return &scratch->key;
}

#define EPERM 1
#define SIGKILL 9

/* The programs of a baseline, one to be loaded: `judge(bprm)` is 0 or -EPERM. */
#define BASELINE_PROGRAMS                                                                   \
  char LICENSE[] SEC("license") = "Dual BSD/GPL";                                           \
                                                                                            \
  SEC("lsm/bprm_creds_for_exec") int BPF_PROG(on_lsm, struct linux_binprm* bprm, int ret) { \
    return ret || judge(bprm) ? -EPERM : 0;                                                 \
  }                                                                                         \
                                                                                            \
  SEC("tp_btf/sched_prepare_exec") int BPF_PROG(on_prepare_exec, struct task_struct* task,  \
                                                struct linux_binprm* bprm) {                \
    return judge(bprm) ? bpf_send_signal(SIGKILL), 0 : 0;                                   \
  }                                                                                         \
                                                                                            \
  SEC("tp_btf/sched_process_exec") int BPF_PROG(on_process_exec, struct task_struct* task,  \
                                                int pid, struct linux_binprm* bprm) {       \
    return judge(bprm) ? bpf_send_signal(SIGKILL), 0 : 0;                                   \
  }

#endif /* GATEHOUSE_BENCH_BASELINE_STATE_H_ */
