#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run lint: the checks of form and of common mistakes. All of them run, then it fails if one found something.
set -euo pipefail
tools=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=../lib.sh
source "$tools/lib.sh"
# shellcheck source=../packages.sh
source "$tools/packages.sh"

usage() {
  cat <<'TEXT'
Usage: ./run lint [--fix] [licence|includes|links|format|shell|tidy]...

  licence   each source names its licence (SPDX) in its first lines
  includes  folders include each other only as ARCHITECTURE.md says
  links     links of the documentation lead somewhere
  format    clang-format; with --fix the files are formatted instead
  shell     shellcheck
  tidy      clang-tidy over what the build compiles (builds first: it needs the generated headers)

Without names all of them run.

  ./run lint
  ./run lint --fix format
TEXT
}

# sources GLOB...: prints our files (known to git, or new and not ignored) that match, NUL-terminated.
sources() {
  local file
  # A file that is deleted but not yet committed is listed too.
  while IFS= read -r -d '' file; do
    if [[ -f $file ]]; then printf '%s\0' "$file"; fi
  done < <(git ls-files -z --cached --others --exclude-standard -- "$@")
}

# shell_sources: as sources, the shell scripts, also those without a suffix.
shell_sources() {
  sources | while IFS= read -r -d '' file; do
    if [[ $file == *.sh ]] || head -n 1 "$file" | grep -qaE '^#!.*[/ ](ba|da)?sh'; then printf '%s\0' "$file"; fi
  done
}

check_licence() {
  local file found=0
  while IFS= read -r -d '' file; do
    if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: '; then
      echo "$file: the first lines do not name the licence; add: // SPDX-License-Identifier: Apache-2.0"
      found=1
    fi
  done < <(sources '*.cc' '*.h' '*.c' '*.proto' && shell_sources)
  return "$found"
}

check_includes() { "$tools/check-includes"; }

check_links() { "$tools/check-links"; }

check_format() {
  local options=(--dry-run -Werror)
  if $fix; then options=(-i); fi
  sources '*.cc' '*.h' '*.c' | xargs -0 -r clang-format-19 "${options[@]}"
}

check_shell() { shell_sources | xargs -0 -r shellcheck; }

# One clang-tidy per file and processor. Only files of the source tree: the build directory has generated ones.
check_tidy() {
  local build_dir=${GATEHOUSE_BUILD:-$project_root/build}
  "$tools/cmd/build.sh" || return
  sed -nE 's|^ *"file": "(.*)",?$|\1|p' "$build_dir/compile_commands.json" | sort -u |
    grep "^$project_root/" | grep -vF "$build_dir/" |
    xargs -r -d '\n' -n 1 -P "$(nproc)" \
      clang-tidy-19 --quiet -p "$build_dir" --extra-arg=-Wno-unknown-warning-option \
      2> >(grep -vE '^[0-9]+ warnings? (and [0-9]+ errors? )?generated' >&2)
}

fix=false
checks=()
while (($# > 0)); do
  case $1 in
    --fix) fix=true ;;
    --help | -h)
      usage
      exit 0
      ;;
    licence | includes | links | format | shell | tidy) checks+=("$1") ;;
    *) die_usage "lint knows no \"$1\"; see ./run lint --help" ;;
  esac
  shift
done
if ((${#checks[@]} == 0)); then checks=(licence includes links format shell tidy); fi

packages_ensure lint
cd "$project_root"
failed=()
for check in "${checks[@]}"; do
  note "lint: $check"
  "check_$check" || failed+=("$check")
done
if ((${#failed[@]} > 0)); then die "lint found something in: ${failed[*]} (above)"; fi
note "lint: clean"
