/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept of processes once a policy asks for their past: what each began with, and the
 * programs that it descends from. Written when a program begins, handed on by fork.
 */
#ifndef GATEHOUSE_BPF_LINEAGE_H_
#define GATEHOUSE_BPF_LINEAGE_H_

#include "bpf/digest.h"
#include "bpf/path.h"
#include "bpf/process.h"

static __always_inline struct gh_lineage* lineage_of(struct task_struct* task) {
  __u32 pid = BPF_CORE_READ(task, tgid);
  struct gh_lineage* lineage = bpf_map_lookup_elem(&lineages, &pid);
  return lineage && lineage->start_ticks == start_ticks_of(task) ? lineage : 0;
}

static __always_inline struct descent* descent_of(struct scratch* scratch, __u32 number) {
  number -= GH_SUBJECT_DESCENT;
  opaque(number);
  return &scratch->descents[number & (DESCENTS - 1)];
}

/* Reads the ids of the programs that the current process, or its parent, descends from. */
__noinline int read_descent(__u32 index, __u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  if (number == GH_SUBJECT_PARENT_DESCENT) task = BPF_CORE_READ(task, group_leader, real_parent);
  struct descent* descent = descent_of(scratch, number);
  struct gh_lineage* lineage = lineage_of(task);
  __u32 n = 0;
  if (!lineage) count(GH_STAT_LINEAGE_UNKNOWN);
  for (; n < GH_PROGRAMS_MAX; n++) {
    if (!lineage || n >= lineage->n_programs) break;
    descent->ids[n] = string_id(scratch->root, lineage->programs[n].lo, lineage->programs[n].hi);
  }
  descent->n = n;
  return 0;
}

/* Whether an interpreter runs the file that is being executed: it has been given another one since,
 * or it says so in its first bytes (fs/binfmt_script.c), which are read by and by. */
static __always_inline bool is_interpreted(struct linux_binprm* bprm) {
  char begins[2] = {};
  bpf_core_read(begins, sizeof(begins), &bprm->buf);
  return BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename) ||
         (begins[0] == '#' && begins[1] == '!');
}

/* Reads the id of the script that the current process interprets, or is executing. */
__noinline int read_script(__u32 index, __u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  struct descent* descent = descent_of(scratch, number);
  struct gh_lineage* lineage = lineage_of((struct task_struct*)bpf_get_current_task());
  descent->n = 0;
  if (!lineage) {
    count(GH_STAT_LINEAGE_UNKNOWN);
    return 0;
  }
  struct gh_digest* script = &lineage->script;
  if (number == GH_SUBJECT_SCRIPT_EXECUTED) {
    if (!is_interpreted((struct linux_binprm*)scratch->arguments[0])) return 0;
    script = &lineage->executed;
  }
  if (!script->lo && !script->hi) return 0;
  descent->ids[0] = string_id(scratch->root, script->lo, script->hi);
  descent->n = 1;
  return 0;
}

static __always_inline __u64 changed_namespaces(struct task_struct* task,
                                                struct gh_lineage* lineage) {
  __u64 changes = 0;
  for (__u32 kind = 0; kind < GH_NAMESPACE_COUNT; kind++) {
    __u32 before = lineage->namespaces[kind], now = namespace_of(task, kind);
    if (before && before != now) changes |= 1 << kind;
  }
  return changes;
}

/* Reads how the current process differs from what it began with. */
__noinline int read_changes(__u32 index, __u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct subject* subject = &scratch->subjects[number & (SUBJECTS - 1)];
  struct gh_lineage* lineage = lineage_of(task);
  if (!lineage) {
    subject->unreadable = GH_UNREADABLE_FAULT;
    count(GH_STAT_LINEAGE_UNKNOWN);
  } else if (number == GH_SUBJECT_NAMESPACE_CHANGES) {
    subject->number = changed_namespaces(task, lineage);
  } else {
    __u32 set = number - GH_SUBJECT_CAPABILITY_CHANGES_0;
    opaque(set);
    if (set >= GH_CAPABILITIES_COUNT) return 0;
    subject->number = lineage->capabilities[set] ^ capabilities_of(task, set);
  }
  return 0;
}

/* Keeps `lineage` as that of the process of `task`. */
static __always_inline void keep_lineage(struct task_struct* task, struct gh_lineage* lineage) {
  __u32 pid = BPF_CORE_READ(task, tgid);
  if (bpf_map_update_elem(&lineages, &pid, lineage, BPF_ANY)) count(GH_STAT_LINEAGES_FULL);
}

/* Keeps the digest of values[0], the path of the file that the current process executes. */
__noinline int begin_execution(__u32 index) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* path = value_of(index, 0);
  struct gh_lineage* lineage = lineage_of((struct task_struct*)bpf_get_current_task());
  if (!scratch || !path) return 0;
  if (!lineage) {
    count(GH_STAT_LINEAGE_UNKNOWN);
    return 0;
  }
  struct gh_digest none = {};
  lineage->executed = path->unreadable ? none : scratch->digest;
  return 0;
}

/* Keeps what the current process begins its new program with; the path of that is values[0], and
 * it may interpret what was executed. */
__noinline int begin_program(__u32 index, bool interprets) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* path = value_of(index, 0);
  if (!scratch || !path) return 0;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct gh_lineage* lineage = (struct gh_lineage*)scratch->event;
  struct gh_lineage* before = lineage_of(task);
  __builtin_memset(lineage, 0, sizeof(*lineage));
  if (before) bpf_probe_read_kernel(lineage, sizeof(*lineage), before);
  lineage->start_ticks = start_ticks_of(task);
  for (__u32 set = 0; set < GH_CAPABILITIES_COUNT; set++)
    lineage->capabilities[set] = capabilities_of(task, set);
  for (__u32 kind = 0; kind < GH_NAMESPACE_COUNT; kind++)
    lineage->namespaces[kind] = namespace_of(task, kind);

  __u64 n = lineage->n_programs;
  bool is_new = !path->unreadable;
  for (__u32 i = 0; i < GH_PROGRAMS_MAX; i++) {
    if (i >= n) break;
    if (lineage->programs[i].lo == scratch->digest.lo &&
        lineage->programs[i].hi == scratch->digest.hi)
      is_new = false;
  }
  opaque(n);
  if (is_new && n < GH_PROGRAMS_MAX) {
    lineage->programs[n] = scratch->digest;
    lineage->n_programs = n + 1;
  }
  struct gh_digest none = {};
  lineage->script = interprets ? lineage->executed : none;
  keep_lineage(task, lineage);
  return 0;
}

#endif /* GATEHOUSE_BPF_LINEAGE_H_ */
