# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts in tools/cmd: where things are, and how to talk to the user.

# shellcheck disable=SC2034  # used by the scripts that source this file
project_root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

# note TEXT...: one line for the person who waits.
note() { printf '%s\n' "$*" >&2; }

# die TEXT...: the command cannot be done; the text says what, why and what to do.
die() {
  note "run: $*"
  exit 1
}

# die_usage TEXT...: the command was called wrongly.
die_usage() {
  note "run: $*"
  exit 2
}
