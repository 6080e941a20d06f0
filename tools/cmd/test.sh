#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run test: builds, then runs all tests: unit, on this machine's kernel, on Debian's kernels.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"

usage() {
  cat <<'TEXT'
Usage: ./run test [--unit] [--kernel] [--vm] [--sanitize address|thread]

Installs what is needed, builds and tests, and ends with CTest's summary. Without a choice:
--unit --kernel --vm.

  --unit      what needs neither root nor a kernel
  --kernel    on this machine's kernel, with the best backend that it allows
  --vm        on Debian's 5.10, 6.1 and 6.12 in virtual machines, each with backends lsm, fmod_ret and signal
  --sanitize  the unit tests in a build with AddressSanitizer and UBSan, or with ThreadSanitizer

Where this kernel or your rights allow no BPF, the kernel tests run in the virtual machines only.
TEXT
}

labels=()
build_args=()
build_dir=${GATEHOUSE_BUILD:-$project_root/build}
while (($# > 0)); do
  case $1 in
    --unit | --kernel | --vm) labels+=("${1#--}") ;;
    --sanitize)
      build_args=(--sanitize "${2:?--sanitize takes address or thread}")
      case $2 in
        address) build_dir=$project_root/build-asan ;;
        thread) build_dir=$project_root/build-tsan ;;
        *) die_usage "--sanitize takes address or thread" ;;
      esac
      labels=(unit)
      shift
      ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) die_usage "test knows no \"$1\"; see ./run test --help" ;;
  esac
  shift
done
((${#labels[@]} > 0)) || labels=(unit kernel vm)
wants() { [[ " ${labels[*]} " == *" $1 "* ]]; }

packages_ensure build
if wants kernel; then packages_ensure containers; fi
# What the virtual machines are made of is downloaded while the compiler is busy.
fetching=
if wants vm; then
  packages_ensure vm
  "$tools/cmd/vm.sh" --fetch &
  fetching=$!
  trap 'kill "$fetching" 2>/dev/null || true' EXIT # if the build fails
fi
note "Building (ten minutes or so the first time)."
"$tools/cmd/build.sh" "${build_args[@]}" >&2

if wants kernel && ! reason=$("$build_dir/bin/gatehoused" --probe 2>&1); then
  # In CI nothing that was asked for may be left out.
  [[ -z ${CI:-} ]] || die "this kernel allows no BPF, so its kernel tests cannot run: $reason"
  note "This machine's kernel, or your rights, allow no BPF; the kernel tests run in virtual machines only:"
  note "$reason"
  kept=(vm)
  wants unit && kept+=(unit)
  labels=("${kept[@]}")
fi
if [[ -n $fetching ]]; then
  wait "$fetching"
  trap - EXIT
fi
note "Testing: ${labels[*]}."
pattern=$(IFS='|' && echo "^(${labels[*]})\$")
ctest --test-dir "$build_dir" --output-on-failure --parallel "$(nproc)" --label-regex "$pattern"
if [[ -n ${CI:-} ]] && grep '^\[  SKIPPED \]' "$build_dir/Testing/Temporary/LastTest.log" >&2; then
  die "in CI no test may be skipped, and these were"
fi
