#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every kernel suite in a virtual machine with one backend: suite.sh lsm|fmod_ret|signal.
# A suite that fails, or that skips a test, fails the whole.
export GATEHOUSE_BACKEND="$1"
kernel=$(uname -r)
# Emulated CPUs: each of the nine suites takes its part of the random cases (1,000 in all, beside 2,000 on this machine's
# own kernel), of the changes under fire and of the workloads. All that these numbers are about is code that backends and
# kernels share, so there are more of them with lsm on the newest kernel. The others leave out, for the same reason: each
# operator once more on matchBinaries, sixty-four hooks at once, a gate with too many policies, a ring buffer that is
# full, all system calls at once, which base events there are; of the ways around, each on both hooks, but with one kind
# of list on either; and the tests of preemption, which ask nothing of a kernel that has none.
filter='*'
if [ "$1" = lsm ] && [ "${kernel#6.12}" != "$kernel" ]; then
  export GATEHOUSE_CASES=200 GATEHOUSE_FLIPS=100 GATEHOUSE_RUNS=1000
else
  export GATEHOUSE_CASES=100 GATEHOUSE_FLIPS=50 GATEHOUSE_RUNS=250 GATEHOUSE_ROUNDS=10 GATEHOUSE_WORKLOADS=50
  filter='-*Operators.Binary/*:*.ManyHooksAndNoMapMore/*:*.MorePoliciesThanAGateHoldsAreRefused:Preemption.*'
  filter="$filter:Loss.*:*.AllSystemCallsCanBeAttachedTo:BaseEventOptions.*:*/creds_deny_list:*/check_allow_list"
fi
# A backend is how executions and LSM hooks are entered and denied. What other hooks are, how arguments are read and
# values compared, and which events there are is the same code with each: lsm tests it, on the oldest kernel and on the
# newest.
same=
if [ "$1" != lsm ] || [ "${kernel#6.1.}" != "$kernel" ]; then
  same="Uprobes UprobeReturns Usdts Loader Tracepoints Lists Buffers Resolve Values Rates SocketAgreement
    */Sockets */SocketOwners */ArgumentTexts */ArgumentTypes"
fi
# With trampolines there is one way to enter system calls, too; backend signal has another.
if [ "$1" = fmod_ret ]; then
  same="$same SystemCalls SocketCalls CompatCalls Enforcers Callers Ancestors LineagesTest Stacks SameFile
    */ResolveHooks */StacksOfFunctions */SameFileHooks"
fi
set -f # the names are patterns, and not of files
for suite in $same; do filter="$filter:$suite.*"; done
set +f
status=0

# The tests of preemption need a kernel that takes the CPU from a task anywhere; fmod_ret must not be used on one.
if grep -q 'preempt=full' /proc/cmdline; then
  if ! grep -q '(full)' /sys/kernel/debug/sched/preempt; then
    status=1
    echo "no full preemption, which preempt=full on the kernel's command line asks for: FAILED"
  fi
  if ! gatehoused --probe 2>&1 | grep -q '^fmod_ret: this kernel is fully preemptible'; then
    status=1
    echo "fmod_ret is not refused on a kernel that leaves its programs out: FAILED"
  fi
fi

# For the tests and for the demo: what vm.sh copies.
export GATEHOUSE_CORPUS=/copy/corpus/policies

# The daemon is the same everywhere; what it runs on, lsm shows on each kernel.
suites='kernel_test bypass_test host_test'
if [ "$1" = lsm ]; then suites="$suites e2e_test"; fi

for suite in $suites; do
  log=/tmp/$suite.log
  if "$suite" --gtest_filter="$filter" >"$log" 2>&1 && ! grep -q '^\[  SKIPPED \]' "$log"; then
    # The seed and the number of random cases as well: a run that is repeated needs them.
    grep -E '^seed |^[0-9]+ cases: |^verified: ' "$log"
    echo "$suite, backend $1: $(grep -E '^\[  PASSED  \]' "$log")"
  else
    status=1
    echo "$suite, backend $1: FAILED"
    grep -vE '^\[ RUN  |^\[       OK|^\[-----' "$log" | head -n 400
  fi
done

log=/tmp/demo.log
if gatehouse-demo --backend "$1" --policies /copy/demo/policies.yaml >"$log" 2>&1; then
  echo "gatehouse-demo, backend $1: $(tail -n 1 "$log")"
else
  status=1
  echo "gatehouse-demo, backend $1: FAILED"
  cat "$log"
fi
exit $status
