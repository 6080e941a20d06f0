# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced: makes the file system of the virtual machine, in three parts that the kernel unpacks one over the other:
# base (busybox, tools, init), build (our programs and their libraries), and what belongs to one run (command, --copy).
# The first two are kept and made anew only when a file in them has changed.

# Programs of this machine that are useful in the guest; those that are missing here are missing there. Real ones
# beside busybox because a policy sees the path of the file that runs, and busybox is one file for all.
vm_tools=(bash bpftool strace dash true false cat ls echo sleep id env cp mv ln)

is_elf() {
  local magic=
  # A binary file has bytes that are no characters; only the first four matter.
  LC_ALL=C IFS= read -r -d '' -n4 magic <"$1" 2>/dev/null || true
  [[ $magic == $'\x7fELF' ]]
}

# libraries_of FILE...: prints the shared libraries (and the loader) that the ELF files need, one path a line.
libraries_of() {
  local file output
  for file in "$@"; do
    # ldd fails for static files, which need nothing.
    output=$(ldd "$file" 2>/dev/null) || continue
    if [[ $output == *'not found'* ]]; then
      note "run: $file needs libraries that this machine lacks: $(awk '/not found/{ printf "%s ", $1 }' <<<"$output")"
    fi
    awk '$2 == "=>" && $3 ~ /^\//{ print $3 } $1 ~ /^\//{ print $1 }' <<<"$output"
  done | sort -u
}

# stage_file FILE ROOT: copies FILE, followed if it is a link, to its real directory below ROOT.
stage_file() {
  local file=$1 root=$2 directory
  directory=$(realpath "$(dirname "$file")")
  mkdir -p "$root$directory"
  cp -L --preserve=mode,timestamps "$file" "$root$directory/"
}

# stage_libraries ROOT FILE...: stages what the ELF files among FILEs need.
stage_libraries() {
  local root=$1 file elf=()
  shift
  for file in "$@"; do
    if is_elf "$file"; then elf+=("$file"); fi
  done
  if ((${#elf[@]} == 0)); then return 0; fi
  while read -r file; do stage_file "$file" "$root"; done < <(libraries_of "${elf[@]}")
}

# pack ROOT FILE: writes ROOT as an uncompressed archive (under emulation, memory is faster than a decompressor).
pack() {
  (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc -R +0:+0 --quiet) >"$2"
}

# stamp_of FILE...: prints a line that changes when one of the files does.
stamp_of() { stat -L -c '%n %s %Y %Z' "$@" | sha256sum; }

# stage_base ROOT INIT TOOL...: the part that depends on no build.
stage_base() {
  local root=$1 init=$2 link applet file
  shift 2
  mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},dev,proc,sys,run,tmp,mnt,root,home,var/{log,lib,tmp},etc,copy}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  chmod 700 "$root/root"
  for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
  printf '%s\n' root:x:0:0:root:/root:/bin/bash nobody:x:65534:65534:nobody:/nonexistent:/bin/false >"$root/etc/passwd"
  printf '%s\n' root:x:0: nogroup:x:65534: >"$root/etc/group"
  printf '%s\n' gatehouse-vm >"$root/etc/hostname"
  printf '%s\n' '127.0.0.1 localhost gatehouse-vm' '::1 localhost' >"$root/etc/hosts"

  for file in "$@"; do stage_file "$file" "$root"; done
  stage_libraries "$root" "$@"
  for file in /lib/terminfo/{d/dumb,l/linux,v/vt100,x/xterm,x/xterm-256color,s/screen-256color,t/tmux-256color}; do
    if [[ -e $file ]]; then stage_file "$file" "$root"; fi
  done
  cp "$(command -v busybox)" "$root/usr/bin/busybox"
  while read -r applet; do
    if [[ ! -e $root/usr/bin/$applet && ! -e $root/usr/sbin/$applet ]]; then ln -s busybox "$root/usr/bin/$applet"; fi
  done < <(busybox --list)
  install -m 755 "$init" "$root/init"
}

# make_base DIRECTORY INIT: brings DIRECTORY/base.cpio up to date.
make_base() {
  local directory=$1 init=$2 name path tools=() stamp
  for name in "${vm_tools[@]}"; do
    path=$(PATH=$PATH:/usr/sbin:/sbin type -P "$name") && tools+=("$(realpath "$(dirname "$path")")/$name")
  done
  stamp=$(stamp_of "${tools[@]}" "$init" "${BASH_SOURCE[0]}" "$(command -v busybox)")
  make_archive "$directory" base "$stamp" stage_base "$init" "${tools[@]}"
}

# stage_build ROOT BUILD STRIPPED FILE...: our files at the same paths as on the host, so that paths compiled into them
# stay right. Debug information stays behind: it is most of their size.
stage_build() {
  local root=$1 build=$2 stripped=$3 file slim
  shift 3
  mkdir -p "$stripped"
  for file in "$@"; do
    mkdir -p "$root$(dirname "$file")"
    if is_elf "$file"; then
      slim=$stripped/${file//\//%}
      if [[ ! $slim -nt $file ]]; then strip --strip-debug -o "$slim" "$file"; fi
      cp "$slim" "$root$file"
      chmod --reference="$file" "$root$file"
    else
      cp "$file" "$root$file"
    fi
  done
  # Programs that the build no longer has.
  for slim in "$stripped"/*; do
    file=${slim##*/}
    if [[ ! -e ${file//%/\/} ]]; then rm -f "$slim"; fi
  done
  stage_libraries "$root" "$@"
  if [[ $build != /build ]]; then ln -s "$build" "$root/build"; fi
}

# make_build DIRECTORY BUILD: brings DIRECTORY/build.cpio up to date with BUILD/bin and BUILD/test-bin.
make_build() {
  local directory=$1 build=$2 files=()
  mapfile -d '' files < <(find "$build/bin" "$build/test-bin" -type f -executable -print0 2>/dev/null | sort -z)
  if ((${#files[@]} == 0)); then
    rm -f "$directory/build.stamp"
    : >"$directory/build.cpio"
    return 0
  fi
  make_archive "$directory" build "$(stamp_of "${files[@]}" "${BASH_SOURCE[0]}")" \
    stage_build "$build" "$directory/stripped" "${files[@]}"
}

# make_archive DIRECTORY NAME STAMP FUNCTION ARGUMENT...: if STAMP is not that of DIRECTORY/NAME.cpio, makes it anew by
# calling FUNCTION with an empty root and the arguments.
make_archive() {
  local directory=$1 name=$2 stamp=$3 function=$4 root
  shift 4
  rm -rf "$directory"/.stage.* # left by a run that was killed: the caller holds the lock
  if [[ -e $directory/$name.cpio && $(cat "$directory/$name.stamp" 2>/dev/null) == "$stamp" ]]; then return 0; fi
  root=$(mktemp -d "$directory/.stage.XXXXXX")
  "$function" "$root" "$@"
  rm -f "$directory/$name.stamp"
  pack "$root" "$directory/$name.cpio"
  printf '%s\n' "$stamp" >"$directory/$name.stamp"
  rm -rf "$root"
}

# make_initramfs DIRECTORY BUILD INIT: makes DIRECTORY/initramfs of base, build and DIRECTORY/root, which is what
# belongs to this run. The base is kept in the cache, the build's part beside the build and goes with it.
make_initramfs() {
  local directory=$1 build=$2 init=$3 base build_part
  umask 022
  # shellcheck disable=SC2154  # set by fetch.sh
  base=$vm_cache/initramfs
  build_part=$build/vm-initramfs
  if [[ ! -w $build ]]; then build_part=$directory/build; fi
  mkdir -p "$base"
  pack "$directory/root" "$directory/run.cpio"
  : >"$directory/initramfs"
  (
    flock 9
    make_base "$base" "$init"
    cat "$base/base.cpio" >>"$directory/initramfs"
  ) 9>"$base/lock"
  if [[ -d $build/bin || -d $build/test-bin ]]; then
    mkdir -p "$build_part"
    (
      flock 9
      make_build "$build_part" "$build"
      cat "$build_part/build.cpio" >>"$directory/initramfs"
    ) 9>"$build_part/lock"
  fi
  cat "$directory/run.cpio" >>"$directory/initramfs"
}
