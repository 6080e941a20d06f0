// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Baseline: a program that does nothing: what the kernel's own measuring of a program costs.
 */
#include "bpf/kernel_types.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("lsm/bprm_creds_for_exec") int BPF_PROG(on_lsm, struct linux_binprm* bprm, int ret) {
  return ret ? -1 : 0;
}

SEC("tp_btf/sched_prepare_exec") int BPF_PROG(on_prepare_exec, struct task_struct* task,
                                              struct linux_binprm* bprm) {
  return 0;
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(on_process_exec, struct task_struct* task, int pid,
                                              struct linux_binprm* bprm) {
  return 0;
}
