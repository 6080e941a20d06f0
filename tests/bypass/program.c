// SPDX-License-Identifier: Apache-2.0
/*
 * The program that the ways around are tried with. Static and without a C library, so that nothing
 * but itself is executed or opened; built twice, so that the exit status tells which of two files
 * ran.
 *
 *   program                     exits with STATUS
 *   program exit NUMBER         exits with NUMBER
 *   program exec PROGRAM        executes PROGRAM; if that fails, exits with 100 + errno
 *   program unlink-exec PROGRAM the same, after it deleted the file that argv[0] names
 */
#include <asm/unistd.h>

#ifndef STATUS
#error "STATUS: the exit status"
#endif

static long Call3(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c)
                   : "rcx", "r11", "memory");
  return result;
}

static int Number(const char* text) {
  int number = 0;
  for (; *text >= '0' && *text <= '9'; ++text) number = number * 10 + (*text - '0');
  return number;
}

static int IsWord(const char* text, const char* word) {
  while (*text != '\0' && *text == *word) ++text, ++word;
  return *text == *word;
}

__attribute__((noreturn, used)) void Main(long* stack) {
  const long argc = stack[0];
  char** argv = (char**)(stack + 1);
  char** environment = argv + argc + 1;
  int status = STATUS;
  if (argc == 3 && IsWord(argv[1], "exit")) {
    status = Number(argv[2]);
  } else if (argc == 3 && IsWord(argv[1], "exec")) {
    status = 100 - (int)Call3(__NR_execve, (long)argv[2], (long)(argv + 2), (long)environment);
  } else if (argc == 3 && IsWord(argv[1], "unlink-exec")) {
    Call3(__NR_unlink, (long)argv[0], 0, 0);
    status = 100 - (int)Call3(__NR_execve, (long)argv[2], (long)(argv + 2), (long)environment);
  }
  for (;;) Call3(__NR_exit_group, status, 0, 0);
}

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call Main\n");
