#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run vm: runs a command in a virtual machine with a Debian kernel and our build.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"
# shellcheck source=../vm/fetch.sh
source "$tools/vm/fetch.sh"
# shellcheck source=../vm/initramfs.sh
source "$tools/vm/initramfs.sh"

usage() {
  cat <<'TEXT'
Usage: ./run vm [OPTION]... -- COMMAND [ARGUMENT]...
       ./run vm --fetch [SERIES]...

Boots a Debian kernel in qemu (no KVM, no root needed), runs COMMAND as root in it, and returns its output and its exit
status. The programs of the build (bin/ and test-bin/) are on its PATH; the file system is memory and is gone afterwards.

  --kernel SERIES|PATH   5.10, 6.1 or 6.12 (default), Debian's newest of that series; or the path of a kernel image
  --memory MB            default 1024
  --possible-cpus N      N possible CPUs, of which 2 run, as on a large machine; default 2
  --instruction-clock    time is counted in instructions: the same run takes the same time, whatever the machine does
  --copy DIR             DIR (or a file) is at /copy/<name> in the guest; may be repeated
  --cmdline "ARGS"       appended to the kernel command line (lsm=... replaces ours, which has bpf in it)
  --timeout SECONDS      default 900
  --interactive          connects the terminal, Ctrl-C goes to the guest
  --fetch                only downloads kernels (all, or the SERIES given) and qemu, for use without network

Exit status: the command's; 125 when the kernel crashed or the time was over; 2 for wrong usage.
In the environment: GATEHOUSE_BUILD, directory of the build (default build/); GATEHOUSE_CACHE, where kernels and qemu
are kept (default ~/.cache/gatehouse; delete kernel-SERIES in it to get a newer one).
In the guest's environment: GATEHOUSE_VM=1, GATEHOUSE_BUILD.

  ./run vm -- sh -c 'uname -r; cat /sys/kernel/security/lsm'
  ./run vm --kernel 5.10 --copy testdata -- some_test --data /copy/testdata
  ./run vm --possible-cpus 96 --memory 3072 -- cat /sys/devices/system/cpu/possible
  ./run vm --interactive -- bash
TEXT
}

readonly status_vm_failed=125
readonly running_cpus=2
readonly console_lines_shown=40

kernel=6.12
memory_mb=1024
possible_cpus=$running_cpus
timeout_s=900
extra_cmdline=
instruction_clock=false
interactive=false
fetch_only=false
copies=()
command=()

need_number() { [[ $2 =~ ^[1-9][0-9]*$ ]] || die_usage "$1 takes a number, not \"$2\""; }

parse_options() {
  local option
  while (($# > 0)); do
    option=$1
    shift
    case $option in
      --)
        command=("$@")
        return
        ;;
      --help | -h)
        usage
        exit 0
        ;;
      --instruction-clock) instruction_clock=true ;;
      --interactive) interactive=true ;;
      --fetch) fetch_only=true ;;
      --kernel | --memory | --possible-cpus | --copy | --cmdline | --timeout)
        (($# > 0)) || die_usage "$option takes a value; see ./run vm --help"
        case $option in
          --kernel) kernel=$1 ;;
          --memory) memory_mb=$1 ;;
          --possible-cpus) possible_cpus=$1 ;;
          --copy) copies+=("$1") ;;
          --cmdline) extra_cmdline=$1 ;;
          --timeout) timeout_s=$1 ;;
        esac
        shift
        ;;
      -*) die_usage "vm knows no option \"$option\"; see ./run vm --help" ;;
      *)
        $fetch_only || die_usage "write -- before the command: ./run vm [OPTION]... -- $option ..."
        command+=("$option")
        ;;
    esac
  done
}

check_options() {
  local copy
  need_number --memory "$memory_mb"
  need_number --possible-cpus "$possible_cpus"
  need_number --timeout "$timeout_s"
  ((possible_cpus >= running_cpus)) || die_usage "--possible-cpus takes $running_cpus or more"
  ((${#command[@]} > 0)) || die_usage "no command given; for example: ./run vm -- uname -r"
  for copy in "${copies[@]}"; do
    [[ -e $copy ]] || die_usage "--copy $copy: there is no such file or directory"
  done
  if $interactive && [[ ! -t 0 || ! -t 1 ]]; then die_usage "--interactive needs a terminal"; fi
}

is_series() { [[ " ${vm_kernel_series[*]} " == *" $1 "* ]]; }

# kernel_image: prints the path of the kernel to boot.
kernel_image() {
  if is_series "$kernel"; then
    printf '%s\n' "$vm_cache/kernel-$kernel/image"
  else
    realpath "$kernel"
  fi
}

fetch_command() {
  local series entries=(qemu)
  if (($# == 0)); then set -- "${vm_kernel_series[@]}"; fi
  for series in "$@"; do
    is_series "$series" || die_usage "--fetch knows the kernels ${vm_kernel_series[*]}, not \"$series\""
    entries+=("kernel-$series")
  done
  vm_fetch "${entries[@]}"
}

# quote WORD...: the words for a shell, each exactly as it is.
quote() {
  local word
  for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

# stage_run ROOT BUILD: what /init reads, and the copies.
stage_run() {
  local root=$1 build=$2 directory=$1/gatehouse-vm copy name files=()
  mkdir -p "$directory" "$root/copy"
  {
    printf 'export HOME=/root USER=root LANG=C.UTF-8 SHELL=/bin/bash GATEHOUSE_VM=1\n'
    printf 'export TERM=%s\n' "$(quote "${TERM:-dumb}")"
    printf 'export GATEHOUSE_BUILD=%s\n' "$(quote "$build")"
    # shellcheck disable=SC2016  # for the guest's shell
    printf 'export PATH="$GATEHOUSE_BUILD/bin:$GATEHOUSE_BUILD/test-bin:$PATH"\n'
  } >"$directory/environment"
  printf 'exec %s\n' "$(quote "${command[@]}")" >"$directory/command"
  if is_series "$kernel"; then cp -r "$vm_cache/kernel-$kernel/modules" "$directory/"; fi
  if $interactive; then stty size >"$directory/interactive"; fi
  if [[ /dev/stdout -ef /dev/stderr ]]; then : >"$directory/merge"; fi
  for copy in "${copies[@]}"; do
    name=$(basename "$(realpath "$copy")")
    [[ ! -e $root/copy/$name ]] || die_usage "--copy: two of them are named $name"
    cp -a --no-preserve=ownership "$(realpath "$copy")" "$root/copy/$name"
    mapfile -d '' files < <(find "$root/copy/$name" -type f -print0)
    stage_libraries "$root" "${files[@]}"
  done
}

# qemu_arguments IMAGE INITRAMFS DIRECTORY: fills the array qemu. It runs with the loader and the libraries that were
# fetched with it, whatever this machine has.
qemu_arguments() {
  local image=$1 initramfs=$2 directory=$3 base=$vm_cache/qemu
  local libraries=$base/lib/x86_64-linux-gnu:$base/usr/lib/x86_64-linux-gnu
  # oops and panic restart the machine, which ends qemu. random.trust_cpu: nothing waits for entropy at boot.
  # tsc=reliable: emulated CPUs share one time stamp counter, but kernels before 6.12 do not trust it by themselves and
  # then read every time stamp from a slow device.
  local cmdline="console=ttyS0 loglevel=5 oops=panic panic=-1 random.trust_cpu=on tsc=reliable"
  cmdline+=" lsm=lockdown,capability,landlock,bpf"
  if ((possible_cpus > running_cpus)); then cmdline+=" maxcpus=$running_cpus"; fi
  # The last lsm= counts, so the user's comes after ours.
  cmdline+=" $extra_cmdline"
  # shellcheck disable=SC2054  # the commas are qemu's
  qemu=("$base/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path "$libraries"
    "$base/usr/bin/qemu-system-x86_64" -L "$base/usr/share/qemu" -L "$base/usr/share/seabios"
    -nodefaults -no-user-config -display none -no-reboot -machine q35 -cpu qemu64,+rdrand
    -m "$memory_mb" -smp "$possible_cpus"
    -kernel "$image" -initrd "$initramfs" -append "$cmdline"
    -serial "file:$directory/console")
  if $instruction_clock; then
    qemu+=(-accel "tcg,thread=single" -icount "shift=0,sleep=off")
  else
    qemu+=(-accel "tcg,thread=multi")
  fi
  if $interactive; then
    qemu+=(-chardev "stdio,id=out,signal=off")
  else
    qemu+=(-chardev "file,id=out,path=$directory/out")
  fi
  qemu+=(-serial chardev:out -device "pci-serial-2x,chardev1=err,chardev2=status"
    -chardev "file,id=err,path=$directory/err" -chardev "file,id=status,path=$directory/status")
}

# run_qemu DIRECTORY: runs the array qemu and passes its output on while it comes.
run_qemu() {
  local directory=$1 carriers=() hold_out hold_err
  # Pipes of our own: qemu would set the caller's to non-blocking, and a file that is our output would be truncated.
  mkfifo "$directory/out" "$directory/err"
  cat "$directory/out" &
  carriers+=($!)
  cat "$directory/err" >&2 &
  carriers+=($!)
  # If this shell is killed, so is qemu; a library that the caller preloads has no place in it.
  env -u LD_PRELOAD -u LD_LIBRARY_PATH QEMU_MODULE_DIR="$vm_cache/qemu/usr/lib/x86_64-linux-gnu/qemu" \
    setpriv --pdeathsig TERM timeout --foreground --kill-after=5 "$timeout_s" "${qemu[@]}" \
    <&3 2>"$directory/qemu" &
  qemu_pid=$!
  wait "$qemu_pid" && qemu_status=0 || qemu_status=$?
  qemu_pid=
  # A qemu that failed early never opened the pipes: open and close them once, so that the carriers see an end.
  exec {hold_out}<>"$directory/out" {hold_err}<>"$directory/err"
  exec {hold_out}>&- {hold_err}>&-
  wait "${carriers[@]}" || true
}

# keep_console DIRECTORY: copies the console to the cache, where those of the last week are, and prints its path.
keep_console() {
  local log
  mkdir -p "$vm_cache/log"
  find "$vm_cache/log" -type f -mtime +7 -delete
  log=$vm_cache/log/console-$(date +%Y%m%d-%H%M%S)-$$
  tr -d '\r' <"$1/console" >"$log" || true
  printf '%s\n' "$log"
}

# report_failure DIRECTORY: the machine ended without an exit status of the command; says why and shows the console.
report_failure() {
  local directory=$1 log reason="the virtual machine ended before the command did (kernel panic or oops?)"
  if ((qemu_status == 124 || qemu_status == 137)); then
    reason="the command did not end within $timeout_s s (--timeout SECONDS for more)"
  elif ((qemu_status != 0)); then
    reason="qemu failed with status $qemu_status: $(tail -n 3 "$directory/qemu")"
  fi
  log=$(keep_console "$directory")
  note "--- last lines of the console"
  tail -n "$console_lines_shown" "$log" >&2
  note "--- run vm: $reason"
  note "    kernel $kernel, whole console: $log"
}

main() {
  local build directory image initramfs limit_mb status
  parse_options "$@"
  if $fetch_only; then
    packages_ensure vm
    fetch_command "${command[@]}"
    return
  fi
  check_options
  packages_ensure vm
  if is_series "$kernel"; then
    vm_fetch qemu "kernel-$kernel"
  else
    [[ -f $kernel ]] || die_usage "--kernel takes ${vm_kernel_series[*]} or the path of a kernel image, not \"$kernel\""
    vm_fetch qemu
  fi
  image=$(kernel_image)
  build=$(realpath -m "${GATEHOUSE_BUILD:-$project_root/build}")

  directory=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-vm.XXXXXX")
  qemu_pid=
  # shellcheck disable=SC2064  # the directory's name of now
  trap "rm -rf '$directory'" EXIT
  trap 'end_machine 130' INT
  trap 'end_machine 143' TERM HUP
  exec 3<&0
  if ! $interactive; then exec 3</dev/null; fi

  mkdir "$directory/root"
  stage_run "$directory/root" "$build"
  initramfs=$directory/initramfs
  make_initramfs "$directory" "$build" "$project_root/tools/vm/init"
  # While it is unpacked it is in memory twice, and a file system in memory takes half of the memory at most.
  limit_mb=$((memory_mb * 2 / 5))
  if (($(stat -c %s "$initramfs") > limit_mb << 20)); then
    die "the build is too large for $memory_mb MB of memory; use --memory $(($(stat -c %s "$initramfs") * 5 / 2 / 1048576 + 64))"
  fi

  qemu_arguments "$image" "$initramfs" "$directory"
  run_qemu "$directory"
  if [[ ! -s $directory/status ]]; then
    report_failure "$directory"
    return "$status_vm_failed"
  fi
  if grep -qaE 'WARNING: CPU|BUG: ' "$directory/console"; then
    note "run vm: the kernel warned of a fault of its own: $(keep_console "$directory")"
  fi
  status=$(tr -dc '0-9' <"$directory/status")
  if ((status == 127)) && [[ ! -d $build/bin ]]; then
    note "run vm: there is no build in $build; \`./run build\` makes one"
  fi
  return "$status"
}

# end_machine STATUS: on a signal to us.
end_machine() {
  if [[ -n $qemu_pid ]]; then
    kill -TERM "$qemu_pid" 2>/dev/null || true
    wait "$qemu_pid" 2>/dev/null || true
  fi
  exit "$1"
}

main "$@"
