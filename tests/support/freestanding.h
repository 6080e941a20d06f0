/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test program needs that is static and has no C library, so that nothing but itself is
 * executed or opened. It defines Main, which gets the stack as the kernel leaves it and never
 * returns.
 */
#ifndef GATEHOUSE_TESTS_SUPPORT_FREESTANDING_H_
#define GATEHOUSE_TESTS_SUPPORT_FREESTANDING_H_

#include <asm/unistd.h>

__attribute__((noreturn, used)) void Main(long* stack);

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call Main\n");

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

#endif /* GATEHOUSE_TESTS_SUPPORT_FREESTANDING_H_ */
