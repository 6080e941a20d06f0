// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <string>
#include <string_view>

/// What can be attached to, as far as that is found out without attaching anything.
namespace gatehouse::kernel {

/// What the function of a system call without parameters begins with (SYSCALL_DEFINE0 in
/// arch/x86/include/asm/syscall_wrapper.h).
inline constexpr std::string_view kWithoutParameters = "__do_sys_";

/// What BPF LSM attaches to.
[[nodiscard]] inline std::string HookOfLsm(const std::string& name) { return "bpf_lsm_" + name; }

/// Whether the kernel takes a program for a function, by its number in BTF: it says so when it is
/// asked to load one. `sleeps`: one that may.
[[nodiscard]] bool TakesProgram(bpf_prog_type type, bpf_attach_type attach, uint32_t function,
                                bool sleeps = false);

/// Whether the kernel takes programs that write to memory of processes.
[[nodiscard]] bool MayWriteToProcesses();

}  // namespace gatehouse::kernel
