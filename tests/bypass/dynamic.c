// SPDX-License-Identifier: Apache-2.0
// A program that is linked dynamically: what the loader and LD_PRELOAD are tried with.
int main(void) { return STATUS; }
