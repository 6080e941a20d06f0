/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that the kernel programs and the agent share: layouts, numbers, limits.
 * Fixed-width types, explicit padding, no bitfields; sizes are asserted on both sides.
 *
 * The image. All that a decision needs lives in one array of pages (struct gh_page), the arena,
 * addressed in 4-byte words: an address is a u32, 0 is "none". Word 0 of the arena holds the
 * address of the root; storing it publishes a new image. From the root on everything is immutable,
 * but for the hit counters. Records never straddle a page: each is aligned to its (power of two)
 * size.
 *
 *   root -> chunks[] -> by workload's slot: group -> gates[], one for each hook that it has rules
 * on gate -> inputs[]: what to read of the operation gate -> policies[] -> rules[] -> filters[] ->
 * set of string ids, or of ranges
 *        -> slots[], digests[]: string -> id
 */
#ifndef GATEHOUSE_ABI_GATEHOUSE_H_
#define GATEHOUSE_ABI_GATEHOUSE_H_

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
typedef uint8_t gh_u8;
typedef uint16_t gh_u16;
typedef uint32_t gh_u32;
typedef uint64_t gh_u64;
typedef int16_t gh_s16;
typedef int32_t gh_s32;
#define GH_STATIC_ASSERT static_assert
#else
typedef __u8 gh_u8;
typedef __u16 gh_u16;
typedef __u32 gh_u32;
typedef __u64 gh_u64;
typedef __s16 gh_s16;
typedef __s32 gh_s32;
#define GH_STATIC_ASSERT _Static_assert
#endif

/* ---- limits ---------------------------------------------------------------------------------- */

enum gh_limits {
  GH_PATH_MAX = 4096, /* a path and its terminating NUL, as PATH_MAX; longer is unreadable */
  GH_NAME_MAX = 255,  /* one component, as NAME_MAX */
  GH_ARGS_MAX = 4096, /* bytes of argv kept in an exec event; more is cut and flagged */
  GH_POLICIES_PER_GATE_MAX = 4096,
  GH_HOOKS_PER_GROUP_MAX = 1024, /* hooks on which one workload has rules */
  GH_SYSTEM_CALLS_MAX = 512,     /* numbers of system calls that backend signal knows */
  GH_ARGUMENTS_MAX = 16,         /* arguments, fields of a tracepoint: policies name those before */
  GH_OPERANDS_MAX = 12,          /* arguments of a static probe */
  GH_RESOLVED_MAX = 12,   /* different values that paths of all policies lead to, on one hook */
  GH_PATH_STEPS_MAX = 10, /* fields and elements that one of these paths names */
  GH_STEPS_MAX = 15,      /* pointers that are followed on it, and the value's own offset */
  GH_TEXTS_MAX = 4,       /* texts (paths, strings) that one operation is judged by */
  GH_HOOKS_PER_POLICY_MAX = 1024, /* of them of one policy */
  GH_RULES_PER_POLICY_MAX = 64,   /* selectors of one policy on one hook */
  GH_FILTERS_PER_RULE_MAX = 32,
  GH_MATCHES_MAX = 256,  /* interned heads and automata (or tails) of one value found at once */
  GH_AUTOMATA_MAX = 256, /* different sets of patterns that one value is compared with */
  GH_AUTOMATON_WORDS_MAX = 1 << 20, /* of one set of patterns */
  GH_PATTERN_BYTES_MAX = 1 << 21,   /* of one set of patterns, as they are written */
  GH_SET_PAGES_MAX = 1024,          /* a set holds at most that many pages of ids */
  GH_SLOT_PROBES_MAX = 32,          /* the longest probe sequence of the string table */
  GH_ANCESTORS_MAX = 32,   /* a process and its ancestors, as far as a filter follows forks */
  GH_PROTECTED_MAX = 32,   /* the agent and its ancestors */
  GH_LINEAGES_MAX = 32768, /* processes whose past is kept, if policies ask for it */
  GH_PROGRAMS_MAX = 16,    /* that are kept of what a process descends from: the first */
  GH_PART_BYTES = 16368,   /* of a buffer, in one record: see struct gh_event_part */
  GH_PARTS_MAX = 20,       /* of one buffer */
  GH_HASH_MAX = 64,        /* bytes of the hash of a file: SHA-512 */
  GH_FRAMES_MAX = 127,     /* of a stack that an event tells, the innermost; the kernel's default */
  GH_CGROUP_DEPTH_MAX = 1024, /* levels searched upwards for a cgroup that is not tracked itself */
};

/* ---- the arena ------------------------------------------------------------------------------- */

enum gh_arena_geometry {
  GH_PAGE_BYTES = 4096,
  GH_WORD_BYTES = 4,
  GH_PAGE_WORDS = GH_PAGE_BYTES / GH_WORD_BYTES,
  GH_CHUNK_SLOTS = 128, /* workloads whose groups lie together */
};

struct gh_page {
  gh_u32 words[GH_PAGE_WORDS];
};

/*
 * A hook is a number that the agent gives to a place in the kernel; each has one program, whatever
 * the number of policies. The first two are known to backend signal, which has one place for both.
 */
enum gh_hook {
  GH_HOOK_BPRM_CREDS_FOR_EXEC = 0, /* security_bprm_creds_for_exec: once for each execve */
  GH_HOOK_BPRM_CHECK = 1,          /* security_bprm_check: once for each binary format step */
  GH_HOOK_FIRST_FREE = 2,
  GH_HOOK_MAX = 65535,
};

enum gh_namespace {
  GH_NAMESPACE_UTS = 0,
  GH_NAMESPACE_IPC,
  GH_NAMESPACE_MNT,
  GH_NAMESPACE_PID, /* of the process itself */
  GH_NAMESPACE_PID_FOR_CHILDREN,
  GH_NAMESPACE_NET,
  GH_NAMESPACE_TIME,
  GH_NAMESPACE_TIME_FOR_CHILDREN,
  GH_NAMESPACE_CGROUP,
  GH_NAMESPACE_USER,
  GH_NAMESPACE_COUNT
};

enum gh_capability_set {
  GH_CAPABILITIES_EFFECTIVE = 0,
  GH_CAPABILITIES_INHERITABLE,
  GH_CAPABILITIES_PERMITTED,
  GH_CAPABILITIES_COUNT
};

/* What a filter looks at: an argument of the hook's function, by its index, or who acts. */
enum gh_subject {
  GH_SUBJECT_ARGUMENT_0 = 0,
  GH_SUBJECT_RETURN = GH_ARGUMENTS_MAX, /* what the function returned */
  GH_SUBJECT_BINARY,                    /* the program that acts (current->mm->exe_file) */
  GH_SUBJECT_RESOLVED_0, /* what a path leads to: see gh_chain; each hook has numbers of its own */
  /* Events tell what is before this, and nothing else. */
  GH_SUBJECT_TOLD = (int)GH_SUBJECT_RESOLVED_0 + (int)GH_RESOLVED_MAX,
  GH_SUBJECT_PARENT_BINARY = GH_SUBJECT_TOLD, /* the program of the parent */
  GH_SUBJECT_PID,                             /* thread group id in the initial pid namespace */
  GH_SUBJECT_NAMESPACE_PID,                   /* in the process's own pid namespace */
  GH_SUBJECT_ANCESTORS,           /* the same ids, of the process and of each ancestor */
  GH_SUBJECT_NAMESPACE_ANCESTORS, /* ... in the pid namespace that each is in */
  GH_SUBJECT_NAMESPACE_0,         /* inode numbers, by gh_namespace: see GH_HOST_NAMESPACE */
  GH_SUBJECT_CAPABILITIES_0 =
      (int)GH_SUBJECT_NAMESPACE_0 + (int)GH_NAMESPACE_COUNT, /* bits, by set */
  /* Of struct gh_lineage: */
  GH_SUBJECT_NAMESPACE_CHANGES = /* bits, by gh_namespace: not those it began with */
  (int)GH_SUBJECT_CAPABILITIES_0 + (int)GH_CAPABILITIES_COUNT,
  GH_SUBJECT_CAPABILITY_CHANGES_0, /* bits, by set: what it has and did not begin with, or the
                                      other way round */
  GH_SUBJECT_DESCENT =             /* programs that it runs or descends from */
  (int)GH_SUBJECT_CAPABILITY_CHANGES_0 + (int)GH_CAPABILITIES_COUNT,
  GH_SUBJECT_PARENT_DESCENT,  /* ... of its parent */
  GH_SUBJECT_SCRIPT,          /* the script that it interprets */
  GH_SUBJECT_SCRIPT_EXECUTED, /* the one that is being executed: the first argument's, a binprm */
  GH_SUBJECT_COUNT
};

/* Added to the inode number of a namespace that is the host's: of the agent's process 1. */
#define GH_HOST_NAMESPACE (1ULL << 32)

/* Added to the number of a system call that is one of the 32-bit table, which has its own. */
#define GH_COMPAT_CALL (1ULL << 31)

/* How a subject's value is read: as a number, a struct gh_cred, a struct gh_object, a struct
 * gh_socket or a text, in this order. */
enum gh_read {
  GH_READ_NUMBER = 0,     /* the argument itself */
  GH_READ_SYSTEM_CALL,    /* the same, of a system call: see GH_COMPAT_CALL */
  GH_READ_CAPABILITIES,   /* kernel_cap_t *: a bit for each capability */
  GH_READ_PROCESS,        /* no argument: what the acting process is or has, see gh_subject */
  GH_READ_CRED,           /* struct cred *: a struct gh_cred */
  GH_READ_USER_NAMESPACE, /* struct user_namespace *: of a struct gh_cred, what is about that */
  GH_READ_BPF_ATTR,       /* union bpf_attr * of BPF_PROG_LOAD: a struct gh_object */
  GH_READ_BPF_PROG,       /* struct bpf_prog *: the same */
  GH_READ_BPF_MAP,        /* struct bpf_map *: the same */
  GH_READ_PERF_EVENT,     /* struct perf_event *: the same */
  GH_READ_SOCK,           /* struct sock *: a struct gh_socket */
  GH_READ_SOCKET,         /* struct socket *: the same of its sock */
  GH_READ_SKB,            /* struct sk_buff *: what its headers say, as struct gh_socket */
  GH_READ_SOCKADDR,       /* struct sockaddr *, kernel memory: the same, source alone */
  GH_READ_USER_SOCKADDR,  /* struct sockaddr *, memory of the process */
  GH_READ_STRING,         /* char *, kernel memory, up to its NUL */
  GH_READ_USER_STRING,    /* char *, memory of the process */
  GH_READ_FILENAME,       /* struct filename *: as the process wrote it, not resolved */
  GH_READ_MODULE,         /* struct module *: its name */
  GH_READ_LOAD_INFO,      /* struct load_info *: the name of the module that is being loaded */
  GH_READ_NET_DEVICE,     /* struct net_device *: its name */
  /* struct sockaddr *, kernel memory, the next argument is its length: the path or the name of a
   * socket of AF_UNIX, and as struct gh_socket the family. */
  GH_READ_SOCKADDR_UN,
  GH_READ_USER_SOCKADDR_UN, /* the same, memory of the process */
  GH_READ_BUFFER,           /* void *: bytes, as many as gh_input.bytes names an argument for */
  GH_READ_USER_BUFFER,      /* the same, memory of the process */
  GH_READ_IOVEC,            /* struct iovec *, as many: the bytes of their buffers */
  GH_READ_USER_IOVEC,       /* the same, memory of the process */
  GH_READ_IOV_ITER,         /* struct iov_iter *: what is left of its bytes */
  GH_READ_FILE,             /* struct file *: its path */
  GH_READ_KIOCB,            /* struct kiocb *: the path of ki_filp */
  GH_READ_PATH,             /* struct path * */
  GH_READ_DENTRY,           /* struct dentry *: its path, if a mount is found that it is on */
  GH_READ_FD,               /* number of an open file of the process: its path */
  GH_READ_BINPRM,           /* struct linux_binprm *: the path of bprm->file */
  GH_READ_BINARY,           /* no argument: the path of the acting program */
  GH_READ_PARENT_BINARY,    /* no argument: the path of its parent's program */
  GH_READ_COUNT
};

/* Whether the value is what a register holds, not what it points to. */
static inline int gh_is_word(gh_u32 read) {
  return read == GH_READ_NUMBER || read == GH_READ_SYSTEM_CALL;
}
static inline int gh_is_cred(gh_u32 read) {
  return read == GH_READ_CRED || read == GH_READ_USER_NAMESPACE;
}
static inline int gh_is_object(gh_u32 read) {
  return read >= GH_READ_BPF_ATTR && read <= GH_READ_PERF_EVENT;
}
static inline int gh_is_socket(gh_u32 read) {
  return read >= GH_READ_SOCK && read < GH_READ_STRING;
}
static inline int gh_is_text(gh_u32 read) { return read >= GH_READ_STRING; }
/* Texts that are bytes: of more than GH_PATH_MAX - 1, the first are the value. */
static inline int gh_is_buffer(gh_u32 read) {
  return read >= GH_READ_BUFFER && read <= GH_READ_IOV_ITER;
}

/* What programs read only if they are made for it (GH_CONSTANT_READS_MORE): not numbers, paths,
 * strings, and what the process is now; patterns that a text is compared with are more, too. */
static inline int gh_is_more(gh_u32 read, gh_u32 subject) {
  if (read == GH_READ_PROCESS) return subject >= GH_SUBJECT_NAMESPACE_CHANGES;
  return gh_is_socket(read) || gh_is_cred(read) || gh_is_object(read) || gh_is_buffer(read);
}

/* What is known of a socket, a packet or an address of a socket; of a file. */
enum gh_field {
  GH_FIELD_WHOLE = 0, /* no field: the value itself */
  GH_FIELD_FAMILY,    /* AF_* */
  GH_FIELD_TYPE,      /* SOCK_* */
  GH_FIELD_PROTOCOL,  /* IPPROTO_* */
  GH_FIELD_STATE,     /* TCP_*, include/net/tcp_states.h */
  GH_FIELD_SOURCE_PORT,
  GH_FIELD_DESTINATION_PORT,
  GH_FIELD_MARK,
  GH_FIELD_PRIORITY,
  GH_FIELD_COOKIE,
  GH_FIELD_HASH,   /* of a packet */
  GH_FIELD_LENGTH, /* of a packet, in bytes */
  /* An address is two numbers: its first 8 bytes, then its last. IPv4 as ::ffff:a.b.c.d. */
  GH_FIELD_SOURCE,
  GH_FIELD_SOURCE_LOW,
  GH_FIELD_DESTINATION,
  GH_FIELD_DESTINATION_LOW,
  GH_FIELD_COUNT,
  /* Of a file, beside its path: the device of its file system (major << 20 | minor), and then the
   * number of its inode. They are compared as an address is. */
  GH_FIELD_FILE = GH_FIELD_SOURCE
};

struct gh_socket {
  gh_u32 known; /* bit per gh_field that it has */
  gh_u32 reserved;
  gh_u64 fields[GH_FIELD_COUNT];
};
GH_STATIC_ASSERT(sizeof(struct gh_socket) == 136, "gh_socket");

/* Whose rights a process has; of a user namespace, what is about that alone. Ids are those of the
 * initial user namespace. */
struct gh_cred {
  gh_u32 uid, gid, euid, egid, suid, sgid, fsuid, fsgid;
  gh_u32 securebits; /* SECBIT_*, <linux/securebits.h> */
  gh_u32 user_ns;    /* inode number */
  gh_u32 user_ns_level;
  gh_u32 user_ns_uid; /* of who made it */
  gh_u32 user_ns_gid;
  gh_u32 reserved;
  gh_u64 permitted, effective, inheritable; /* capabilities, a bit each */
};
GH_STATIC_ASSERT(sizeof(struct gh_cred) == 80, "gh_cred");

/* A program or a map of BPF, or an event of perf_event_open(2), with what is known of it. */
struct gh_object {
  gh_u32 type; /* BPF_PROG_TYPE_*, BPF_MAP_TYPE_*, PERF_TYPE_* */
  gh_u32 instructions;
  gh_u32 key_bytes, value_bytes, entries; /* of a map */
  gh_u32 reserved;
  gh_u64 config, probe_offset; /* of an event: struct perf_event_attr */
  char name[64];               /* up to a NUL; of an event: the function it is on, if any */
};
GH_STATIC_ASSERT(sizeof(struct gh_object) == 104, "gh_object");

/*
 * Numbers that the agent writes into the instructions of a gate program before it loads it, each in
 * the place of a move of GH_CONSTANT + n. Branches that they make dead are never verified, and no
 * hook has a map of its own for them.
 */
enum gh_constant {
  GH_CONSTANT_HOOK = 0,      /* gh_gate.hook */
  GH_CONSTANT_ARGUMENTS = 1, /* bit per argument that can be read */
  GH_CONSTANT_RETURN = 2,    /* position in the context of what was returned */
  GH_CONSTANT_REGISTERS = 3, /* enum gh_registers */
  /* Places of a tracepoint's fields in its record, see GH_PLACE; operands of a static probe's
   * arguments, see GH_OPERAND. */
  GH_CONSTANT_PLACE_0 = 4,
  GH_CONSTANT_NUMBER_0 = (int)GH_CONSTANT_PLACE_0 + (int)GH_ARGUMENTS_MAX, /* ... their numbers */
  GH_CONSTANT_WRITES = (int)GH_CONSTANT_NUMBER_0 + (int)GH_OPERANDS_MAX,   /* see GH_ACTION_SET */
  GH_CONSTANT_TABLE,                                                       /* enum gh_table */
  GH_CONSTANT_COOKIE,     /* what the agent's perf events about mappings are known by */
  GH_CONSTANT_READS_MORE, /* whether policies of the hook ask for what read_more reads */
  GH_CONSTANT_HASHES,     /* whether a program that tells hashes of files is behind this one */
  GH_CONSTANT_COUNT
};
#define GH_CONSTANT 0x47480000
/* Where the struct pt_regs is that the arguments are in. */
enum gh_registers {
  GH_REGISTERS_NONE = 0,     /* nowhere: the arguments are the function's */
  GH_REGISTERS_GIVEN = 1,    /* of a system call: the function's only argument */
  GH_REGISTERS_ON_STACK = 2, /* of a system call: at the top of the task's kernel stack */
  GH_REGISTERS_CONTEXT = 3,  /* of a function of a program: the context */
  GH_REGISTERS_KEPT = 4,     /* of one that has returned: they were kept when it was called */
};
/* Of which table the system calls of a hook are; those of another are none of it. */
enum gh_table {
  GH_TABLE_ANY = 0,    /* no system call; or the function serves one table alone */
  GH_TABLE_NATIVE = 1, /* of 64 bits */
  GH_TABLE_COMPAT = 2, /* of 32 bits: arguments are in other registers, which have no upper half */
};
/* What is taken from a field of a tracepoint's record. */
enum gh_take {
  GH_TAKE_NOTHING = 0,
  GH_TAKE_NUMBER,   /* the number, or the pointer, that it is */
  GH_TAKE_ADDRESS,  /* its address: of an array of characters */
  GH_TAKE_DATA_LOC, /* the address of the text that it tells the place of (__data_loc) */
};
/* The field of `bytes` bytes at `offset` of the record. */
#define GH_PLACE(take, bytes, offset) ((gh_u32)(take) << 24 | (gh_u32)(bytes) << 16 | (offset))
#define GH_PLACE_TAKE(place) ((place) >> 24)
#define GH_PLACE_BYTES(place) ((place) >> 16 & 0xff)
#define GH_PLACE_OFFSET(place) ((place) & 0xffff)
/* Where the value of an argument of a static probe is. */
enum gh_operand {
  GH_OPERAND_NONE = 0,
  GH_OPERAND_NUMBER,   /* it is the number */
  GH_OPERAND_REGISTER, /* in a register, the base */
  GH_OPERAND_MEMORY,   /* in memory, at base + (index << scale) + number */
};
/* `bytes` bytes, extended by their sign or by zeros; registers are positions in a struct pt_regs,
 * in words. */
#define GH_OPERAND(operand, bytes, is_signed, base, index, scale)                               \
  ((gh_u32)(operand) | (gh_u32)(bytes) << 4 | (gh_u32)(is_signed) << 8 | (gh_u32)(base) << 12 | \
   (gh_u32)(index) << 20 | (gh_u32)(scale) << 28)
#define GH_NO_REGISTER 0xff
#define GH_OPERAND_OF(place) ((place) & 0xf)
#define GH_OPERAND_BYTES(place) ((place) >> 4 & 0xf)
#define GH_OPERAND_SIGNED(place) ((place) >> 8 & 1)
#define GH_OPERAND_BASE(place) ((place) >> 12 & 0xff)
#define GH_OPERAND_INDEX(place) ((place) >> 20 & 0xff)
#define GH_OPERAND_SCALE(place) ((place) >> 28 & 3)
enum gh_context { GH_PARAMETERS_MAX = 12 }; /* of a function with a trampoline, on any kernel */

/* How a filter's set is searched. */
enum gh_match {
  GH_MATCH_EXACT = 0,   /* ids of whole values */
  GH_MATCH_PREFIX = 1,  /* ids of heads of values */
  GH_MATCH_POSTFIX = 2, /* ids of tails of values, interned byte-reversed */
  GH_MATCH_RANGE = 3,   /* ranges of numbers */
  GH_MATCH_MASK = 4,    /* one range, whose `first` has a bit in common with the number */
  GH_MATCH_ADDRESS = 5, /* ranges of addresses */
  GH_MATCH_PATTERN = 6, /* one id, of the automaton of all patterns of the set */
  GH_MATCH_GAINED = 7,  /* as GH_MATCH_MASK, of what gh_filter.other has and the number has not */
};

enum gh_action {
  GH_ACTION_POST = 1 << 0,
  GH_ACTION_OVERRIDE = 1 << 1,
  GH_ACTION_SIGNAL = 1 << 2,
  /* Writes a number into the memory that an argument of a static probe is in. Behind the filters of
   * the rule is one more, whose `subject` is the argument and whose `set` is the number. */
  GH_ACTION_SET = 1 << 3,
  GH_ACTION_TRACK_SOCK = 1 << 4, /* events about the socket name the process that acts now */
  GH_ACTION_UNTRACK_SOCK = 1 << 5,
  /* Notes gh_rule.error and gh_rule.signal, 0 is none, for the thread: they are carried out where
   * it next meets a rule of the policy that is an enforcer, see GH_RULE_ENFORCER. */
  GH_ACTION_NOTIFY = 1 << 6,
  GH_ACTION_CLEANUP = 1 << 7, /* what was noted for the thread is forgotten */
};
/* Those that change what the process does. */
#define GH_ACTIONS_ENFORCING \
  (GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL | GH_ACTION_SET | GH_ACTION_NOTIFY)

/* Groups of workloads are in two levels, so that a change of a few writes a few hundred words,
 * whatever their number: chunk slot / GH_CHUNK_SLOTS, and in it word slot % GH_CHUNK_SLOTS. */
struct gh_root {
  gh_u32 host;       /* address of the group of what is in no workload (slot 0), or 0 */
  gh_u32 chunks;     /* n_chunks words: addresses of chunks; 0: none of its slots has a group */
  gh_u32 n_chunks;   /* a slot in a chunk from here on has no group */
  gh_u32 slots;      /* hash table of string ids by digest; 0 is free */
  gh_u32 slots_mask; /* number of slots - 1 */
  gh_u32 digests;    /* array of struct gh_digest by string id */
  gh_u32 generation; /* counts publications */
  gh_u32 tracks;     /* 1: a policy tracks sockets; else whose they were is forgotten */
};
GH_STATIC_ASSERT(sizeof(struct gh_root) == 32, "gh_root");

/* In a slot whose string is gone: the search goes on. */
#define GH_SLOT_DELETED 0xffffffffu

/* SipHash-2-4 with 128 bits of output, little endian halves. */
struct gh_digest {
  gh_u64 lo;
  gh_u64 hi;
};
GH_STATIC_ASSERT(sizeof(struct gh_digest) == 16, "gh_digest");

/* A set of policies that applies to at least one workload: its gate on each hook. */
struct gh_group {
  gh_u32 gates;   /* address of n_gates struct gh_gate, ascending by hook */
  gh_u32 n_gates; /* at most GH_HOOKS_PER_GROUP_MAX */
};
GH_STATIC_ASSERT(sizeof(struct gh_group) == 8, "gh_group");

/* What one hook does for one group. */
struct gh_gate {
  gh_u32 policies; /* address of n_policies words, each the address of a policy's first rule */
  gh_u32 inputs;   /* address of n_inputs struct gh_input */
  gh_u16 hook;
  gh_u16 n_policies; /* at most GH_POLICIES_PER_GATE_MAX */
  gh_u16 n_inputs;   /* at most GH_SUBJECT_COUNT, of them at most GH_TEXTS_MAX texts */
  gh_u16 reserved;
};
GH_STATIC_ASSERT(sizeof(struct gh_gate) == 16, "gh_gate");

enum gh_input_flags {
  GH_INPUT_SIGNED = 1 << 0, /* a number that is extended by its sign; the length of a buffer, of 32
                               bits that are */
  GH_INPUT_WHOLE = 1 << 1,  /* a buffer of which events tell as much as GH_PARTS_MAX parts hold */
};

/* A value that a filter of the gate looks at or that an event shows. */
struct gh_input {
  gh_u8 subject; /* enum gh_subject */
  gh_u8 read;    /* enum gh_read */
  gh_u8 bytes;   /* of a number: 1, 2, 4 or 8; of a buffer: the gh_subject that is its length */
  gh_u8 flags;   /* enum gh_input_flags */
  gh_u32 scan;   /* of a text: address of a struct gh_scan, or 0: it is digested as a whole */
  gh_u32 chain;  /* of GH_SUBJECT_RESOLVED_0 and on: address of a struct gh_chain, else 0 */
  gh_u32 reserved;
};
GH_STATIC_ASSERT(sizeof(struct gh_input) == 16, "gh_input");

/*
 * How a value is reached from an argument, or from the current task: at each offset but the last
 * is the pointer that the next one is from. At the last is the value. What the kernel's types say
 * is in here, and nowhere else in the image.
 */
struct gh_chain {
  gh_u8 from;  /* an argument, GH_FROM_TASK or GH_FROM_REGISTERS */
  gh_u8 n;     /* offsets, 1 to GH_STEPS_MAX */
  gh_u8 bytes; /* of the value, at most 8; 0: it is its address that is read on from */
  gh_u8 reserved;
  gh_u32 offsets[GH_STEPS_MAX];
};
GH_STATIC_ASSERT(sizeof(struct gh_chain) == 64, "gh_chain");
#define GH_FROM_TASK 0xff
#define GH_FROM_REGISTERS 0xfe /* the struct pt_regs that is the program's context */

/* What a text is searched for: the lengths at which its heads and tails are digested, ascending,
 * distinct, in bytes; the addresses of the automata that it is given to. */
struct gh_scan {
  gh_u32 heads;
  gh_u32 n_heads;
  gh_u32 tails;
  gh_u32 n_tails;
  gh_u32 automata;
  gh_u32 n_automata; /* at most GH_AUTOMATA_MAX */
  gh_u32 reserved[2];
};
GH_STATIC_ASSERT(sizeof(struct gh_scan) == 32, "gh_scan");

/*
 * An automaton says of a text whether any of a set of patterns takes it. Its first word is the
 * state that it begins in. A state is the offset, in words from the automaton's address, of
 *
 *   info       gh_state_first, how many words `row` has, whether a text may end here
 *   otherwise  the state after a byte that is not in the row
 *   slash      the state after a '/'
 *   row[]      the states after the bytes from gh_state_first on; '/' has no use for its own
 *
 * or one of two that no byte changes.
 */
enum gh_state {
  GH_STATE_NEVER = 0,  /* no pattern can take the text any more */
  GH_STATE_ALWAYS = 1, /* one takes it, however it goes on */
};
enum gh_state_word { GH_STATE_OTHERWISE = 1, GH_STATE_SLASH = 2, GH_STATE_ROW = 3 };
static inline gh_u32 gh_state_info(gh_u32 first, gh_u32 n, int takes) {
  return first | n << 8 | (takes ? 1u << 31 : 0);
}
static inline gh_u32 gh_state_first(gh_u32 info) { return info & 0xff; }
static inline gh_u32 gh_state_n(gh_u32 info) { return info >> 8 & 0x1ff; }
static inline gh_u32 gh_state_takes(gh_u32 info) { return info >> 31; }

/* The id of the automaton at an address, beside those of strings. */
#define GH_AUTOMATON_ID(address) (0x80000000u | (address))

enum gh_rule_flags {
  GH_RULE_LAST = 1 << 0,      /* the policy has no further rule on this hook */
  GH_RULE_MONITOR = 1 << 1,   /* actions other than post are reported, not done */
  GH_RULE_UNCOUNTED = 1 << 2, /* acts, and is counted, at the other end of the function */
  /* Whose events gh_rule.interval_s is about: one thread's, one process's; else everyone's. */
  GH_RULE_PER_THREAD = 1 << 3,
  GH_RULE_PER_PROCESS = 1 << 4,
  GH_RULE_KERNEL_STACK = 1 << 5, /* events tell how the kernel came to the hook */
  GH_RULE_USER_STACK = 1 << 6,   /* ... and how the program came to the kernel */
  GH_RULE_ENFORCER = 1 << 7,     /* carries out what GH_ACTION_NOTIFY noted, and counts only then */
};
#define GH_RULE_STACKS (GH_RULE_KERNEL_STACK | GH_RULE_USER_STACK)

/* In gh_rule.shows, beside the subjects: what comes behind the event in records of its own. */
#define GH_SHOWS_PARTS (1u << 30)
#define GH_SHOWS_HASH (1u << 31)
/* The same as enum gh_policy_event_flags. */
#define GH_FOLLOWS_OF(shows) ((shows) >> 27 & (GH_POLICY_PARTS | GH_POLICY_HASH))

/* Both count from 0, in the order of the policy: of its hooks, and of the selectors of that hook.
 */
#define GH_RULE_NUMBER(hook, selector) ((hook) * GH_RULES_PER_POLICY_MAX + (selector))
#define GH_RULE_HOOK(number) ((number) / GH_RULES_PER_POLICY_MAX)
#define GH_RULE_SELECTOR(number) ((number) % GH_RULES_PER_POLICY_MAX)

/* One selector of one policy on one hook. */
struct gh_rule {
  gh_u64 hits;    /* operations that it decided; added to atomically by all CPUs */
  gh_u32 policy;  /* the agent's number for the policy, given back in events */
  gh_u32 filters; /* address of n_filters struct gh_filter, all of which must hold */
  gh_u32 shows;   /* bit per gh_subject before GH_SUBJECT_TOLD that the policy's events tell, and
                     GH_SHOWS_PARTS, GH_SHOWS_HASH */
  gh_s16 error;   /* with GH_ACTION_OVERRIDE, GH_ACTION_NOTIFY: the negative errno */
  gh_u16 number;  /* which selector of the policy it is: see GH_RULE_NUMBER */
  gh_u8 actions;  /* gh_action bits */
  gh_u8 n_filters;
  gh_u8 signal;      /* with GH_ACTION_SIGNAL, GH_ACTION_NOTIFY; of actions on a socket: its enum
                        gh_subject */
  gh_u8 flags;       /* gh_rule_flags */
  gh_u32 interval_s; /* in which events with the same values are posted once; 0: always */
};
GH_STATIC_ASSERT(sizeof(struct gh_rule) == 32, "gh_rule");
GH_STATIC_ASSERT(GH_SUBJECT_TOLD <= 30, "gh_rule.shows has a bit for each");
GH_STATIC_ASSERT(GH_RULE_NUMBER((int)GH_HOOKS_PER_POLICY_MAX, 0) <= 65536, "gh_rule.number");

struct gh_filter {
  gh_u8 subject; /* enum gh_subject */
  gh_u8 match;   /* enum gh_match */
  gh_u8 negated; /* 0 or 1 */
  gh_u8 field;   /* enum gh_field; a filter on a field that the subject has not does not hold */
  gh_u32 set; /* address of `count` ids, struct gh_range or struct gh_address_range, ascending; up
                 to a page: within one, else page-aligned */
  gh_u32 count;
  gh_u32 other; /* enum gh_subject, of GH_MATCH_GAINED */
};
GH_STATIC_ASSERT(sizeof(struct gh_filter) == 16, "gh_filter");

/*
 * Numbers from `first` to `last`, both included. Those of a set neither overlap nor touch. Every
 * number is 64 bits wide, a signed one extended by its sign, and compared without sign: so signed
 * -1 to 1 is two ranges, and a set knows nothing of types.
 */
struct gh_range {
  gh_u64 first;
  gh_u64 last;
};
GH_STATIC_ASSERT(sizeof(struct gh_range) == 16, "gh_range");

/* As gh_range, of addresses: see GH_FIELD_SOURCE. */
struct gh_address_range {
  gh_u64 first, first_low;
  gh_u64 last, last_low;
};
GH_STATIC_ASSERT(sizeof(struct gh_address_range) == 32, "gh_address_range");

/* ---- cgroups --------------------------------------------------------------------------------- */

/* Value of the map cgroup id -> workload. Descendants of a workload's cgroup carry its value. */
struct gh_cgroup {
  gh_u32 slot;     /* where gh_root has the workload's group; 0: it is the host's */
  gh_u32 workload; /* the agent's number for the workload, given back in events */
};

/* A process that no verdict touches: the agent and its ancestors. */
struct gh_protected {
  gh_u32 pid; /* thread group id in the initial pid namespace; 0 ends the list */
  gh_u32 reserved;
  gh_u64 start_ticks; /* start_boottime in USER_HZ ticks, as /proc/PID/stat shows it */
};

/*
 * What is kept of a process, once a policy asks for it: with what its program began (its last
 * execve, or that of whom it is a fork of), or had when the policy came; and the programs that it
 * and its ancestors have run.
 */
struct gh_lineage {
  gh_u64 start_ticks; /* as of gh_protected: whose it is, should the pid be given again */
  gh_u64 capabilities[GH_CAPABILITIES_COUNT];
  gh_u32 namespaces[GH_NAMESPACE_COUNT]; /* inode numbers; 0: there is none */
  gh_u32 n_programs;
  gh_u32 reserved;
  struct gh_digest programs[GH_PROGRAMS_MAX]; /* of their paths */
  /* Of the path of the script that its program interprets; zero: of none. */
  struct gh_digest script;
  /* Of that of the file that its last execve, or the one that it is in, was asked for. */
  struct gh_digest executed;
};
GH_STATIC_ASSERT(sizeof(struct gh_lineage) == 368, "gh_lineage");

/* ---- counters -------------------------------------------------------------------------------- */

/* Rare things, by cause. Index of the shared array of 64-bit counters. */
enum gh_stat {
  GH_STAT_EVENTS_LOST_EXEC = 0, /* the ring buffer was full: base events */
  GH_STAT_EVENTS_LOST_EXIT,
  GH_STAT_EVENTS_LOST_POLICY, /* ... and events of policies; the verdict stood */
  GH_STAT_EVENTS_LOST_PART,   /* ... and what was to follow them: the event is told without it */
  GH_STAT_EVENTS_LIMITED,     /* not posted: gh_rule.interval_s had not passed */
  GH_STAT_SCRATCH_EXHAUSTED,  /* no scratch slot was free: every value counts as unreadable */
  GH_STAT_PATH_TOO_LONG,      /* a path of more than GH_PATH_MAX - 1 bytes: unreadable */
  GH_STAT_PATH_UNREACHABLE,   /* a path outside of the process's mount namespace: unreadable */
  GH_STAT_PATH_FAULT,         /* the kernel's memory could not be read: unreadable */
  GH_STAT_NO_BINARY,          /* a task without executable (kernel thread): unreadable */
  GH_STAT_STRING_FAULT,       /* a string argument could not be read, or is too long: unreadable */
  GH_STAT_SOCKET_FAULT,       /* a socket, packet or address could not be read: unreadable */
  GH_STAT_NUMBER_FAULT,       /* a number, or a struct cred, in memory could not be read:
                                 unreadable */
  GH_STAT_RESOLVE_FAULT,      /* a pointer on the way to a value is NULL or could not be read:
                                 unreadable */
  GH_STAT_MATCHES_OVERFLOW,   /* more than GH_MATCHES_MAX interned heads or tails: unreadable */
  GH_STAT_LINEAGE_UNKNOWN,    /* there is no gh_lineage of the process: unreadable */
  GH_STAT_LINEAGES_FULL,      /* more than GH_LINEAGES_MAX processes: one is not kept */
  GH_STAT_CGROUP_UNTRACKED,   /* a child cgroup could not be inserted: found by walking upwards */
  GH_STAT_PROTECTED,          /* a verdict was not executed on the agent or an ancestor */
  GH_STAT_SIGNAL_FAILED,      /* bpf_send_signal failed */
  GH_STAT_SET_FAILED,         /* bpf_probe_write_user failed */
  GH_STAT_NOTIFICATION_REPLACED, /* what was noted for a thread was not carried out before the
                                    policy noted something else */
  GH_STAT_NOTIFICATION_UNUSED,   /* ... before it was cleaned up */
  GH_STAT_NOTIFICATION_LOST,     /* it could not be noted */
  GH_STAT_CALL_FORGOTTEN, /* a function of a program returned, and what it was called with is not
                             known any more: its arguments are unreadable */
  GH_STAT_COUNT
};

/* ---- events ---------------------------------------------------------------------------------- */

enum gh_event_type {
  GH_EVENT_EXEC = 1,
  GH_EVENT_EXIT = 2,
  GH_EVENT_POLICY = 3,
  GH_EVENT_PART = 4,
  GH_EVENT_END = 5,
};

struct gh_event_header {
  gh_u32 size;    /* of the whole record */
  gh_u32 type;    /* enum gh_event_type */
  gh_u64 time_ns; /* CLOCK_BOOTTIME */
};

/*
 * A process as the kernel names it. (pid, start_ns, exec_seq) identifies one program execution:
 * exec_seq is task->self_exec_id of the thread group leader, which each execve increments.
 */
struct gh_process {
  gh_u32 pid; /* thread group id in the initial pid namespace */
  gh_u32 tid;
  gh_u64 start_ns; /* start_boottime of the thread group leader */
  gh_u64 exec_seq;
  gh_u32 parent_pid;
  gh_u32 uid;
  gh_u64 parent_start_ns;
  gh_u64 parent_exec_seq;
  gh_u64 cgroup_id; /* in the unified hierarchy */
  gh_u32 auid;      /* login uid, 0xffffffff if never set */
  gh_u32 workload;  /* gh_cgroup.workload, 0: the host */
};
GH_STATIC_ASSERT(sizeof(struct gh_process) == 64, "gh_process");

enum gh_exec_flags {
  GH_EXEC_ARGS_CUT = 1 << 0,
  GH_EXEC_ARGS_FAULT = 1 << 1,
  GH_EXEC_CWD_UNREADABLE = 1 << 2,
  GH_EXEC_BINARY_UNREADABLE = 1 << 3,
};

/* Followed by binary, args (NUL-separated, argv[0] included), cwd; lengths without a final NUL. */
struct gh_event_exec {
  struct gh_event_header header;
  struct gh_process process; /* after the execve: exec_seq is the new program's */
  gh_u32 flags;              /* gh_exec_flags */
  gh_u32 binary_len;
  gh_u32 args_len;
  gh_u32 cwd_len;
};
GH_STATIC_ASSERT(sizeof(struct gh_event_exec) == 96, "gh_event_exec");

struct gh_event_exit {
  struct gh_event_header header;
  struct gh_process process;
  gh_u32 code; /* task->exit_code of the group: status << 8 | signal */
  gh_u32 reserved;
};
GH_STATIC_ASSERT(sizeof(struct gh_event_exit) == 88, "gh_event_exit");

enum gh_policy_event_flags {
  GH_POLICY_MONITOR = 1 << 0,   /* the policy is in monitor mode: nothing was done */
  GH_POLICY_PROTECTED = 1 << 1, /* the subject is the agent or an ancestor: nothing was done */
  GH_POLICY_BY_SIGNAL = 1 << 2, /* override was carried out as SIGKILL (backend signal) */
  GH_POLICY_PARTS = 1 << 3,     /* buffers follow, whole: records of parts, then of their end */
  GH_POLICY_HASH = 1 << 4,      /* the hash of a file follows, behind parts if there are any */
  /* The same bits as in gh_rule_flags: behind the values is a struct gh_event_stacks. */
  GH_POLICY_KERNEL_STACK = GH_RULE_KERNEL_STACK,
  GH_POLICY_USER_STACK = GH_RULE_USER_STACK,
};

enum gh_unreadable {
  GH_READABLE = 0,
  GH_UNREADABLE_TOO_LONG,
  GH_UNREADABLE_UNREACHABLE,
  GH_UNREADABLE_FAULT,
  GH_UNREADABLE_NO_BINARY,
  GH_UNREADABLE_NO_SCRATCH,
  GH_UNREADABLE_TOO_MANY, /* matches, see GH_MATCHES_MAX */
};

/* A value in an event, followed by `bytes` bytes: a text, a number of 8 bytes, a struct gh_socket,
 * a struct gh_cred or a struct gh_object. */
struct gh_event_value {
  gh_u8 subject;    /* enum gh_subject */
  gh_u8 read;       /* enum gh_read */
  gh_u8 unreadable; /* enum gh_unreadable: why there is no text */
  gh_u8 family;     /* AF_*, of GH_READ_SOCKADDR_UN */
  gh_u16 file_mode; /* st_mode, if it is the path of a file */
  gh_u16 bytes;
  gh_u32 length; /* of a buffer: bytes that it has, of which these are the first */
};
GH_STATIC_ASSERT(sizeof(struct gh_event_value) == 12, "gh_event_value");

/* Followed by n_kernel, then n_user addresses of 8 bytes, unaligned, the innermost first: to where
 * each function returns; where the program entered the kernel. */
struct gh_event_stacks {
  gh_s16 n_kernel; /* at most GH_FRAMES_MAX; a negative errno: the stack could not be taken */
  gh_s16 n_user;
  gh_u32 reserved;
  gh_u64 start_stack; /* of struct mm_struct: tells one program of a process from the next */
};
GH_STATIC_ASSERT(sizeof(struct gh_event_stacks) == 16, "gh_event_stacks");

/* Followed by n_values values, unaligned, and by stacks, if there are any. One record for each
 * policy that posts. */
struct gh_event_policy {
  struct gh_event_header header;
  struct gh_process process; /* the process that acts; with the hook it is before the execve */
  gh_u32 policy;             /* gh_rule.policy */
  gh_u16 hook;
  gh_u16 rule;    /* gh_rule.number */
  gh_u16 actions; /* gh_rule.actions */
  gh_s16 error;
  gh_u8 signal;
  gh_u8 flags; /* gh_policy_event_flags */
  gh_u8 n_values;
  gh_u8 reserved;
};
GH_STATIC_ASSERT(sizeof(struct gh_event_policy) == 96, "gh_event_policy");

/*
 * What follows the events of an operation, once for all policies that told it: of each buffer its
 * bytes from the first on, and the end. Both name the thread that acted. The records of a thread
 * stand in the ring buffer in the order in which it made them; one that finds no room is missing.
 */
struct gh_event_part {
  struct gh_event_header header;
  gh_u64 thread; /* process id in the upper half, thread id in the lower */
  gh_u32 at;     /* which byte of the buffer is the first here */
  gh_u8 subject; /* enum gh_subject */
  gh_u8 reserved[3];
  /* At most GH_PART_BYTES bytes, and not none, are behind. */
};
GH_STATIC_ASSERT(sizeof(struct gh_event_part) == 32, "gh_event_part");

struct gh_event_end {
  struct gh_event_header header;
  gh_u64 thread;
  gh_u64 since_ns; /* what the thread told before is of other operations; CLOCK_BOOTTIME */
  gh_u32 ends;     /* GH_POLICY_PARTS or GH_POLICY_HASH */
  gh_s32
      algorithm; /* of a hash: enum hash_algo, <linux/hash_info.h>; negative errno: there is none */
  gh_u8 hash[GH_HASH_MAX];
};
GH_STATIC_ASSERT(sizeof(struct gh_event_end) == 104, "gh_event_end");

#endif /* GATEHOUSE_ABI_GATEHOUSE_H_ */
