#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run bench: measures Gatehouse beside two baselines, on this machine's kernel and in virtual machines.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"

usage() {
  cat <<'TEXT'
Usage: ./run bench [--quick] [--here|--vm] [BENCHMARK]...

Prints tables, writes them as JSON to bench-results/, and ends with the figures beside their targets. Without
names, all benchmarks; each where it tells most (docs/benchmarks.md says why there):

  maps      programs and maps by number of policies             here, and in a virtual machine with BPF LSM
  memory    kernel memory of 10,000 policies                    96 possible CPUs
  decision  cost of one decision, 10,000 policies against 1     here, and counted in instructions
  values    cost of one decision by values and length of path   here, and counted in instructions
  updates   a policy added, replaced, deleted                   here
  exec      an exec by number of policies                       here, in a virtual machine, and in instructions
  hooks     policies on opened files; on 64 hooks               here, in a virtual machine, and in instructions
  events    events decoded and written by one core              here
  daemon    gatehoused: RPC to enforced, start, memory          here
  oci       the runtime hook, added to a container's start      here

  --quick   fewer policies and rounds: whether all of it works, not what it costs
  --here    only what runs on this machine's kernel; needs root
  --vm      only what runs in virtual machines

The other work of the machine disturbs what runs here; instructions are the same in every run.
TEXT
}

readonly all=(maps memory decision values updates exec hooks events daemon oci)
readonly mark='---- the report follows ----'
readonly vm_timeout_s=5400

quick=()
places=(here vm)
names=()
while (($# > 0)); do
  case $1 in
    --quick) quick=(--quick) ;;
    --here) places=(here) ;;
    --vm) places=(vm) ;;
    --help | -h)
      usage
      exit 0
      ;;
    *)
      [[ " ${all[*]} " == *" $1 "* ]] || die_usage "bench knows no \"$1\"; see ./run bench --help"
      names+=("$1")
      ;;
  esac
  shift
done
((${#names[@]} > 0)) || names=("${all[@]}")

build_dir=${GATEHOUSE_BUILD:-$project_root/build}
results=$project_root/bench-results
written=()
failed=()

# bench_here NAME: on this machine's kernel.
bench_here() {
  local report=$results/$1-here.json
  note "--- $1, on this machine's kernel"
  if ((EUID != 0)); then
    failed+=("$1 here: needs root")
  elif "$build_dir/bin/gatehouse-bench" "${quick[@]}" --json "$report" "$1"; then
    written+=("$report")
  else
    failed+=("$1 here")
  fi
}

# bench_vm NAME LABEL [OPTION]...: in a virtual machine with these options of ./run vm; what it prints after the mark is
# the report.
bench_vm() {
  local name=$1 label=$2 report options=("${quick[@]}")
  report=$results/$name-$label.json
  shift 2
  if [[ " $* " == *" --instruction-clock "* ]]; then options+=(--instructions); fi
  note "--- $name, in a virtual machine ($label)"
  if GATEHOUSE_BUILD=$vm_build "$tools/cmd/vm.sh" --timeout "$vm_timeout_s" "$@" -- sh -c \
    "gatehouse-bench ${options[*]} --json /tmp/report.json $name && echo '$mark' && cat /tmp/report.json" |
    awk -v mark="$mark" -v report="$report.new" '$0 == mark { found = 1; next } found { print > report; next } { print; fflush() }'; then
    mv "$report.new" "$report"
    written+=("$report")
  else
    rm -f "$report.new"
    failed+=("$name in the virtual machine ($label)")
  fi
}

bench() {
  local name=$1 place
  for place in "${places[@]}"; do
    case $place-$name in
      here-memory) ;;
      here-*) bench_here "$name" ;;
      vm-maps) bench_vm "$name" vm --memory 2048 ;;
      vm-memory) bench_vm "$name" vm-96-cpus --possible-cpus 96 --memory 6144 ;;
      vm-decision | vm-values) bench_vm "$name" vm-instructions --memory 2048 --instruction-clock ;;
      vm-exec | vm-hooks)
        bench_vm "$name" vm --memory 2048
        bench_vm "$name" vm-instructions --memory 2048 --instruction-clock
        ;;
    esac
  done
}

packages_ensure build
"$tools/cmd/build.sh" --target gatehouse-bench --target gatehoused --target gatehouse-oci-hook >&2
mkdir -p "$results"
# The guest's file system is memory: nothing but the benchmark is there.
vm_build=$build_dir/bench-vm
mkdir -p "$vm_build/bin"
cp -u "$build_dir/bin/gatehouse-bench" "$vm_build/bin/"

if commit=$(git -C "$project_root" describe --always --dirty 2>/dev/null); then note "run bench: commit $commit"; fi
for name in "${names[@]}"; do bench "$name"; done
if ((${#written[@]} > 0)); then "$build_dir/bin/gatehouse-bench" summary "${written[@]}"; fi
if ((${#failed[@]} > 0)); then
  note "run bench: not measured:"
  printf '  %s\n' "${failed[@]}" >&2
  exit 1
fi
