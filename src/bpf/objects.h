/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs and maps of BPF, and events of perf_event_open(2): what they are goes into one struct
 * gh_object.
 */
#ifndef GATEHOUSE_BPF_OBJECTS_H_
#define GATEHOUSE_BPF_OBJECTS_H_

#include "bpf/state.h"

#define OBJECT_NAME_BYTES 16 /* BPF_OBJ_NAME_LEN */

static __always_inline long read_bpf_attr(struct gh_object* to, const union bpf_attr* attr) {
  bpf_probe_read_kernel(to->name, OBJECT_NAME_BYTES, attr->prog_name);
  bpf_probe_read_kernel(&to->instructions, sizeof(to->instructions), &attr->insn_cnt);
  return bpf_probe_read_kernel(&to->type, sizeof(to->type), &attr->prog_type);
}

static __always_inline long read_bpf_prog(struct gh_object* to, const struct bpf_prog* prog) {
  const struct bpf_prog_aux* aux = BPF_CORE_READ(prog, aux);
  bpf_core_read(to->name, OBJECT_NAME_BYTES, &aux->name);
  to->instructions = BPF_CORE_READ(prog, len);
  return bpf_core_read(&to->type, sizeof(to->type), &prog->type);
}

static __always_inline long read_bpf_map(struct gh_object* to, const struct bpf_map* map) {
  bpf_core_read(to->name, OBJECT_NAME_BYTES, &map->name);
  to->key_bytes = BPF_CORE_READ(map, key_size);
  to->value_bytes = BPF_CORE_READ(map, value_size);
  to->entries = BPF_CORE_READ(map, max_entries);
  return bpf_core_read(&to->type, sizeof(to->type), &map->map_type);
}

/* The name of the function is where the process has it: for other events it is a number. */
static __always_inline long read_perf_event(struct gh_object* to, const struct perf_event* event) {
  to->config = BPF_CORE_READ(event, attr.config);
  to->probe_offset = BPF_CORE_READ(event, attr.probe_offset);
  const char* function = (const char*)BPF_CORE_READ(event, attr.kprobe_func);
  bpf_probe_read_user_str(to->name, sizeof(to->name), function);
  return bpf_core_read(&to->type, sizeof(to->type), &event->attr.type);
}

/* Reads the object behind a pointer. */
__noinline int read_object(__u32 index, __u32 subject, __u32 read, __u64 raw) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  subject &= WORDS_TAKEN - 1;
  opaque(subject);
  struct gh_object* to = (struct gh_object*)&scratch->sockets[subject];
  __builtin_memset(to, 0, sizeof(*to));
  long failed = -1;
  if (read == GH_READ_BPF_ATTR) failed = read_bpf_attr(to, (const union bpf_attr*)raw);
  if (read == GH_READ_BPF_PROG) failed = read_bpf_prog(to, (const struct bpf_prog*)raw);
  if (read == GH_READ_BPF_MAP) failed = read_bpf_map(to, (const struct bpf_map*)raw);
  if (read == GH_READ_PERF_EVENT) failed = read_perf_event(to, (const struct perf_event*)raw);
  scratch->subjects[subject].unreadable = failed ? GH_UNREADABLE_FAULT : GH_READABLE;
  if (failed) count(GH_STAT_NUMBER_FAULT);
  return 0;
}

#endif /* GATEHOUSE_BPF_OBJECTS_H_ */
