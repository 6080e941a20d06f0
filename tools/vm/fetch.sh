# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced: gets qemu and Debian's kernels, unpacked below the cache and never installed, so no root is needed.
#
# Layout of the cache: qemu/ (a root with qemu and every library it needs, the C library too), kernel-SERIES/image and
# kernel-SERIES/modules/.
# An entry appears by one rename, so what is there is whole. To get newer packages, delete the entry.

vm_cache=${GATEHOUSE_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set; set it or GATEHOUSE_CACHE}/.cache}/gatehouse}
# shellcheck disable=SC2034  # used by the script that sources this file
vm_kernel_series=(5.10 6.1 6.12)
# What Debian has as modules and tests need: two ways to run a program under another name.
vm_modules=(overlay binfmt_misc)

# apt_private STATE TOOL ARGUMENT...: apt-get or apt-cache with package lists, "installed" list and sources of its own.
apt_private() {
  local state=$1 tool=$2
  shift 2
  "$tool" -q -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User= \
    -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts="$state/none" \
    -o Dir::Etc::preferences="$state/none" -o Dir::Etc::preferencesparts="$state/none" \
    -o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
}

# debian_sites: prints every "SITE SUITE" that this machine's apt is configured with. `update --print-uris` reads all
# formats of sources there are and needs neither root nor package lists.
debian_sites() {
  apt-get update --print-uris -o Debug::NoLocking=1 2>/dev/null |
    sed -nE "s|^'([^']*)/dists/([^/']+)/InRelease' .*|\1 \2|p" | sort -u
}

# write_sources FILE MIRROR SECURITY_MIRROR: the suites that hold the kernels and qemu.
write_sources() {
  local file=$1 mirror=$2 security=$3 keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=
  if [[ -e $keyring ]]; then options="[signed-by=$keyring] "; fi
  local suite
  {
    for suite in bullseye bookworm bookworm-backports; do echo "deb $options$mirror $suite main"; done
    for suite in bullseye-security bookworm-security; do
      if [[ -n $security ]]; then echo "deb $options$security $suite main"; fi
    done
  } >"$file"
}

# apt_prepare STATE: fills STATE with the package lists of a Debian mirror that this machine uses itself.
apt_prepare() {
  local state=$1 site suite security='' mirrors=()
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/none"
  : >"$state/status"
  while read -r site suite; do
    case $suite in
      bullseye | bookworm | trixie | forky | sid | oldstable | stable | testing | unstable) mirrors+=("$site") ;;
      *-security) security=$site ;;
    esac
  done < <(debian_sites)
  if [[ -n ${GATEHOUSE_DEBIAN_MIRROR:-} ]]; then mirrors=("$GATEHOUSE_DEBIAN_MIRROR"); fi
  # A third party may use Debian's suite names too, so the one that serves the lists is the right one.
  for site in "${mirrors[@]}"; do
    write_sources "$state/sources.list" "$site" "$security"
    if apt_private "$state" apt-get update >"$state/log" 2>&1 && ! grep -q '^[WE]: .*InRelease' "$state/log"; then
      return 0
    fi
  done
  if [[ -e $state/log ]]; then tail -n 20 "$state/log" >&2; fi
  die "cannot read the package lists of Debian 11 and 12 (tried: ${mirrors[*]:-no mirror, apt has no Debian source});" \
    "set GATEHOUSE_DEBIAN_MIRROR to the URL of a Debian mirror that this machine reaches"
}

# apt_unpack STATE DIRECTORY NAME=VERSION...: downloads the packages and unpacks them into DIRECTORY.
apt_unpack() {
  local state=$1 directory=$2 packages package
  shift 2
  packages=$(mktemp -d "$state/packages.XXXXXX")
  if ! (cd "$packages" && apt_private "$state" apt-get download "$@" >"$state/log" 2>&1); then
    tail -n 20 "$state/log" >&2
    die "the download of packages failed (apt's words above): $*"
  fi
  mkdir -p "$directory"
  for package in "$packages"/*.deb; do dpkg-deb --extract "$package" "$directory"; done
  rm -rf "$packages"
}

# fetch_qemu STATE DIRECTORY: qemu of bookworm-backports (the 7.2 of bookworm lets kernel 6.12 oops in half its boots)
# with the closure of its dependencies.
fetch_qemu() {
  local state=$1 directory=$2 closure=()
  mapfile -t closure < <(apt_private "$state" apt-get install --simulate --no-install-recommends \
    -t bookworm-backports qemu-system-x86 | awk '/^Inst /{ sub(/^\(/, "", $3); print $2 "=" $3 }')
  ((${#closure[@]} > 0)) || die "the mirror offers no qemu-system-x86 that can be installed"
  note "fetching qemu (${#closure[@]} packages, 36 MB)"
  apt_unpack "$state" "$directory" "${closure[@]}"
  rm -rf "${directory:?}"/usr/share/{doc,man,locale,icons} "${directory:?}"/var
}

# newest_kernel_package STATE SERIES: prints NAME=VERSION of the newest signed cloud kernel of that series. Debian puts
# the version into the name; the rebuilds of a newer kernel for an older release (0.deb11) are not wanted.
newest_kernel_package() {
  local state=$1 series=$2 name version
  apt_private "$state" apt-cache pkgnames "linux-image-$series." |
    grep -E "^linux-image-${series//./\\.}\.[0-9]+(-[0-9]+|\+deb[0-9.]+)-cloud-amd64$" | sort -rV |
    while read -r name; do
      version=$(apt_private "$state" apt-cache show --no-all-versions "$name" 2>/dev/null | sed -n 's/^Version: //p')
      if [[ -n $version ]]; then
        printf '%s=%s\n' "$name" "$version"
        break
      fi
    done
}

# unpack_kernel_image VMLINUZ VMLINUX: takes the ELF image out of a bzImage, so that no boot has to decompress it (a
# second under emulation) and kernel addresses are the same in each boot. Fails where it cannot.
# Offsets of the header: Documentation/x86/boot.rst, fields setup_sects, payload_offset, payload_length.
unpack_kernel_image() {
  local image=$1 elf=$2 setup_sectors payload_offset payload_bytes
  setup_sectors=$(od -An -tu1 -j $((0x1f1)) -N1 "$image")
  payload_offset=$(od -An -tu4 -j $((0x248)) -N4 "$image")
  payload_bytes=$(od -An -tu4 -j $((0x24c)) -N4 "$image")
  local unpack=(lz4 -dcq)
  local first=$(((setup_sectors + 1) * 512 + payload_offset + 1)) size_suffix=4
  tail -c "+$first" "$image" | head -c "$((payload_bytes - size_suffix))" >"$elf.payload" || true
  if [[ $(od -An -tx1 -N4 "$elf.payload") == ' 28 b5 2f fd' ]]; then unpack=(zstd -dcq); fi
  "${unpack[@]}" "$elf.payload" >"$elf" || return 1
  rm -f "$elf.payload"
  [[ $(od -An -tx1 -N4 "$elf") == ' 7f 45 4c 46' ]]
}

# keep_modules UNPACKED DIRECTORY: copies vm_modules, unpacked, so that a boot needs neither depmod nor xz.
keep_modules() {
  local unpacked=$1 directory=$2 name file
  mkdir -p "$directory"
  for name in "${vm_modules[@]}"; do
    file=$(find "$unpacked" -name "$name.ko*" -print -quit)
    case $file in
      *.ko) cp "$file" "$directory/" ;;
      *.ko.xz) xz -dc "$file" >"$directory/$name.ko" ;;
      *) die "the kernel's package has no module $name" ;;
    esac
  done
}

# fetch_kernel STATE DIRECTORY SERIES: leaves DIRECTORY/image, DIRECTORY/modules and DIRECTORY/package.
fetch_kernel() {
  local state=$1 directory=$2 series=$3 package image
  package=$(newest_kernel_package "$state" "$series")
  [[ -n $package ]] || die "the mirror offers no Debian cloud kernel of the series $series"
  note "fetching kernel $package"
  apt_unpack "$state" "$state/kernel-$series" "$package"
  image=$(find "$state/kernel-$series/boot" -name 'vmlinuz-*' -print -quit)
  mkdir -p "$directory"
  if ! unpack_kernel_image "$image" "$directory/image" 2>/dev/null; then
    rm -f "$directory"/image*
    cp "$image" "$directory/image"
  fi
  keep_modules "$state/kernel-$series" "$directory/modules"
  printf '%s\n' "$package" >"$directory/package"
}

# vm_fetch ENTRY...: makes sure that the cache has the entries, qemu or kernel-SERIES. Several runs at once wait for
# each other; when all is there, nothing is locked and no network is needed.
vm_fetch() {
  local entry missing=()
  for entry in "$@"; do
    if [[ ! -d $vm_cache/$entry ]]; then missing+=("$entry"); fi
  done
  if ((${#missing[@]} == 0)); then return 0; fi
  mkdir -p "$vm_cache"
  (
    flock 9
    rm -rf "$vm_cache"/.fetch.* # left by a run that was killed: whoever holds the lock is alone
    work=$(mktemp -d "$vm_cache/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    for entry in "${missing[@]}"; do
      if [[ -d $vm_cache/$entry ]]; then continue; fi
      if [[ ! -e $work/apt/sources.list ]]; then apt_prepare "$work/apt"; fi
      case $entry in
        qemu) fetch_qemu "$work/apt" "$work/$entry" ;;
        kernel-*) fetch_kernel "$work/apt" "$work/$entry" "${entry#kernel-}" ;;
      esac
      mv -T "$work/$entry" "$vm_cache/$entry"
    done
  ) 9>"$vm_cache/.lock"
}
