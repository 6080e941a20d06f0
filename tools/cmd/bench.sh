#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run bench: measures Gatehouse beside two baselines, on this machine's kernel.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"

usage() {
  cat <<'TEXT'
Usage: ./run bench [--quick] [maps|memory|decision|values|updates|exec]...

Prints tables and writes JSON beside them into bench-results/. Needs root. Without a choice: all.
With another kernel, or 96 possible CPUs:

  ./run vm --possible-cpus 96 --memory 4096 -- gatehouse-bench memory
TEXT
}

quick=()
names=()
while (($# > 0)); do
  case $1 in
    --quick) quick=(--quick) ;;
    maps | memory | decision | values | updates | exec) names+=("$1") ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) die_usage "bench knows no \"$1\"; see ./run bench --help" ;;
  esac
  shift
done
((${#names[@]} > 0)) || names=(maps memory decision values updates exec)

build_dir=${GATEHOUSE_BUILD:-$project_root/build}
packages_ensure build
"$tools/cmd/build.sh" --target gatehouse-bench >&2
results=$project_root/bench-results
mkdir -p "$results"
for name in "${names[@]}"; do
  "$build_dir/bin/gatehouse-bench" "${quick[@]}" --json "$results/$name.json" "$name"
done
