#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run build: configures with CMake and builds with Ninja.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"

usage() {
  cat <<'TEXT'
Usage: ./run build [--sanitize address|thread] [--target NAME]...

Compiles into build/ (optimised, with debug information). With --sanitize the build goes to build-asan/
(AddressSanitizer and UndefinedBehaviorSanitizer) or build-tsan/ (ThreadSanitizer).

  ./run build
  ./run build --target gatehoused
  ./run build --sanitize thread
TEXT
}

build_dir=${GATEHOUSE_BUILD:-$project_root/build}
sanitize=
groups=(build)
targets=()
while (($# > 0)); do
  case $1 in
    --sanitize)
      case ${2:-} in
        address) build_dir=$project_root/build-asan ;;
        thread) build_dir=$project_root/build-tsan ;;
        *) die_usage "--sanitize takes address or thread" ;;
      esac
      sanitize=$2
      groups+=(sanitize)
      shift 2
      ;;
    --target)
      targets+=(--target "${2:?--target takes the name of a target}")
      shift 2
      ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) die_usage "build knows no \"$1\"; see ./run build --help" ;;
  esac
done

packages_ensure "${groups[@]}"
[[ -e $project_root/CMakeLists.txt ]] || die "there is no CMakeLists.txt in $project_root, so there is nothing to build"
cmake -S "$project_root" -B "$build_dir" -G Ninja --log-level=WARNING \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
  -DCMAKE_C_COMPILER_LAUNCHER=ccache \
  -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
  -DGATEHOUSE_SANITIZE="$sanitize" >/dev/null
# ccache keeps what was compiled with the tests' precompiled headers only if it may trust their macros (ccache(1)).
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
cmake --build "$build_dir" -j "$(nproc)" "${targets[@]}"
