/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The path of a file, as the root of the process's mount namespace sees it.
 *
 * Walked from the leaf to the root over dentries and mounts, because bpf_d_path is allowed on none
 * of our hooks on 5.10 and on no tracepoint at all. Unlike d_path it does not stop at the task's
 * root directory: chroot renames no program. A deleted file ends in " (deleted)"; a file without
 * directory (memfd) is "/NAME (deleted)", as in /proc/PID/exe. A file that is not below the root of
 * the process's mount namespace (a detached mount, a descriptor from elsewhere) has no path that
 * means anything there: unreadable.
 *
 * Concurrent renames: each (name, parent) pair that is read was true at some moment of the walk;
 * the whole may mix two states. The kernel's own d_path retries under rename_lock, which BPF cannot
 * take.
 */
#ifndef GATEHOUSE_BPF_PATH_H_
#define GATEHOUSE_BPF_PATH_H_

#include "bpf/state.h"

/* Crossing a mount is a step as well as a component; components have at least two bytes. */
#define WALK_STEPS_MAX (GH_PATH_MAX / 2 + 256)

enum walk_result { WALK_ON = 0, WALK_DONE, WALK_FAILED };

static __always_inline int walk_fails(struct value* value, __u32 unreadable) {
  value->unreadable = unreadable;
  return WALK_FAILED;
}

/* Puts `len` bytes of kernel memory and, with `slash`, a '/' before them in front of the text. */
static __always_inline int prepend(struct value* value, const void* bytes, __u32 len, bool slash) {
  __u64 room = value->start;
  len &= GH_NAME_MAX;
  if (room < TEXT_BEGIN + 1 + len + slash) return walk_fails(value, GH_UNREADABLE_TOO_LONG);
  __u64 at = room - len;
  opaque(at);
  if (at >= TEXT_END || at < TEXT_BEGIN + 1) return walk_fails(value, GH_UNREADABLE_TOO_LONG);
  if (bpf_probe_read_kernel(&value->bytes[at], len, bytes))
    return walk_fails(value, GH_UNREADABLE_FAULT);
  if (slash) value->bytes[--at] = '/';
  value->start = at;
  return WALK_ON;
}

static __always_inline int prepend_component(struct value* value, struct dentry* dentry) {
  __u32 len = BPF_CORE_READ(dentry, d_name.len);
  const unsigned char* name = BPF_CORE_READ(dentry, d_name.name);
  return prepend(value, name, len, true);
}

/* One component or one mount further up. */
__noinline int walk_step(__u32 index, __u32 subject) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, subject);
  if (!scratch || !value) return WALK_FAILED;

  struct mount* mount = (struct mount*)scratch->walk_mount;
  struct dentry* dentry = (struct dentry*)scratch->walk_dentry;
  if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
    struct mount* parent = BPF_CORE_READ(mount, mnt_parent);
    if (parent != mount) {
      scratch->walk_dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
      scratch->walk_mount = (__u64)parent;
      return WALK_ON;
    }
    struct task_struct* task = (struct task_struct*)bpf_get_current_task();
    if (BPF_CORE_READ(mount, mnt_ns) != BPF_CORE_READ(task, nsproxy, mnt_ns))
      return walk_fails(value, GH_UNREADABLE_UNREACHABLE);
    return WALK_DONE;
  }

  struct dentry* parent = BPF_CORE_READ(dentry, d_parent);
  if (!parent) return walk_fails(value, GH_UNREADABLE_FAULT);
  if (parent == dentry) /* a root, but not of its mount: cut off from the tree */
    return walk_fails(value, GH_UNREADABLE_UNREACHABLE);
  scratch->walk_dentry = (__u64)parent;
  return prepend_component(value, dentry);
}

__noinline int walk_block(__u32 index, __u32 subject) {
  int result = WALK_ON;
  for (__u32 i = 0; i < LOOP_BLOCK && result == WALK_ON; i++) result = walk_step(index, subject);
  return result;
}

static __always_inline void count_unreadable(__u32 unreadable) {
  if (unreadable == GH_UNREADABLE_TOO_LONG)
    count(GH_STAT_PATH_TOO_LONG);
  else if (unreadable == GH_UNREADABLE_UNREACHABLE)
    count(GH_STAT_PATH_UNREACHABLE);
  else if (unreadable == GH_UNREADABLE_NO_BINARY)
    count(GH_STAT_NO_BINARY);
  else if (unreadable)
    count(GH_STAT_PATH_FAULT);
}

static const char kDeleted[] = " (deleted)";

/* Starts the text of a path with what only the leaf tells: whether it is deleted, or has no place.
 */
static __always_inline int walk_leaf(struct value* value, struct dentry* dentry,
                                     struct dentry* mount_root) {
  bool is_root = BPF_CORE_READ(dentry, d_parent) == dentry;
  bool hashed = BPF_CORE_READ(dentry, d_hash.pprev) != 0;
  value->start = TEXT_END;
  if (is_root && dentry != mount_root) { /* memfd and its like: see simple_dname() in fs/d_path.c */
    int result = prepend(value, kDeleted, sizeof(kDeleted) - 1, false);
    if (result == WALK_ON) result = prepend_component(value, dentry);
    return result == WALK_ON ? WALK_DONE : result;
  }
  if (!is_root && !hashed) return prepend(value, kDeleted, sizeof(kDeleted) - 1, false);
  return WALK_ON;
}

/* Resolves struct path (at `vfsmount`, `dentry`) into values[subject]: its text, or why it has
 * none. */
__noinline int resolve_path(__u32 index, __u32 subject, __u64 vfsmount, __u64 dentry) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, subject);
  if (!scratch || !value) return WALK_FAILED;
  value->unreadable = GH_READABLE;
  value->start = TEXT_END;
  value->len = 0;

  struct vfsmount* mnt = (struct vfsmount*)vfsmount;
  scratch->walk_mount = vfsmount - bpf_core_field_offset(struct mount, mnt);
  scratch->walk_dentry = dentry;
  int result = mnt && dentry
                   ? walk_leaf(value, (struct dentry*)dentry, BPF_CORE_READ(mnt, mnt_root))
                   : walk_fails(value, GH_UNREADABLE_FAULT);
  for (__u32 i = 0; i < WALK_STEPS_MAX / LOOP_BLOCK && result == WALK_ON; i++)
    result = walk_block(index, subject);
  if (result == WALK_ON) result = walk_fails(value, GH_UNREADABLE_TOO_LONG);
  if (result == WALK_DONE && value->start == TEXT_END) { /* the root directory itself */
    value->start = TEXT_END - 1;
    value->bytes[TEXT_END - 1] = '/';
  }
  if (result == WALK_DONE) value->len = TEXT_END - value->start;
  count_unreadable(value->unreadable);
  return result;
}

static __always_inline int resolve_file(__u32 index, __u32 subject, struct file* file) {
  return resolve_path(index, subject, (__u64)BPF_CORE_READ(file, f_path.mnt),
                      (__u64)BPF_CORE_READ(file, f_path.dentry));
}

#endif /* GATEHOUSE_BPF_PATH_H_ */
