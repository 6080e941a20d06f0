// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>

/// System calls of the 32-bit table, which a process of 64 bits can make as well.
namespace gatehouse::test {

/// As syscall(2), with a number of that table. Pointers must be below 4 GiB.
inline long CompatCall(long number, long first = 0, long second = 0) {
  constexpr long kErrnoMax = 4095;
  long result = number;
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(first), "c"(second)
               : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0 || result < -kErrnoMax) return result;
  errno = static_cast<int>(-result);
  return -1;
}

// arch/x86/entry/syscalls/syscall_32.tbl
inline constexpr long kCompatGetpid = 20;
inline constexpr long kCompatMkdir = 39;
inline constexpr long kCompatDup = 41;

}  // namespace gatehouse::test
