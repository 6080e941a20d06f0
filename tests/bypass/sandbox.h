// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

/// What a process of a workload does on its way to an execve. All of it is meant for a child
/// process: a system call that has to work and does not ends the child with a message (see Must),
/// and the attempt with an outcome that no test expects.
namespace gatehouse::bypass {

/// Exit status of a child whose preparation failed.
inline constexpr int kBrokenStatus = 126;

/// `result` if it is not negative; else says what failed and ends this process with kBrokenStatus.
int Must(long result, const char* what);

/// Calls `execute`; an exception, which must not reach the tests' code in a child, ends this
/// process.
[[nodiscard]] int Guarded(const std::function<int()>& execute);

/// execve, execveat. Return only if it failed: errno.
[[nodiscard]] int Exec(const std::string& program, std::vector<std::string> arguments = {},
                       std::vector<std::string> environment = {});
[[nodiscard]] int ExecAt(int directory, const std::string& program, int flags,
                         std::vector<std::string> arguments = {"program"});
/// execveat with AT_EMPTY_PATH: the file behind a descriptor.
[[nodiscard]] int ExecDescriptor(int descriptor);

/// Waits for a child of this process and ends as it ended: with its exit status, or by its signal.
[[noreturn]] void EndAs(pid_t child);
/// Runs `execute` in the child that `fork_child` makes, and ends as it ended; returns only if its
/// execve failed: errno.
[[nodiscard]] int InChild(const std::function<pid_t()>& fork_child,
                          const std::function<int()>& execute);
/// The same, made with the flags of clone(2) (0: as fork).
[[nodiscard]] int InChild(unsigned flags, const std::function<int()>& execute);

/// Writes to a file that exists. False with errno.
[[nodiscard]] bool Write(const std::string& path, const std::string& text);
/// Appends or creates; for files of tests.
void WriteFile(const std::string& path, const std::string& text, mode_t mode);

/// A mount namespace of this process alone; nothing that is mounted in it is seen elsewhere.
void NewMountNamespace();
/// The same without any privilege: as the user nobody, in a user namespace of its own.
void NewUserAndMountNamespace();
void MountTmpfs(const std::string& directory);
void Bind(const std::string& from, const std::string& to);

}  // namespace gatehouse::bypass
