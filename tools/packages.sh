# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced: the Debian packages of the project, all of them here, and the function that installs what is missing.

# packages_of GROUP: prints the names of a group's packages.
packages_of() {
  case $1 in
    build)
      echo g++ cmake ninja-build ccache pkg-config              # C++ compiler and build
      echo clang-19 llvm-19 libbpf-dev bpftool                  # BPF programs and their skeletons
      echo libelf-dev zlib1g-dev                                # what libbpf links
      echo libgrpc++-dev libprotobuf-dev                        # API
      echo protobuf-compiler protobuf-compiler-grpc             # API, generated code
      echo libyaml-cpp-dev nlohmann-json3-dev                   # policies, events
      echo libcli11-dev libspdlog-dev libfmt-dev                # command line, logs
      echo libexpected-dev libxxhash-dev libsodium-dev libre2-dev # errors, hashes, SipHash, filters
      echo libcurl4-openssl-dev libssl-dev                      # GetUrl, Kubernetes; servers of tests
      echo libsystemd-dev                                       # tells systemd that it is ready
      echo libnghttp2-dev                                       # the runtime hook
      echo libseccomp-dev                                       # numbers of system calls
      echo libgtest-dev libgmock-dev libbenchmark-dev           # tests and measurements
      echo dpkg-dev file                                        # the .deb by CPack
      ;;
    sanitize)
      echo libclang-rt-19-dev                                   # libFuzzer and clang's sanitizer runtimes
      ;;
    containers)
      echo containerd runc podman busybox-static                # what the tests run containers with
      ;;
    vm)
      echo busybox-static cpio binutils                         # the initramfs
      echo lz4 zstd xz-utils                                    # what kernel images and modules are packed with
      echo util-linux                                           # flock, setpriv
      ;;
    lint)
      echo clang-format-19 clang-tidy-19 shellcheck python3
      ;;
    *)
      echo "packages_of: no group \"$1\"" >&2
      return 1
      ;;
  esac
}

# packages_missing NAME...: prints those that are not installed.
packages_missing() {
  local -A installed=()
  local name abbreviation
  # dpkg-query fails when it does not know a name; that name is then simply not in the list.
  while read -r name abbreviation; do
    if [[ $abbreviation == ?i* ]]; then installed[$name]=1; fi
  done < <(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    if [[ -z ${installed[$name]:-} ]]; then printf '%s\n' "$name"; fi
  done
}

# packages_install NAME...: installs as root; apt's own words go to a log that is shown only on failure.
packages_install() {
  local log
  log=$(mktemp "${TMPDIR:-/tmp}/gatehouse-apt.XXXXXX")
  printf 'installing %d packages: %s\n' "$#" "$*" >&2
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install -y -q --no-install-recommends "$@")
  # Known package lists may be good enough; if there are none, or they are stale, get new ones once. An update may
  # complain of a foreign source that has nothing to do with us: whether the install works is what counts.
  if "${install[@]}" >"$log" 2>&1 || { apt-get update -q >>"$log" 2>&1 || true; "${install[@]}" >>"$log" 2>&1; }; then
    rm -f "$log"
    return 0
  fi
  tail -n 40 "$log" >&2
  printf 'run: apt-get could not install the packages (its words above; all of them in %s)\n' "$log" >&2
  return 1
}

# packages_ensure GROUP...: returns when all packages of the groups are there; silent and fast if they are already.
packages_ensure() {
  if ! command -v dpkg-query >/dev/null; then
    echo "run: this is no Debian system (dpkg-query is missing); Gatehouse builds on Debian 12" >&2
    return 1
  fi
  local group wanted=() missing=()
  for group in "$@"; do
    # shellcheck disable=SC2207  # package names have no spaces
    wanted+=($(packages_of "$group"))
  done
  mapfile -t missing < <(packages_missing "${wanted[@]}")
  if ((${#missing[@]} == 0)); then return 0; fi
  if ((EUID == 0)); then
    packages_install "${missing[@]}"
    return
  fi
  printf 'run: packages are missing that only root can install. Please run:\n  sudo apt-get install --no-install-recommends %s\n' \
    "${missing[*]}" >&2
  return 1
}
