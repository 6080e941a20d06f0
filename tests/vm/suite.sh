#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every kernel suite in a virtual machine with one backend: suite.sh lsm|fmod_ret|signal.
# A suite that fails, or that skips a test, fails the whole.
export GATEHOUSE_BACKEND="$1"
# Emulated CPUs: each of the nine suites takes its part of the random cases and of the changes under fire.
export GATEHOUSE_CASES=600 GATEHOUSE_FLIPS=100 GATEHOUSE_RUNS=1000
status=0
for suite in kernel_test bypass_test; do
  log=/tmp/$suite.log
  if "$suite" >"$log" 2>&1 && ! grep -q '^\[  SKIPPED \]' "$log"; then
    echo "$suite, backend $1: $(grep -E '^\[  PASSED  \]' "$log")"
  else
    status=1
    echo "$suite, backend $1: FAILED"
    grep -vE '^\[ RUN  |^\[       OK|^\[-----' "$log" | head -n 400
  fi
done
exit $status
