// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// What addresses of stacks are called.
namespace gatehouse::event {

/// One function of a stack. What is not known is empty.
struct Frame {
  uint64_t address = 0;  ///< to where it returns; where the program entered the kernel: of that
  uint64_t offset = 0;   ///< of the kernel: in the function; of a program: in the file
  std::string symbol = {};
  std::string module = {};  ///< of a program: the path of the file
};

/// A program that a process ran, and whether it still does.
struct ProgramId {
  uint32_t pid = 0;          ///< thread group, initial pid namespace
  uint64_t start_ns = 0;     ///< of the process, CLOCK_BOOTTIME
  uint64_t start_stack = 0;  ///< of its memory: each execve has another one
};

/// Where names are looked up; a fake in tests. One thread.
class SymbolSource {
 public:
  virtual ~SymbolSource() = default;
  /// Fills in the names of functions of the kernel, as far as they are known; frames of what calls
  /// programs at a tracepoint, at the beginning, are removed. False: no names can be had.
  [[nodiscard]] virtual bool NameKernel(std::vector<Frame>* frames) = 0;
  /// The same of functions of a program. False: it is not running any more, or took too long.
  [[nodiscard]] virtual bool NameProgram(const ProgramId& program, std::vector<Frame>* frames) = 0;
};

}  // namespace gatehouse::event
