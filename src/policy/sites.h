// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "policy/model.h"

/// The places that hooks name, and what is judged there.
namespace gatehouse::policy {

/// The hooks of executions. Backend signal has one place for both.
extern const Site kCredsForExec;  ///< lsmhooks bprm_creds_for_exec, once for each execve
extern const Site kBprmCheck;     ///< lsmhooks bprm_check_security, once for each format step

[[nodiscard]] inline bool IsOfExec(const Site& site) {
  return site == kCredsForExec || site == kBprmCheck;
}

/// The place that a hook of kprobes or lsmhooks names, before the function.
[[nodiscard]] Site SiteOf(HookKind kind, std::string_view call);
/// The place where a hook is judged: with `return: true`, when the function returns.
[[nodiscard]] Site SiteOf(const Hook& hook);
/// With `return: true`, the place where selectors of the hook that ActBefore are carried out.
[[nodiscard]] Site SiteBefore(const Hook& hook);

/// Whether it is a place in a program, not in the kernel.
[[nodiscard]] inline bool IsOfProgram(const Site& site) {
  return site.kind == Site::Kind::kUprobe || site.kind == Site::Kind::kUsdt;
}

/// Whether a selector changes what the process does: by Override, Sigkill, Signal, Set or
/// NotifyEnforcer.
[[nodiscard]] bool Enforces(const Selector& selector);
/// Whether a selector of a hook with `return: true` acts before the function, as its actions change
/// what the process does: all that do, unless they look at what is returned.
[[nodiscard]] bool ActsBefore(const Selector& selector);
[[nodiscard]] bool LooksAtReturn(const Selector& selector);

/// Whether the arguments are a process's: numbers, and addresses in its memory.
[[nodiscard]] bool HasArgumentsOfProcess(const Site& site);

/// The function that is at the place, or the LSM hook: `__x64_sys_openat`, `security_file_open`;
/// of a system call of the 32-bit table `__ia32_sys_openat`, though the kernel may have others.
[[nodiscard]] std::string FunctionName(const Site& site);
/// As events name it: FunctionName of a system call, else the hook's `call`.
[[nodiscard]] std::string FunctionName(const Hook& hook);
/// For messages and status: `security_file_open`, `sys_openat`, `i386/sys_openat`,
/// `sys_openat at its return`,
/// `tracepoint sched/sched_switch`, `raw tracepoint sched_switch`, `/bin/bash:readline`,
/// `/usr/bin/python3:python:line, place 2`.
[[nodiscard]] std::string NameOf(const Site& site);

}  // namespace gatehouse::policy
