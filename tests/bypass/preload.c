// SPDX-License-Identifier: Apache-2.0
// A library for LD_PRELOAD: takes the program over before its main function.
#include <unistd.h>

__attribute__((constructor)) static void TakeOver(void) { _exit(STATUS); }
