// SPDX-License-Identifier: Apache-2.0
/*
 * The program that kernel tests run under many names: static and without a C library, so that
 * nothing but itself is executed or opened.
 *
 *   actor                            exits with 0
 *   actor exit STATUS
 *   actor exec FD PROGRAM [WORD]...  executes PROGRAM with the words; if that fails, writes errno
 * and the number of words from PROGRAM on to FD, as two ints, and exits with 127
 */
#include "support/freestanding.h"

void Main(long* stack) {
  const long argc = stack[0];
  char** argv = (char**)(stack + 1);
  char** environment = argv + argc + 1;
  int status = 0;
  if (argc >= 3 && IsWord(argv[1], "exit")) {
    status = Number(argv[2]);
  } else if (argc >= 4 && IsWord(argv[1], "exec")) {
    const int report[2] = {
        (int)-Call3(__NR_execve, (long)argv[3], (long)(argv + 3), (long)environment),
        (int)argc - 3};
    Call3(__NR_write, Number(argv[2]), (long)report, sizeof(report));
    status = 127;
  }
  for (;;) Call3(__NR_exit_group, status, 0, 0);
}
