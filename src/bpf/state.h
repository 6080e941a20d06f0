/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All maps, the configuration, the counters, and how a program gets at the image and at scratch
 * memory. The number of maps is fixed: it depends neither on policies nor on workloads nor on
 * hooks.
 */
#ifndef GATEHOUSE_BPF_STATE_H_
#define GATEHOUSE_BPF_STATE_H_

#include "bpf/kernel_types.h"

/* ---- configuration, set before load ---------------------------------------------------------- */

const volatile __u64 sip_key[2];      /* random for each load */
const volatile __u32 scratch_slots;   /* entries of the map scratch */
const volatile __u32 base_events;     /* 0 off, 1 processes of workloads, 2 all */
const volatile __u8 deny_with_signal; /* override is carried out as SIGKILL */
const volatile struct gh_protected protected_tasks[GH_PROTECTED_MAX];
#define NAMESPACES 16 /* at least GH_NAMESPACE_COUNT, so that a mask bounds an index */
const volatile __u32 host_namespaces[NAMESPACES]; /* inode numbers, by gh_namespace */

/* Hooks of system calls by their number, before the call and at its return, of the 64-bit table and
 * then of the other one; 0: none. For backend signal, which has one place for all of them. */
struct {
  gh_u16 hooks[GH_SYSTEM_CALLS_MAX];
} system_calls[4];

/* ---- maps ------------------------------------------------------------------------------------ */

/*
 * The arena is the one inner map of `image`, a plain array of pages that the agent fills through
 * mmap. It grows by being replaced with a larger copy: addresses stay. Entry 1 is written by the
 * agent for the grace period that such a write implies (see kernel/arena.h).
 */
struct arena_map {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct gh_page));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 2);
  __type(key, __u32);
  __array(values, struct arena_map);
} image SEC(".maps");

/* cgroup id -> workload, for the cgroups of workloads and all below them. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __type(key, __u64);
  __type(value, struct gh_cgroup);
} cgroups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, GH_STAT_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} stats SEC(".maps");

/* When what events of rules with an interval say was last posted, by a digest of it. As many as are
 * told in the longest interval at once; beyond that the oldest is forgotten, and posted again. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct gh_digest);
  __type(value, __u64);
} last_posted SEC(".maps");

/* By address of a struct sock: the process that the rule which tracks it saw. A socket that nobody
 * untracks stays until it is the oldest of too many. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 12288);
  __type(key, __u64);
  __type(value, struct gh_process);
} socket_owners SEC(".maps");

/* Processes of container runtimes that are on their way into a container, by thread group id: when
 * they began (start_ticks), should the id be given again; and how many there are at most. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u64);
} entering SEC(".maps");
__u32 n_entering;

/* What processes began with and descend from, by thread group id. Empty unless a policy asks. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, GH_LINEAGES_MAX);
  __type(key, __u32);
  __type(value, struct gh_lineage);
} lineages SEC(".maps");

/* What functions of programs were called with that policies look at when they return; of those that
 * never do, the oldest are forgotten. */
struct call {
  __u64 thread; /* both ids of it */
  __u64 stack;  /* where the address stands that it returns to */
  __u64 hook;
};
#define REGISTERS_KEPT 6
struct kept {
  __u64 arguments[REGISTERS_KEPT];
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct call);
  __type(value, struct kept);
} calls SEC(".maps");

/* What rules of policies asked enforcers to do to threads, see bpf/enforcer.h. Nearly always it is
 * carried out in the same system call; of those that never are, the oldest are forgotten. */
struct notified {
  __u64 thread; /* both ids of it */
  __u32 policy; /* gh_rule.policy */
  __u32 reserved;
};
struct notification {
  __u64 start_ns; /* of the thread, should its id be given again */
  __s16 error;    /* a negative errno, or 0 */
  __u16 signal;   /* or 0 */
  __u32 reserved;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct notified);
  __type(value, struct notification);
} notifications SEC(".maps");

/* By thread: what its operation waits for, until the hash of the file is known, see bpf/follow.h.
 */
struct awaiting {
  __u64 since_ns; /* see gh_event_end */
  __s32 error;    /* a negative errno, or 0 */
  __u32 reserved;
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, __u64);
  __type(value, struct awaiting);
} awaited SEC(".maps");

/* A text of the operation, and what of it is interned. */
struct value {
  __u32 unreadable; /* enum gh_unreadable */
  __u32 start;      /* the text is bytes[start] to bytes[TEXT_END - 1] */
  __u32 len;
  __u32 id; /* of the whole text, 0: no policy knows it */
  __u32 n_heads;
  __u32 n_tails;
  __u32 heads[GH_MATCHES_MAX];
  __u32 tails[GH_MATCHES_MAX];
  /* Text grows from TEXT_END to the left. Around it: room for loads of 8 bytes that overlap an end,
   * and for what the verifier must assume of the length of a component. */
  __u8 bytes[8 + GH_PATH_MAX + GH_NAME_MAX + 1];
};

/* What led to the hook. A power of two of addresses, so that a mask bounds their size. */
#define STACK_FRAMES 128
GH_STATIC_ASSERT(GH_FRAMES_MAX < STACK_FRAMES, "a mask bounds the size");
struct stacks {
  struct gh_event_stacks head;
  __u64 kernel[STACK_FRAMES];
  __u64 user[STACK_FRAMES];
};

/* Of an event, all but its texts. */
#define EVENT_HEADERS 6912
GH_STATIC_ASSERT(EVENT_HEADERS >= sizeof(struct gh_event_policy) +
                                      GH_SUBJECT_TOLD * (sizeof(struct gh_event_value) +
                                                         sizeof(struct gh_socket)) +
                                      sizeof(struct stacks),
                 "EVENT_HEADERS");
GH_STATIC_ASSERT(EVENT_HEADERS >= sizeof(struct gh_event_exec), "EVENT_HEADERS");

#define TEXT_BEGIN 8u
#define TEXT_END (8u + GH_PATH_MAX)

/* What a subject (enum gh_subject) of the operation is: a number, or one of the texts. */
struct subject {
  __u64 number;
  __u32 slot; /* of scratch.values */
  __u16 file_mode;
  __u16 unreadable; /* of a number or a socket: enum gh_unreadable */
};

/* At least GH_SUBJECT_COUNT, so that a mask bounds an index. */
#define SUBJECTS 64
/* Arguments, what is returned, and what paths lead to. */
#define WORDS_TAKEN 32

/* The ids of a process and of its ancestors, the nearest first. */
struct ancestors {
  __u32 n;
  __u32 pids[GH_ANCESTORS_MAX];
};

/* The ids of the programs that a process descends from; 0: one that no policy knows. */
#define DESCENTS 4
struct descent {
  __u32 n;
  __u32 ids[GH_PROGRAMS_MAX];
};

struct scratch {
  __u32 claims; /* 1: taken by whoever saw its own addition make it 1 */
  __u32 root;   /* the image that this operation is judged by */
  __u32 inputs; /* of the gate: what has been read */
  __u32 n_inputs;
  __u32 n_texts; /* slots in use */
  __u64 walk_mount;
  __u64 walk_dentry;
  __u32 walk_leaf; /* the walk has not left the leaf yet */
  __u64 sip[4];
  __u32 sip_words; /* words absorbed */
  __u32 lost;      /* bit per argument that could not be taken; 0 between operations */
  __u32 sets;      /* bit per argument that is to be set; 0 between operations */
  __u32 asked;     /* GH_RULE_STACKS that rules which decided ask for; 0 between operations */
  __u32 follows;   /* GH_POLICY_PARTS, GH_POLICY_HASH of the operation's events */
  __u64 registers; /* address of a program's context, on a function of a program */
  __u64 since_ns;  /* not after the first of these */
  struct gh_digest digest; /* the last that was finished */
  __u64 tracked;           /* a struct sock among the inputs that has an owner, or 0 */
  __u32 set_to[GH_ARGUMENTS_MAX];
  __u64 arguments[WORDS_TAKEN]; /* as the hook's function was given them, and its return value */
  struct subject subjects[SUBJECTS];
  struct gh_socket sockets[WORDS_TAKEN]; /* by subject; or a struct gh_cred or gh_object */
  struct ancestors ancestors[2];         /* their ids, and those in their namespaces */
  struct descent descents[DESCENTS];     /* by subject, from GH_SUBJECT_DESCENT on */
  struct stacks stacks;
  struct value values[GH_TEXTS_MAX];
  __u8 event[EVENT_HEADERS + GH_TEXTS_MAX * GH_PATH_MAX];
};

GH_STATIC_ASSERT(sizeof(struct gh_cred) <= sizeof(struct gh_socket) &&
                     sizeof(struct gh_object) <= sizeof(struct gh_socket),
                 "one place for all");
GH_STATIC_ASSERT(GH_SUBJECT_COUNT <= SUBJECTS && GH_SUBJECT_TOLD <= WORDS_TAKEN, "subjects");
GH_STATIC_ASSERT(GH_SUBJECT_COUNT - GH_SUBJECT_DESCENT == DESCENTS, "descents");
GH_STATIC_ASSERT((GH_TEXTS_MAX & (GH_TEXTS_MAX - 1)) == 0, "a mask bounds an index");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratch_pool SEC(".maps");

/* ---- access ---------------------------------------------------------------------------------- */

/*
 * Loops. The verifier walks through every iteration, so the body of a long loop is one call of a
 * global function, which is proven once by itself (since 5.6, kernel commit 51c39bb1d5d1), and a
 * loop of thousands is two of some dozens, one in the other.
 */
#define LOOP_BLOCK 64

/* An atomic addition whose result is not used: the only atomic operation that kernel 5.10 knows
 * (fetching ones came with 5.12, kernel commit 5ffa25502b5a). */
#define atomic_add(target, value) ((void)__sync_fetch_and_add((target), (value)))

static __always_inline void count(__u32 stat) {
  __u64* counter = bpf_map_lookup_elem(&stats, &stat);
  if (counter) atomic_add(counter, 1);
}

static __always_inline struct gh_page* page_of(__u32 address) {
  __u32 current = 0;
  void* arena = bpf_map_lookup_elem(&image, &current);
  if (!arena) return 0;
  __u32 page = address / GH_PAGE_WORDS;
  return bpf_map_lookup_elem(arena, &page);
}

/* A record of `type` at `address`; 0 if there is none. Records are aligned to their size. */
#define record_at(type, address)                                                                  \
  ({                                                                                              \
    __u32 record_address = (address);                                                             \
    struct gh_page* record_page = record_address ? page_of(record_address) : 0;                   \
    record_page                                                                                   \
        ? (type*)&record_page                                                                     \
              ->words[record_address & (GH_PAGE_WORDS - 1) & ~(sizeof(type) / GH_WORD_BYTES - 1)] \
        : (type*)0;                                                                               \
  })

static __always_inline __u32 word_at(__u32 address) {
  __u32* word = record_at(__u32, address);
  return word ? *word : 0;
}

/* Address of the current root: word 0 of the arena, which the agent stores to publish. */
static __always_inline __u32 image_root(void) {
  struct gh_page* first = page_of(0);
  return first ? *(volatile __u32*)&first->words[0] : 0;
}

/* ---- scratch --------------------------------------------------------------------------------- */

/*
 * A pool, not a slot per CPU: a task can be preempted inside a program (rcu_read_lock does not
 * forbid it on preemptible kernels) and another task, or a nested hook, may enter a program on the
 * same CPU meanwhile, in no stack order. A slot is taken by whoever adds 1 to `claims` and then
 * reads 1; anyone who reads more takes the addition back and goes on to the next slot. Two can not
 * both read 1, since the first one's addition stands until it releases. Plain additions suffice, so
 * this works on 5.10.
 *
 * Returns the slot's index, or NO_SCRATCH: then every value of the operation counts as unreadable.
 */
#define NO_SCRATCH 0xffffffffu
#define SCRATCH_PROBES 64

static __always_inline __u32 scratch_claim(void) {
  __u32 first = bpf_get_smp_processor_id();
  for (__u32 i = 0; i < SCRATCH_PROBES; i++) {
    __u32 index = (first + i) % scratch_slots;
    struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
    if (!scratch) break;
    atomic_add(&scratch->claims, 1);
    if (*(volatile __u32*)&scratch->claims == 1) return index;
    atomic_add(&scratch->claims, -1);
  }
  count(GH_STAT_SCRATCH_EXHAUSTED);
  return NO_SCRATCH;
}

static __always_inline void scratch_release(__u32 index) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch) atomic_add(&scratch->claims, -1);
}

static __always_inline struct value* value_of(__u32 index, __u32 slot) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  opaque(slot); /* no arithmetic on what may be 0 */
  return &scratch->values[slot & (GH_TEXTS_MAX - 1)];
}

#endif /* GATEHOUSE_BPF_STATE_H_ */
