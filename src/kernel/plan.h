// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "abi/gatehouse.h"

namespace gatehouse::kernel {

/// How a program gets to a place in the kernel.
enum class Way {
  kLsm,        ///< BPF LSM: returns an errno
  kFmodRet,    ///< in front of a security_* function: returns an errno
  kFentry,     ///< in front of any function that has a trampoline: returns nothing
  kFexit,      ///< at the return of any function that has a trampoline
  kRaw,        ///< a tracepoint, by the arguments of its call
  kRecord,     ///< a tracepoint, by the fields of its record
  kUprobe,     ///< a function, or any instruction, of a program
  kUretprobe,  ///< the return of a function of a program
  kLoader,     ///< where a process maps what it executes
  kUsdt,       ///< a place of a static probe of a program
  kSignal,     ///< backend signal: the tracepoint of executions
  kEnter,      ///< backend signal: the tracepoint of system calls
  kLeave,      ///< backend signal: the tracepoint of system calls that return
};
/// Whether one program serves all places of that way.
[[nodiscard]] constexpr bool IsShared(Way way) {
  return way == Way::kSignal || way == Way::kEnter || way == Way::kLeave;
}

/// Whether it is a place in a program, not in the kernel.
[[nodiscard]] constexpr bool IsOfProgram(Way way) {
  return way == Way::kUprobe || way == Way::kUretprobe || way == Way::kUsdt;
}

/// An argument of a kernel function.
struct Parameter {
  bool readable = false;  ///< by a program, on every kernel from 5.10 on
  bool pointer = false;
  uint32_t bytes = 0;        ///< of a number
  bool is_signed = false;    ///< of a number
  std::string pointee = {};  ///< name of the struct; "char", "void"; empty: something else
  /// Of a field of a tracepoint: see GH_PLACE; of an argument of a static probe: see GH_OPERAND.
  uint32_t place = 0;
  int32_t number = 0;        ///< of an argument of a static probe: see GH_OPERAND
  std::string operand = {};  ///< of an argument of a static probe: as the file has it
  /// Whether a program reads both alike, for which signs do not count.
  bool operator==(const Parameter& other) const {
    return readable == other.readable && pointer == other.pointer && bytes == other.bytes &&
           pointee == other.pointee && place == other.place && number == other.number &&
           operand == other.operand;
  }
};

/// A place in the running kernel, and how it is served.
struct Plan {
  Way way = Way::kLsm;
  std::string target;  ///< what a program is attached to: LSM hook, function
  std::vector<Parameter> parameters;
  Parameter returned = {};                     ///< with kFexit: what the function returns
  bool overrides = false;                      ///< an errno can be returned
  gh_registers registers = GH_REGISTERS_NONE;  ///< where the parameters are
  gh_table table = GH_TABLE_ANY;               ///< of a system call
  std::optional<uint32_t> system_call = {};    ///< of kEnter and kLeave: its number
  uint64_t offset = 0;                         ///< of places in programs: in the file
  uint64_t counter = 0;                        ///< ... where what counts is, or 0: see policy::Hook
  bool writes = false;                         ///< of kUsdt: see GH_CONSTANT_WRITES

  /// Bit per argument that a program may read and a policy can name.
  [[nodiscard]] uint32_t readable() const;
};

}  // namespace gatehouse::kernel
