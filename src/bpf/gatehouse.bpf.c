// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All programs of the agent.
 *
 *   gate_lsm        LSM hooks                    returns an errno
 *   gate_fmod_ret   security_* functions         returns an errno
 *   gate_fentry     other functions              can send signals, and tell
 *   gate_fexit      functions, at their return   can send signals, and tell
 *   gate_raw        tracepoints, by arguments    can send signals, and tell
 *   gate_record     tracepoints, by fields       can send signals, and tell
 *   gate_uprobe     functions of programs        can send signals, and tell
 *   gate_uretprobe  ... at their return          can send signals, and tell
 *   gate_loader     what is mapped to execute    tells
 *   gate_usdt       static probes of programs    can send signals, set arguments, and tell
 *   gate_prepare    sched_prepare_exec,          backend signal: kills
 *   gate_exec       or sched_process_exec
 *   gate_enter      system calls, and            backend signal: can send signals, and tell
 *   gate_leave      at their return
 *
 * All but those of backend signal are loaded for each hook once more, with the hook's number and
 * what its function looks like written into their instructions (see enum gh_constant); all share
 * the maps.
 *
 * Backend signal has one place for both hooks of executions: just before the old program is given
 * up (6.10 and later, kernel commit 5c5fad46e48c), else just before the first instruction of the
 * new one. There the object is the binary that finally runs: of a script, its interpreter.
 *
 * Beside them: keep_call, which keeps the arguments of functions for gate_uretprobe; hash_file and
 * hash_program, which are behind gate_lsm where policies tell hashes of files, and sleep;
 * sched_process_exec and sched_process_exit for base events, cgroup_mkdir and cgroup_release, by
 * which cgroups below a workload belong to it. No program that reads the image sleeps: each runs
 * under rcu_read_lock, and so one RCU grace period after a publication nobody reads the old image.
 */
#include "bpf/gate.h"

#define SIGKILL 9

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ---- hooks ----------------------------------------------------------------------------------- */

/* A number that the loader writes here. */
#define CONSTANT(n)                                                  \
  ({                                                                 \
    __u64 constant;                                                  \
    asm volatile("%0 = %1" : "=r"(constant) : "i"(GH_CONSTANT + n)); \
    constant;                                                        \
  })

/* Word `n` of the context. In assembler: a compiler may join two loads into one from a computed
 * place, which the verifier does not allow. */
#define CONTEXT(context, n)                                                           \
  ({                                                                                  \
    __u64 word;                                                                       \
    asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(word) : "r"(context), "i"((n) * 8)); \
    word;                                                                             \
  })

/* Keeps the arguments of a system call, as the process gave them. */
static __always_inline void take_registers(struct scratch* scratch, struct pt_regs* registers,
                                           bool compat) {
  if (compat) {
    scratch->arguments[0] = (__u32)BPF_CORE_READ(registers, bx);
    scratch->arguments[1] = (__u32)BPF_CORE_READ(registers, cx);
    scratch->arguments[2] = (__u32)BPF_CORE_READ(registers, dx);
    scratch->arguments[3] = (__u32)BPF_CORE_READ(registers, si);
    scratch->arguments[4] = (__u32)BPF_CORE_READ(registers, di);
    scratch->arguments[5] = (__u32)BPF_CORE_READ(registers, bp);
    return;
  }
  scratch->arguments[0] = BPF_CORE_READ(registers, di);
  scratch->arguments[1] = BPF_CORE_READ(registers, si);
  scratch->arguments[2] = BPF_CORE_READ(registers, dx);
  scratch->arguments[3] = BPF_CORE_READ(registers, r10);
  scratch->arguments[4] = BPF_CORE_READ(registers, r8);
  scratch->arguments[5] = BPF_CORE_READ(registers, r9);
}

/* Places in the context of a program on a uprobe: arch/x86/include/uapi/asm/ptrace.h. */
enum { R9 = 8, R8 = 9, RAX = 10, RCX = 11, RDX = 12, RSI = 13, RDI = 14, RSP = 19 };

/* Keeps the arguments of a function of a program, which the System V ABI has in these registers. */
static __always_inline void take_parameters(__u64* arguments, void* context) {
  arguments[0] = CONTEXT(context, RDI);
  arguments[1] = CONTEXT(context, RSI);
  arguments[2] = CONTEXT(context, RDX);
  arguments[3] = CONTEXT(context, RCX);
  arguments[4] = CONTEXT(context, R8);
  arguments[5] = CONTEXT(context, R9);
}

/* THREAD_SIZE of x86-64 without KASAN, arch/x86/include/asm/page_64_types.h. */
#define STACK_BYTES (16 << 10)

static __always_inline struct pt_regs* registers_on_stack(void) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  return BPF_CORE_READ(task, stack) + STACK_BYTES - bpf_core_type_size(struct pt_regs);
}

/* Keeps those arguments of the function that can be read. */
static __always_inline void take_arguments(__u32 index, void* context) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  __u64 readable = CONSTANT(GH_CONSTANT_ARGUMENTS);
  if (!scratch) return;
  __u64 registers = CONSTANT(GH_CONSTANT_REGISTERS);
  bool compat = CONSTANT(GH_CONSTANT_TABLE) == GH_TABLE_COMPAT;
  if (registers == GH_REGISTERS_GIVEN) {
    take_registers(scratch, (struct pt_regs*)CONTEXT(context, 0), compat);
    return;
  }
  if (registers == GH_REGISTERS_ON_STACK) {
    take_registers(scratch, registers_on_stack(), compat);
    return;
  }
  if (registers == GH_REGISTERS_CONTEXT) {
    take_parameters(scratch->arguments, context);
    scratch->registers = (__u64)context;
    return;
  }
#define TAKE(n) \
  if (readable & 1 << (n)) scratch->arguments[n] = CONTEXT(context, n)
  TAKE(0);
  TAKE(1);
  TAKE(2);
  TAKE(3);
  TAKE(4);
  TAKE(5);
  TAKE(6);
  TAKE(7);
  TAKE(8);
  TAKE(9);
  TAKE(10);
  TAKE(11);
#undef TAKE
  GH_STATIC_ASSERT(GH_PARAMETERS_MAX == 12, "each is taken");
}

/* Keeps field `n` of the record of a tracepoint. */
static __always_inline void take_field(struct scratch* scratch, void* context, __u32 n,
                                       __u64 place) {
  void* field = context + GH_PLACE_OFFSET(place);
  if (GH_PLACE_TAKE(place) == GH_TAKE_NUMBER) {
    scratch->arguments[n] = 0;
    bpf_probe_read_kernel(&scratch->arguments[n], GH_PLACE_BYTES(place), field);
  } else if (GH_PLACE_TAKE(place) == GH_TAKE_ADDRESS) {
    scratch->arguments[n] = (__u64)field;
  } else if (GH_PLACE_TAKE(place) == GH_TAKE_DATA_LOC) {
    __u32 data_loc = 0; /* the length of the text above its offset in the record */
    bpf_probe_read_kernel(&data_loc, sizeof(data_loc), field);
    scratch->arguments[n] = (__u64)context + (data_loc & 0xffff);
  }
}

/* Keeps those fields of the tracepoint's record that can be read. */
static __always_inline void take_record(__u32 index, void* context) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return;
#define TAKE(n) take_field(scratch, context, n, CONSTANT(GH_CONSTANT_PLACE_0 + n))
  TAKE(0);
  TAKE(1);
  TAKE(2);
  TAKE(3);
  TAKE(4);
  TAKE(5);
  TAKE(6);
  TAKE(7);
  TAKE(8);
  TAKE(9);
  TAKE(10);
  TAKE(11);
  TAKE(12);
  TAKE(13);
  TAKE(14);
  TAKE(15);
#undef TAKE
  GH_STATIC_ASSERT(GH_ARGUMENTS_MAX == 16, "each is taken");
}

/* Register `n`, of those in the context of a program on a uprobe. */
static __always_inline __u64 register_at(void* context, __u64 n) {
  __u64 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), context + n * sizeof(value));
  return value;
}

/* Where in memory an operand is, see GH_OPERAND. */
static __always_inline void* operand_address(void* context, __u64 operand, __u64 number) {
  __u64 address = number;
  if (GH_OPERAND_BASE(operand) != GH_NO_REGISTER)
    address += register_at(context, GH_OPERAND_BASE(operand));
  if (GH_OPERAND_INDEX(operand) != GH_NO_REGISTER)
    address += register_at(context, GH_OPERAND_INDEX(operand)) << GH_OPERAND_SCALE(operand);
  return (void*)address;
}

/* Keeps argument `n` of a static probe. */
static __always_inline void take_operand(struct scratch* scratch, void* context, __u32 n,
                                         __u64 operand, __u64 number) {
  __u32 kind = GH_OPERAND_OF(operand), bytes = GH_OPERAND_BYTES(operand);
  if (kind == GH_OPERAND_NONE) return;
  __u64 value = kind == GH_OPERAND_NUMBER ? number : 0;
  if (kind == GH_OPERAND_REGISTER) value = register_at(context, GH_OPERAND_BASE(operand));
  if (kind == GH_OPERAND_MEMORY &&
      bpf_probe_read_user(&value, bytes, operand_address(context, operand, number))) {
    scratch->arguments[n] = LOST;
    scratch->lost |= 1 << n;
    return;
  }
  scratch->arguments[n] = narrow(value, bytes, GH_OPERAND_SIGNED(operand));
}

#define EACH_OPERAND(DO) \
  DO(0);                 \
  DO(1);                 \
  DO(2);                 \
  DO(3);                 \
  DO(4);                 \
  DO(5);                 \
  DO(6);                 \
  DO(7);                 \
  DO(8);                 \
  DO(9);                 \
  DO(10);                \
  DO(11)
GH_STATIC_ASSERT(GH_OPERANDS_MAX == 12, "each is done");
#define OPERAND(n) CONSTANT(GH_CONSTANT_PLACE_0 + n), CONSTANT(GH_CONSTANT_NUMBER_0 + n)

/* Keeps the arguments of a static probe. */
static __always_inline void take_operands(__u32 index, void* context) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return;
#define TAKE(n) take_operand(scratch, context, n, OPERAND(n))
  EACH_OPERAND(TAKE);
#undef TAKE
}

/* Sets one argument of a static probe, which is in memory. */
static __always_inline void set_operand(void* context, __u32 set_to, __u64 operand, __u64 number) {
  __u64 value = set_to;
  if (GH_OPERAND_OF(operand) != GH_OPERAND_MEMORY) return;
  if (bpf_probe_write_user(operand_address(context, operand, number), &value,
                           GH_OPERAND_BYTES(operand)))
    count(GH_STAT_SET_FAILED);
}

/* Sets the arguments of a static probe that policies ask to be set. */
static __always_inline void set_operands(__u32 index, void* context) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return;
  __u32 sets = scratch->sets;
  scratch->sets = 0;
  if (!CONSTANT(GH_CONSTANT_WRITES)) return;
#define SET(n) \
  if (sets >> (n) & 1) set_operand(context, scratch->set_to[n], OPERAND(n))
  EACH_OPERAND(SET);
#undef SET
}

/* Keeps what the kernel says of a mapping: its path, its build id, and how long that is. */
static __always_inline void take_mapping(__u32 index, struct perf_mmap_event* mapping) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return;
  scratch->arguments[0] = (__u64)BPF_CORE_READ(mapping, file_name);
  scratch->arguments[1] = (__u64)&mapping->build_id;
  scratch->arguments[2] = BPF_CORE_READ(mapping, build_id_size);
}

static __always_inline struct call call_of(__u64 hook, __u64 stack) {
  return (struct call){.thread = bpf_get_current_pid_tgid(), .stack = stack, .hook = hook};
}

/* Takes the arguments that a function of a program was called with, once it has returned. */
static __always_inline void take_kept(__u32 index, void* context) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return;
  /* The address that it returned to was below what the stack has now. */
  struct call call = call_of(CONSTANT(GH_CONSTANT_HOOK), CONTEXT(context, RSP) - sizeof(__u64));
  struct kept* kept = bpf_map_lookup_elem(&calls, &call);
  if (!kept) {
    count(GH_STAT_CALL_FORGOTTEN);
    scratch->lost = (1 << REGISTERS_KEPT) - 1;
  }
  for (int i = 0; i < REGISTERS_KEPT; i++) scratch->arguments[i] = kept ? kept->arguments[i] : LOST;
  scratch->arguments[GH_SUBJECT_RETURN] = CONTEXT(context, RAX);
  scratch->registers = (__u64)context;
  bpf_map_delete_elem(&calls, &call);
}

/* What the function returned; before it has begun: what programs before us on the same hook did. */
static __always_inline __u64 returned(void* context) {
  __u64 position = CONSTANT(GH_CONSTANT_RETURN);
#define AT(n) \
  if (position == (n)) return CONTEXT(context, n)
  AT(0);
  AT(1);
  AT(2);
  AT(3);
  AT(4);
  AT(5);
  AT(6);
  AT(7);
  AT(8);
  AT(9);
  AT(10);
  AT(11);
  AT(12);
#undef AT
  GH_STATIC_ASSERT(GH_PARAMETERS_MAX == 12, "each place is looked at");
  return 0;
}

static __always_inline void take_return(__u32 index, __u64 value) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch) scratch->arguments[GH_SUBJECT_RETURN] = value;
}

/* Until the next one, no argument is lost. */
static __always_inline void forget_lost(__u32 index) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch) scratch->lost = 0;
}

/* What the context of a gate is. */
enum context { OF_CALL, OF_RETURN, OF_RECORD, OF_PROBE, OF_KEPT, OF_MAPPING };

/* Whether the call is one that the hook is on: a function may serve both tables. */
static __always_inline bool is_of_table(void) {
  __u64 table = CONSTANT(GH_CONSTANT_TABLE);
  return table == GH_TABLE_ANY || in_compat_call() == (table == GH_TABLE_COMPAT);
}

static __always_inline int gate(void* context, enum context kind, enum frames own) {
  if ((kind == OF_CALL || kind == OF_RETURN) && !is_of_table()) return 0;
  bool hashes = CONSTANT(GH_CONSTANT_HASHES);
  if (hashes) forget_awaited();
  __u32 hook = CONSTANT(GH_CONSTANT_HOOK), root = image_root();
  __u32 gate_address = find_gate(hook, root);
  if (!gate_address || is_entering(hook)) return 0;
  __u32 index = scratch_claim();
  if (kind == OF_RECORD)
    take_record(index, context);
  else if (kind == OF_PROBE)
    take_operands(index, context);
  else if (kind == OF_KEPT)
    take_kept(index, context);
  else if (kind == OF_MAPPING)
    take_mapping(index, (struct perf_mmap_event*)CONTEXT(context, 1));
  else
    take_arguments(index, context);
  if (kind == OF_RETURN) take_return(index, returned(context));
  int verdict =
      pass_gate(index, hook, root, gate_address, context, own, CONSTANT(GH_CONSTANT_READS_MORE));
  if (kind == OF_PROBE) set_operands(index, context);
  if (kind == OF_PROBE || kind == OF_KEPT) forget_lost(index);
  if (hashes) verdict = await_hash(index, verdict);
  scratch_release(index);
  return verdict;
}

/* The errno that is returned: of whoever denied before, or ours, in the range that LSM hooks may
 * return and that the verifier wants to see (kernel commit 5d99e198be27). */
static __always_inline int answer(int ret, int verdict) {
  int result = ret ? ret : verdict;
  opaque(result);
  if (result < -4095 || result > 0) return -1;
  return result;
}

SEC("lsm") int gate_lsm(void* context) {
  int verdict = gate(context, OF_CALL, FRAMES_TRAMPOLINE);
  return answer(returned(context), verdict);
}

/* Behind the gate of a hook whose first argument is a file. */
SEC("lsm.s") int BPF_PROG(hash_file, struct file* file) { return answer(0, tell_hash(file)); }

/* The same, a program that is being executed. */
SEC("lsm.s") int BPF_PROG(hash_program, struct linux_binprm* bprm) {
  return answer(0, tell_hash(bprm->file));
}

SEC("fmod_ret") int gate_fmod_ret(void* context) {
  int verdict = gate(context, OF_CALL, FRAMES_TRAMPOLINE);
  return answer(returned(context), verdict);
}

SEC("fentry") int gate_fentry(void* context) {
  gate(context, OF_CALL, FRAMES_TRAMPOLINE);
  return 0;
}

SEC("fexit") int gate_fexit(void* context) {
  gate(context, OF_RETURN, FRAMES_TRAMPOLINE);
  return 0;
}

SEC("tp_btf") int gate_raw(void* context) {
  gate(context, OF_CALL, FRAMES_RAW);
  return 0;
}

SEC("tp") int gate_record(void* context) {
  gate(context, OF_RECORD, FRAMES_NONE);
  return 0;
}

SEC("uprobe") int gate_uprobe(void* context) {
  gate(context, OF_CALL, FRAMES_NONE);
  return 0;
}

SEC("uprobe") int gate_uretprobe(void* context) {
  gate(context, OF_KEPT, FRAMES_NONE);
  return 0;
}

/* Goes before a function whose return is a hook, and keeps what it is called with. */
SEC("uprobe") int keep_call(void* context) {
  __u64 hook = CONSTANT(GH_CONSTANT_HOOK);
  if (!find_gate(hook, image_root())) return 0;
  struct call call = call_of(hook, CONTEXT(context, RSP));
  struct kept kept;
  take_parameters(kept.arguments, context);
  bpf_map_update_elem(&calls, &call, &kept, BPF_ANY);
  return 0;
}

SEC("uprobe") int gate_usdt(void* context) {
  gate(context, OF_PROBE, FRAMES_NONE);
  return 0;
}

/* The kernel gives every perf event about mappings to this function; one of the agent's is there
 * for each CPU. */
SEC("fentry") int gate_loader(void* context) {
  struct perf_event* event = (struct perf_event*)CONTEXT(context, 0);
  struct perf_mmap_event* mapping = (struct perf_mmap_event*)CONTEXT(context, 1);
  if ((__u32)BPF_CORE_READ(event, attr.config1) != (__u32)CONSTANT(GH_CONSTANT_COOKIE)) return 0;
  if (BPF_CORE_READ(mapping, build_id_size)) gate(context, OF_MAPPING, FRAMES_TRAMPOLINE);
  return 0;
}

/* Both hooks in one place, judged by one image; of several errnos any one kills. */
static __always_inline int gate_by_signal(void* context, struct linux_binprm* bprm) {
  __u32 root = image_root();
  int verdict = 0;
  for (__u32 hook = 0; hook < GH_HOOK_FIRST_FREE; hook++) {
    __u32 gate_address = find_gate(hook, root);
    if (!gate_address) continue;
    __u32 index = scratch_claim();
    struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
    if (scratch) scratch->arguments[0] = (__u64)bprm;
    verdict |= pass_gate(index, hook, root, gate_address, context, FRAMES_RAW, true);
    scratch_release(index);
  }
  if (verdict) kill_current(SIGKILL);
  return 0;
}

SEC("tp_btf/sched_prepare_exec") int BPF_PROG(gate_prepare, struct task_struct* task,
                                              struct linux_binprm* bprm) {
  return gate_by_signal(ctx, bprm);
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(gate_exec, struct task_struct* task, int old_pid,
                                              struct linux_binprm* bprm) {
  return gate_by_signal(ctx, bprm);
}

/* A system call, before it or (with what it returned) after it. Nothing can be denied here. */
static __always_inline int gate_call(void* context, struct pt_regs* registers, __u64 number,
                                     bool at_return, __u64 value) {
  if (number >= GH_SYSTEM_CALLS_MAX) return 0;
  bool compat = in_compat_call();
  __u32 hook = system_calls[at_return + 2 * compat].hooks[number];
  if (!hook) return 0;
  __u32 root = image_root();
  __u32 gate_address = find_gate(hook, root);
  if (!gate_address || is_entering(hook)) return 0;
  __u32 index = scratch_claim();
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (scratch) take_registers(scratch, registers, compat);
  if (at_return) take_return(index, value);
  pass_gate(index, hook, root, gate_address, context, FRAMES_RAW, true);
  scratch_release(index);
  return 0;
}

SEC("tp_btf/sys_enter") int BPF_PROG(gate_enter, struct pt_regs* registers, long number) {
  return gate_call(ctx, registers, number, false, 0);
}

SEC("tp_btf/sys_exit") int BPF_PROG(gate_leave, struct pt_regs* registers, long value) {
  return gate_call(ctx, registers, BPF_CORE_READ(registers, orig_ax), true, value);
}

/* ---- base events ----------------------------------------------------------------------------- */

static __always_inline bool wants_base_events(void) {
  if (base_events == 1) return current_cgroup() != 0;
  return base_events != 0;
}

/* Appends argv as the new program finds it on its stack: still resident, so no fault is expected.
 */
static __always_inline __u64 append_args(struct scratch* scratch, __u64 at, __u32* flags) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  __u64 begin = BPF_CORE_READ(task, mm, arg_start);
  __u64 len = BPF_CORE_READ(task, mm, arg_end) - begin;
  if (len > GH_ARGS_MAX) {
    len = GH_ARGS_MAX;
    *flags |= GH_EXEC_ARGS_CUT;
  } else if (len > 0) {
    len--; /* without the last argument's final NUL */
  }
  opaque(len);
  opaque(at);
  if (len > GH_ARGS_MAX || at > sizeof(scratch->event) - GH_ARGS_MAX) return 0;
  if (bpf_probe_read_user(&scratch->event[at], len, (void*)begin)) {
    *flags |= GH_EXEC_ARGS_FAULT;
    return 0;
  }
  return len;
}

__noinline int post_exec(__u32 index, __u64 file) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct gh_event_exec* event = (struct gh_event_exec*)scratch->event;
  enum { BINARY = 0, CWD = 1 }; /* slots */
  struct value* binary = &scratch->values[BINARY];
  struct value* cwd = &scratch->values[CWD];
  __u32 flags = 0;

  resolve_file(index, BINARY, (struct file*)file);
  resolve_path(index, CWD, (__u64)BPF_CORE_READ(task, fs, pwd.mnt),
               (__u64)BPF_CORE_READ(task, fs, pwd.dentry));
  if (binary->unreadable) flags |= GH_EXEC_BINARY_UNREADABLE;
  if (cwd->unreadable) flags |= GH_EXEC_CWD_UNREADABLE;

  __builtin_memset(event, 0, sizeof(*event));
  fill_process(&event->process);
  __u64 end = sizeof(*event);
  event->binary_len = append_text(scratch, end, binary);
  end += event->binary_len;
  event->args_len = append_args(scratch, end, &flags);
  end += event->args_len;
  event->cwd_len = append_text(scratch, end, cwd);
  end += event->cwd_len;
  event->flags = flags;
  opaque(end);
  if (end <= sizeof(scratch->event))
    send_event(event, GH_EVENT_EXEC, end, GH_STAT_EVENTS_LOST_EXEC);
  return 0;
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(process_exec, struct task_struct* task, int old_pid,
                                              struct linux_binprm* bprm) {
  if (!wants_base_events()) return 0;
  __u32 index = scratch_claim();
  if (index == NO_SCRATCH) {
    count(GH_STAT_EVENTS_LOST_EXEC);
    return 0;
  }
  post_exec(index, (__u64)BPF_CORE_READ(bprm, file));
  scratch_release(index);
  return 0;
}

/* The last thread of a process. Two that exit at once may both see no thread alive and post twice;
 * the agent takes the first. */
SEC("tp_btf/sched_process_exit") int BPF_PROG(process_exit, struct task_struct* task) {
  if (task->signal->live.counter > 0 || !wants_base_events()) return 0;
  struct gh_event_exit event = {};
  fill_process(&event.process);
  __u32 group_code = task->signal->group_exit_code;
  event.code = group_code ? group_code : task->exit_code;
  send_event(&event, GH_EVENT_EXIT, sizeof(event), GH_STAT_EVENTS_LOST_EXIT);
  return 0;
}

/* ---- the past of processes, loaded once a policy asks for it ----------------------------------
 */

/* Claims scratch memory for the path of a file, its digest is to be the last; or NO_SCRATCH. */
static __always_inline __u32 digest_file(struct file* file) {
  __u32 index = scratch_claim();
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) {
    count(GH_STAT_LINEAGE_UNKNOWN);
    return NO_SCRATCH;
  }
  resolve_file(index, 0, file);
  scratch->root = 0;
  sip_start(scratch);
  intern_at(index, 0, FORWARD, scratch->values[0].len); /* for the digest alone */
  return index;
}

/* Before any policy judges the execution: what is traced is entered before LSM hooks. Here it is
 * the file that execve names; what interprets it comes later. */
SEC("fentry/security_bprm_creds_for_exec") int BPF_PROG(lineage_execve, struct linux_binprm* bprm) {
  __u32 index = digest_file(BPF_CORE_READ(bprm, file));
  if (index == NO_SCRATCH) return 0;
  begin_execution(index);
  scratch_release(index);
  return 0;
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(lineage_exec, struct task_struct* task, int old_pid,
                                              struct linux_binprm* bprm) {
  __u32 index = digest_file(BPF_CORE_READ(bprm, file));
  if (index == NO_SCRATCH) return 0;
  begin_program(index, is_interpreted(bprm));
  scratch_release(index);
  return 0;
}

/* A process begins as its parent is; a thread is none. */
SEC("tp_btf/sched_process_fork") int BPF_PROG(lineage_fork, struct task_struct* parent,
                                              struct task_struct* child) {
  struct gh_lineage lineage;
  struct gh_lineage* before = child->pid == child->tgid ? lineage_of(parent) : 0;
  if (!before || bpf_probe_read_kernel(&lineage, sizeof(lineage), before)) return 0;
  lineage.start_ticks = start_ticks_of(child);
  keep_lineage(child, &lineage);
  return 0;
}

SEC("tp_btf/sched_process_exit") int BPF_PROG(lineage_exit, struct task_struct* task) {
  __u32 pid = task->tgid;
  if (task->signal->live.counter == 0) bpf_map_delete_elem(&lineages, &pid);
  return 0;
}

/* ---- containers, loaded with the first that a runtime tells of ---------------------------------
 */

/* The runtime's process becomes the container's: past the point of no return, before the first
 * instruction of the new program. */
SEC("tp_btf/sched_process_exec") int BPF_PROG(entered, struct task_struct* task, int old_pid,
                                              struct linux_binprm* bprm) {
  __u32 pid = task->tgid;
  if (*(volatile __u32*)&n_entering && !bpf_map_delete_elem(&entering, &pid))
    atomic_add(&n_entering, -1);
  return 0;
}

/* ---- cgroups --------------------------------------------------------------------------------- */

/* Ids are unique within one hierarchy; the unified one has number 0. */
static __always_inline bool is_unified(struct cgroup* cgroup) {
  return cgroup->root->hierarchy_id == 0;
}

SEC("tp_btf/cgroup_mkdir") int BPF_PROG(cgroup_created, struct cgroup* cgroup) {
  struct cgroup_subsys_state* parent = cgroup->self.parent;
  if (!is_unified(cgroup) || !parent) return 0;
  __u64 parent_id = parent->cgroup->kn->id, id = cgroup->kn->id;
  struct gh_cgroup* inherited = bpf_map_lookup_elem(&cgroups, &parent_id);
  if (!inherited) return 0;
  struct gh_cgroup copy = *inherited;
  if (bpf_map_update_elem(&cgroups, &id, &copy, BPF_NOEXIST)) count(GH_STAT_CGROUP_UNTRACKED);
  return 0;
}

SEC("tp_btf/cgroup_release") int BPF_PROG(cgroup_gone, struct cgroup* cgroup) {
  __u64 id = cgroup->kn->id;
  if (is_unified(cgroup)) bpf_map_delete_elem(&cgroups, &id);
  return 0;
}
