// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "compile/image.h"
#include "compile/program.h"
#include "kernel/kernel.h"
#include "kernel/skeleton.h"

namespace gatehouse::kernel {

/// The past of processes (struct gh_lineage): kept from the first policy on that asks for it, by
/// programs on fork, execve and exit. What ran before is read from /proc once: its programs are
/// those of the ancestors that it still has, it began with what it has then, and its script is what
/// it says itself.
/// Not thread-safe.
class Lineages {
 public:
  /// `shared` outlives it. `scripts`: they are kept, which takes a program on an LSM hook.
  Lineages(const gatehouse_bpf& shared, const compile::DigestKey& key, bool scripts)
      : shared_(shared), key_(key), scripts_(scripts) {}

  /// Whether a hook's rules look at it.
  [[nodiscard]] static bool IsAskedBy(const compile::HookProgram& hook);
  /// Nothing, once it has succeeded. Errors, and nothing is kept: the kernel refuses a program.
  [[nodiscard]] Result<void> Start();
  /// Those that are loaded.
  [[nodiscard]] std::vector<ProgramStatus> programs() const;

 private:
  void ReadRunning() const;

  const gatehouse_bpf& shared_;
  const compile::DigestKey key_;
  const bool scripts_;
  Skeleton skeleton_;  ///< null: not started
  std::vector<Link> links_;
};

/// A process as /proc shows it.
struct RunningProcess {
  uint32_t pid = 0;
  uint32_t parent = 0;
  std::string program;   ///< path; empty: it has none, or it cannot be read
  gh_lineage lineage{};  ///< without programs
};

/// The path of the file that a process was started as, if that is a script (begins with `#!`), as
/// its root directory has it; empty: none. The name is in memory of the process, which can change
/// it: of what runs before the agent nobody else has kept it. `process`: its directory in /proc.
[[nodiscard]] std::string ScriptOf(const std::string& process);

/// All processes. `proc`: /proc or what stands in its place. Those that end meanwhile are left out.
[[nodiscard]] std::vector<RunningProcess> ReadProcesses(const std::string& proc);
/// The programs of a process and of its ancestors, its own first, each once, at most
/// GH_PROGRAMS_MAX.
[[nodiscard]] std::vector<std::string> ProgramsOf(const RunningProcess& process,
                                                  const std::vector<RunningProcess>& all);

}  // namespace gatehouse::kernel
