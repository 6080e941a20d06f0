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
#include "support/freestanding.h"

#ifndef STATUS
#error "STATUS: the exit status"
#endif

void Main(long* stack) {
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
