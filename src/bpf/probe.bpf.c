// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs that only tell whether a way to attach works here: loaded, attached, provoked by one
 * getpgid() of the agent, and unloaded again. A BPF LSM that is compiled in but not in the lsm=
 * list loads and attaches, and is never called: hence the provocation.
 */
#include "bpf/kernel_types.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 caller; /* thread group id whose calls count */
__u64 runs;
__u64 later_was_first;

static __always_inline void note(void) {
  if (bpf_get_current_pid_tgid() >> 32 == caller) runs++;
}

SEC("lsm/task_getpgid") int BPF_PROG(probe_lsm, struct task_struct* task, int ret) {
  note();
  return ret;
}

/* Attached after probe_lsm. */
SEC("lsm/task_getpgid") int BPF_PROG(probe_later, struct task_struct* task, int ret) {
  if (bpf_get_current_pid_tgid() >> 32 == caller) later_was_first = runs == 0;
  return ret;
}

SEC("fmod_ret/security_task_getpgid") int BPF_PROG(probe_fmod_ret, struct task_struct* task,
                                                   int ret) {
  note();
  return ret;
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(probe_signal) { return 0; }
