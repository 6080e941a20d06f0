#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run demo: different allow-lists enforced on real workloads, live, here or in a virtual machine.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"

usage() {
  cat <<'TEXT'
Usage: ./run demo [--vm] [--kernel 5.10|6.1|6.12|PATH]

Starts gatehoused, gives three cgroups an identity, applies a template, bindings and a policy, runs real
programs in each and shows what the kernel did. Leaves nothing behind. The exit status is 1 if any
program fared other than expected.

  ./run demo         on this machine's kernel, with the best backend there is
  ./run demo --vm    in a virtual machine with Debian's kernel: denials (EPERM) by lsm and by fmod_ret

Without the right to load BPF programs here, it goes to the virtual machine by itself.
TEXT
}

in_vm=
kernel=6.12
while (($# > 0)); do
  case $1 in
    --vm) in_vm=yes ;;
    --kernel)
      kernel=${2:?--kernel takes a version or a path}
      in_vm=yes
      shift
      ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) die_usage "demo knows no \"$1\"; see ./run demo --help" ;;
  esac
  shift
done

build_dir=${GATEHOUSE_BUILD:-$project_root/build}
packages_ensure build
note "Building (a few minutes the first time)."
"$tools/cmd/build.sh" --target gatehoused --target gatehouse --target gatehouse-demo >&2

if [[ -z $in_vm ]] && ! reason=$("$build_dir/bin/gatehoused" --probe 2>&1); then
  note "This machine's kernel, or your rights, allow no BPF; going to a virtual machine with kernel $kernel:"
  note "$reason"
  in_vm=yes
fi

if [[ -z $in_vm ]]; then
  exec "$build_dir/bin/gatehouse-demo" --policies "$project_root/demo/policies.yaml"
fi
status=0
for backend in lsm fmod_ret; do
  note ""
  note "== Linux $kernel in a virtual machine, backend $backend"
  "$tools/cmd/vm.sh" --kernel "$kernel" --copy "$project_root/demo" -- \
    gatehouse-demo --backend "$backend" --policies /copy/demo/policies.yaml || status=1
done
exit $status
