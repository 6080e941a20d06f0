// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Static probes (USDT) for tests, without <sys/sdt.h>: what its macros make of one is an
/// instruction that does nothing, and a note about it.
/// https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation

/// A probe as text for `asm volatile`. All are texts; `counter` is a symbol, or "0". In
/// `arguments`, `%0` is an operand of the assembly, and a register is `%%rdi`.
#define GATEHOUSE_STATIC_PROBE(provider, name, arguments, counter)        \
  "990: nop\n"                                                            \
  ".pushsection .note.stapsdt,\"\",\"note\"\n"                            \
  ".balign 4\n"                                                           \
  ".4byte 992f-991f, 994f-993f, 3\n"                                      \
  "991: .asciz \"stapsdt\"\n"                                             \
  "992: .balign 4\n"                                                      \
  "993: .8byte 990b, _.stapsdt.base, " counter                            \
  "\n"                                                                    \
  ".asciz \"" provider                                                    \
  "\"\n"                                                                  \
  ".asciz \"" name                                                        \
  "\"\n"                                                                  \
  ".asciz \"" arguments                                                   \
  "\"\n"                                                                  \
  "994: .balign 4\n"                                                      \
  ".popsection\n"                                                         \
  ".ifndef _.stapsdt.base\n"                                              \
  ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
  ".weak _.stapsdt.base\n"                                                \
  ".hidden _.stapsdt.base\n"                                              \
  "_.stapsdt.base: .space 1\n"                                            \
  ".size _.stapsdt.base, 1\n"                                             \
  ".popsection\n"                                                         \
  ".endif\n"
