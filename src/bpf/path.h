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
 * Concurrent renames: the name and the parent of a component belong together, which d_seq tells; a
 * component that is renamed meanwhile is read again. Components may be of different moments. (The
 * kernel's own d_path retries as a whole under rename_lock, which BPF cannot take.)
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

/* Odd while the dentry is being renamed, and another one afterwards: as RCU-walk uses it, see
 * Documentation/filesystems/path-lookup.rst. */
static __always_inline __u32 dentry_seq(struct dentry* dentry) {
  return BPF_CORE_READ(dentry, d_seq.seqcount.sequence);
}

static __always_inline int prepend_component(struct value* value, struct dentry* dentry) {
  __u32 len = BPF_CORE_READ(dentry, d_name.len);
  const unsigned char* name = BPF_CORE_READ(dentry, d_name.name);
  return prepend(value, name, len, true);
}

static const char kDeleted[] = " (deleted)";

/* The first step: what only the leaf tells, whether it is deleted or has no place in a tree. */
static __always_inline int walk_leaf(struct scratch* scratch, struct value* value,
                                     struct mount* mount, struct dentry* dentry) {
  __u32 seq = dentry_seq(dentry);
  bool is_root = BPF_CORE_READ(dentry, d_parent) == dentry;
  bool hashed = BPF_CORE_READ(dentry, d_hash.pprev) != 0;
  int result = WALK_ON;
  if (is_root && dentry != BPF_CORE_READ(mount, mnt.mnt_root)) {
    /* memfd and its like: see simple_dname() in fs/d_path.c */
    result = prepend(value, kDeleted, sizeof(kDeleted) - 1, false);
    if (result == WALK_ON) result = prepend_component(value, dentry);
    return result == WALK_ON ? WALK_DONE : result;
  }
  if (!is_root && !hashed && BPF_CORE_READ(dentry, d_inode)) { /* else it is not there yet */
    /* A rename takes a dentry out of its hash for a moment, a deletion for ever. */
    if (seq & 1 || dentry_seq(dentry) != seq) return WALK_ON;
    result = prepend(value, kDeleted, sizeof(kDeleted) - 1, false);
  }
  scratch->walk_leaf = 0;
  return result;
}

/* One component or one mount further up. */
__noinline int walk_step(__u32 index, __u32 slot) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, slot);
  if (!scratch || !value) return WALK_FAILED;

  struct mount* mount = (struct mount*)scratch->walk_mount;
  struct dentry* dentry = (struct dentry*)scratch->walk_dentry;
  if (scratch->walk_leaf) return walk_leaf(scratch, value, mount, dentry);
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

  __u32 start = value->start, seq = dentry_seq(dentry);
  struct dentry* parent = BPF_CORE_READ(dentry, d_parent);
  if (parent == dentry) /* a root, but not of its mount: cut off from the tree */
    return walk_fails(value, GH_UNREADABLE_UNREACHABLE);
  int result = parent ? prepend_component(value, dentry) : walk_fails(value, GH_UNREADABLE_FAULT);
  if (seq & 1 || dentry_seq(dentry) != seq) { /* renamed meanwhile: this step again */
    value->start = start;
    value->unreadable = GH_READABLE;
    return WALK_ON;
  }
  scratch->walk_dentry = (__u64)parent;
  return result;
}

__noinline int walk_block(__u32 index, __u32 slot) {
  int result = WALK_ON;
  for (__u32 i = 0; i < LOOP_BLOCK && result == WALK_ON; i++) result = walk_step(index, slot);
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

/* Walks from struct path (at `vfsmount`, `dentry`) into values[slot]: its text, or why it has
 * none. */
__noinline int walk_path(__u32 index, __u32 slot, __u64 vfsmount, __u64 dentry) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, slot);
  if (!scratch || !value) return WALK_FAILED;
  value->unreadable = GH_READABLE;
  value->start = TEXT_END;
  value->len = 0;

  struct vfsmount* mnt = (struct vfsmount*)vfsmount;
  scratch->walk_mount = vfsmount - bpf_core_field_offset(struct mount, mnt);
  scratch->walk_dentry = dentry;
  scratch->walk_leaf = 1;
  int result = mnt && dentry ? WALK_ON : walk_fails(value, GH_UNREADABLE_FAULT);
  for (__u32 i = 0; i < WALK_STEPS_MAX / LOOP_BLOCK && result == WALK_ON; i++)
    result = walk_block(index, slot);
  if (result == WALK_ON) result = walk_fails(value, GH_UNREADABLE_TOO_LONG);
  if (result == WALK_DONE && value->start == TEXT_END) { /* the root directory itself */
    value->start = TEXT_END - 1;
    value->bytes[TEXT_END - 1] = '/';
  }
  if (result == WALK_DONE) value->len = TEXT_END - value->start;
  return result;
}

/* The same, and counts if there is none. */
__noinline int resolve_path(__u32 index, __u32 slot, __u64 vfsmount, __u64 dentry) {
  int result = walk_path(index, slot, vfsmount, dentry);
  struct value* value = value_of(index, slot);
  if (value) count_unreadable(value->unreadable);
  return result;
}

/* How many mounts of a file system are looked at, those of other mount namespaces included. */
#define MOUNTS_MAX 64

/* Walks from a dentry as it is on one mount, if that is of its file system. On one that begins
 * further down, the root of the file system is not. */
static __always_inline int walk_on(__u32 index, __u32 slot, struct vfsmount* mnt,
                                   struct dentry* dentry) {
  if (!mnt || BPF_CORE_READ(mnt, mnt_sb) != BPF_CORE_READ(dentry, d_sb)) return WALK_FAILED;
  bool is_root = BPF_CORE_READ(dentry, d_parent) == dentry;
  if (is_root && BPF_CORE_READ(mnt, mnt_root) != dentry) return WALK_FAILED;
  return walk_path(index, slot, (__u64)mnt, (__u64)dentry);
}

/* Resolves a dentry into values[slot]. It does not say on which mount it was found, and may be on
 * several. The first that has it is taken: the one of the process's root directory, of its current
 * directory, any of its mount namespace. */
__noinline int resolve_dentry(__u32 index, __u32 slot, __u64 address) {
  struct value* value = value_of(index, slot);
  if (!value) return WALK_FAILED;
  struct dentry* dentry = (struct dentry*)address;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct super_block* fs = BPF_CORE_READ(dentry, d_sb);
  value->len = 0;
  value->start = TEXT_END;
  value->unreadable = fs ? GH_UNREADABLE_UNREACHABLE : GH_UNREADABLE_FAULT;
  int result = walk_on(index, slot, BPF_CORE_READ(task, fs, root.mnt), dentry);
  if (result == WALK_FAILED)
    result = walk_on(index, slot, BPF_CORE_READ(task, fs, pwd.mnt), dentry);
  __u64 first = fs ? first_mount((__u64)fs) : 0, at = first;
  for (int i = 0; i < MOUNTS_MAX && at && result == WALK_FAILED; i++) {
    struct mount* mount = (struct mount*)at;
    if (BPF_CORE_READ(mount, mnt_ns) == BPF_CORE_READ(task, nsproxy, mnt_ns))
      result = walk_on(index, slot, &mount->mnt, dentry);
    at = next_mount(first, at);
  }
  count_unreadable(value->unreadable);
  return result;
}

static __always_inline int resolve_file(__u32 index, __u32 slot, struct file* file) {
  return resolve_path(index, slot, (__u64)BPF_CORE_READ(file, f_path.mnt),
                      (__u64)BPF_CORE_READ(file, f_path.dentry));
}

#endif /* GATEHOUSE_BPF_PATH_H_ */
