/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that the programs look into, with the members they use and no others: CO-RE
 * finds the offsets in the running kernel's BTF at load. Every difference between kernels is
 * bridged here, one accessor for each, naming the change.
 */
#ifndef GATEHOUSE_BPF_KERNEL_TYPES_H_
#define GATEHOUSE_BPF_KERNEL_TYPES_H_

#include <linux/types.h>

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi/gatehouse.h"

/* Keeps the compiler from testing one copy of a bound and using another. */
#define opaque(var) asm volatile("" : "+r"(var))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_bl_node {
  struct hlist_bl_node** pprev;
};

struct qstr {
  __u32 len;
  const unsigned char* name;
};

struct super_block;

struct inode {
  unsigned short i_mode;
  struct super_block* i_sb;
  unsigned long i_ino;
};

typedef struct seqcount {
  unsigned int sequence;
} seqcount_t;

typedef struct seqcount_spinlock {
  seqcount_t seqcount;
} seqcount_spinlock_t;

struct list_head {
  struct list_head *next, *prev;
};

struct super_block {
  struct list_head s_mounts;
  __u32 s_dev;
};

struct dentry {
  seqcount_spinlock_t d_seq;
  struct hlist_bl_node d_hash;
  struct dentry* d_parent;
  struct qstr d_name;
  struct inode* d_inode;
  struct super_block* d_sb;
};

struct vfsmount {
  struct dentry* mnt_root;
  struct super_block* mnt_sb;
};

struct ns_common {
  unsigned int inum;
};

struct mnt_namespace {
  struct ns_common ns;
};

struct uts_namespace {
  struct ns_common ns;
};

struct ipc_namespace {
  struct ns_common ns;
};

struct pid_namespace {
  struct ns_common ns;
};

struct net {
  struct ns_common ns;
};

struct time_namespace {
  struct ns_common ns;
};

struct cgroup_namespace {
  struct ns_common ns;
};

typedef struct {
  unsigned int val;
} kuid_t;

typedef struct {
  unsigned int val;
} kgid_t;

struct user_namespace {
  int level;
  kuid_t owner;
  kgid_t group;
  struct ns_common ns;
};

struct mount {
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
  struct mnt_namespace* mnt_ns;
  struct list_head mnt_instance;
};

struct super_block___6_18 {
  struct mount* s_mounts;
};

struct mount___6_18 {
  struct mount* mnt_next_for_sb;
};

struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};

struct file {
  struct path f_path;
  struct inode* f_inode;
};

/* kernel/events/core.c; with build ids since 5.12 (commit 88a16a130933). */
struct perf_mmap_event {
  const char* file_name;
  __u8 build_id[20];
  __u32 build_id_size;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct kiocb {
  struct file* ki_filp;
};

struct module {
  char name[56];
};

struct load_info {
  const char* name;
};

struct net_device {
  char name[16];
};

struct filename {
  const char* name;
};

struct linux_binprm {
  struct file* file;
  const char *filename, *interp;
  char buf[256]; /* what the file begins with */
};

struct in6_addr {
  __u8 bytes[16];
};

typedef struct {
  __s64 counter;
} atomic64_t;

struct sock_common { /* what is in unions there is found by its name all the same */
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
  atomic64_t skc_cookie;
};

struct sock {
  struct sock_common __sk_common;
  __u16 sk_type;
  __u16 sk_protocol;
  __u32 sk_mark;
  __u32 sk_priority;
};

struct socket {
  struct sock* sk;
};

struct sk_buff {
  unsigned char* head;
  unsigned int len;
  __u32 hash;
  __u32 mark;
  __u32 priority;
  __u16 network_header;
};

struct mm_struct {
  struct file* exe_file;
  unsigned long arg_start;
  unsigned long arg_end;
  unsigned long start_stack;
};

struct pt_regs { /* of x86-64: the arguments of a system call, in this order, and its number */
  unsigned long di, si, dx, r10, r8, r9, orig_ax;
  unsigned long bx, cx, bp; /* of the 32-bit table: bx, cx, dx, si, di, bp */
};

struct thread_info {
  __u32 status;
};

struct fs_struct {
  struct path root;
  struct path pwd;
};

struct nsproxy {
  struct uts_namespace* uts_ns;
  struct ipc_namespace* ipc_ns;
  struct mnt_namespace* mnt_ns;
  struct pid_namespace* pid_ns_for_children;
  struct net* net_ns;
  struct time_namespace* time_ns;
  struct time_namespace* time_ns_for_children;
  struct cgroup_namespace* cgroup_ns;
};

struct upid {
  int nr;
  struct pid_namespace* ns;
};

struct pid {
  unsigned int level;
  struct upid numbers[1]; /* level + 1 of them */
};

typedef struct {
  int counter;
} atomic_t;

struct signal_struct {
  atomic_t live;
  int group_exit_code;
};

typedef struct kernel_cap_struct {
} kernel_cap_t;

struct cred {
  kuid_t uid;
  kgid_t gid;
  kuid_t suid;
  kgid_t sgid;
  kuid_t euid;
  kgid_t egid;
  kuid_t fsuid;
  kgid_t fsgid;
  unsigned int securebits;
  kernel_cap_t cap_inheritable;
  kernel_cap_t cap_permitted;
  kernel_cap_t cap_effective;
  struct user_namespace* user_ns;
};

struct css_set;

struct task_struct {
  struct thread_info thread_info;
  void* stack;
  struct css_set* cgroups;
  int pid;
  int tgid;
  __u64 start_boottime;
  __u64 self_exec_id;
  struct task_struct* group_leader;
  struct task_struct* real_parent;
  struct mm_struct* mm;
  struct fs_struct* fs;
  struct files_struct* files;
  struct nsproxy* nsproxy;
  struct pid* thread_pid;
  struct signal_struct* signal;
  const struct cred* cred;
  kuid_t loginuid;
  int exit_code;
};

struct kernfs_node {
  __u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
  struct cgroup* cgroup;
  struct cgroup_subsys_state* parent;
};

struct cgroup_root {
  int hierarchy_id;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct cgroup {
  struct cgroup_subsys_state self; /* first: a pointer to one is a pointer to the other */
  struct kernfs_node* kn;
  struct cgroup_root* root;
};

struct iovec {
  void* iov_base;
  __u64 iov_len;
};

enum iter_type { ITER_UBUF, ITER_IOVEC, ITER_KVEC };

struct iov_iter {
  __u8 iter_type;
  __u64 iov_offset;
  __u64 count;
  struct iovec* iov;
  void* ubuf;
  unsigned long nr_segs;
};
struct bpf_prog_aux {
  char name[16];
};

struct bpf_prog {
  enum bpf_prog_type type;
  __u32 len;
  struct bpf_prog_aux* aux;
};

struct bpf_map {
  enum bpf_map_type map_type;
  __u32 key_size;
  __u32 value_size;
  __u32 max_entries;
  char name[16];
};

struct perf_event_attr___kernel { /* what is in unions there is found by its name all the same */
  __u32 type;
  __u64 config;
  __u64 config1;
  __u64 kprobe_func;
  __u64 probe_offset;
};

struct perf_event {
  struct perf_event_attr___kernel attr;
};

struct iov_iter___5_10 {
  unsigned int type;
};
struct iov_iter___6_4 {
  struct iovec* __iov;
};

#pragma clang attribute pop

/* CONFIG_AUDIT is an option: without it tasks have no login uid. */
static __always_inline __u32 task_login_uid(struct task_struct* task) {
  if (bpf_core_field_exists(task->loginuid)) return BPF_CORE_READ(task, loginuid.val);
  return (__u32)-1;
}

/* The mounts of a file system, one after the other; 0: there is none. A list with a head until 6.18
 * (kernel commit 09a1b33c080f), then one that ends in 0. Functions of their own: in a loop, the
 * compiler would put in front of it what only one of the two kinds of kernels has. */
__noinline __u64 first_mount(__u64 file_system) {
  struct super_block* fs = (struct super_block*)file_system;
  struct mount* mount = 0;
  if (!bpf_core_field_exists(mount->mnt_instance))
    return (__u64)BPF_CORE_READ((struct super_block___6_18*)fs, s_mounts);
  return (__u64)BPF_CORE_READ(fs, s_mounts.next) -
         bpf_core_field_offset(struct mount, mnt_instance);
}

/* The one after `current`; before the `first` is the head of the list. */
__noinline __u64 next_mount(__u64 first, __u64 current) {
  struct mount* mount = (struct mount*)current;
  if (!bpf_core_field_exists(mount->mnt_instance))
    return (__u64)BPF_CORE_READ((struct mount___6_18*)mount, mnt_next_for_sb);
  struct list_head* next = BPF_CORE_READ(mount, mnt_instance.next);
  if (next == BPF_CORE_READ((struct mount*)first, mnt_instance.prev)) return 0;
  return (__u64)next - bpf_core_field_offset(struct mount, mnt_instance);
}

/* Names of what a kernel without modules (CONFIG_MODULES) does not have. */
static __always_inline const char* module_name(struct module* module) {
  if (!bpf_core_field_exists(module->name)) return 0;
  const char* name = module->name;
  opaque(name); /* not before it is known to be there */
  return name;
}

static __always_inline const char* load_info_name(struct load_info* info) {
  return bpf_core_field_exists(info->name) ? BPF_CORE_READ(info, name) : 0;
}

/* Two words of 32 bits until 6.3 (kernel commit f122a08b197d), then one of 64: on a machine that is
 * little endian the same bytes. */
static __always_inline long read_capabilities(__u64* bits, const kernel_cap_t* set) {
  return bpf_probe_read_kernel(bits, sizeof(*bits), set);
}

/* What is left of an iterator: one buffer, or several. */
struct iterator {
  bool known;      /* it is of a kind that is read */
  bool of_process; /* whose memory the buffers are in */
  __u64 count;     /* bytes */
  __u64 offset;    /* in the first buffer */
  __u64 buffer;    /* the one buffer; 0: several */
  __u64 buffers;   /* struct iovec[] */
  __u64 n_buffers;
};

/* The kind had a bit for the direction until 5.14 (kernel commit 8cd54c1c8480); there is one for a
 * single buffer from 6.0 on (fcb14cb1bdac); the array got another name in 6.4 (de4f5fed3f23). */
static __always_inline struct iterator iterator_of(struct iov_iter* iter) {
  struct iov_iter___5_10* old = (struct iov_iter___5_10*)iter;
  struct iov_iter___6_4* new = (struct iov_iter___6_4*)iter;
  struct iterator it = {
      .count = BPF_CORE_READ(iter, count),
      .offset = BPF_CORE_READ(iter, iov_offset),
      .n_buffers = BPF_CORE_READ(iter, nr_segs),
  };
  __u32 kind = bpf_core_field_exists(old->type) ? BPF_CORE_READ(old, type) & ~1u
                                                : BPF_CORE_READ(iter, iter_type);
  it.buffers = bpf_core_field_exists(new->__iov) ? (__u64)BPF_CORE_READ(new, __iov)
                                                 : (__u64)BPF_CORE_READ(iter, iov);
  bool of_kernel = kind == bpf_core_enum_value(enum iter_type, ITER_KVEC);
  it.of_process = !of_kernel;
  it.known = of_kernel || kind == bpf_core_enum_value(enum iter_type, ITER_IOVEC);
  if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
      kind == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
    it.known = true;
    it.buffer = (__u64)BPF_CORE_READ(iter, ubuf) + it.offset;
  }
  return it;
}

/* Whether the process is in a system call of the 32-bit table. */
static __always_inline bool in_compat_call(void) {
  enum { COMPAT = 2 }; /* TS_COMPAT, arch/x86/include/asm/thread_info.h */
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  return BPF_CORE_READ(task, thread_info.status) & COMPAT;
}

#endif /* GATEHOUSE_BPF_KERNEL_TYPES_H_ */
