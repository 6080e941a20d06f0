#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# link.sh OBJCOPY BPFTOOL COMPILED LINKED: makes of what clang compiled the object that is loaded.
#
# The kernel keeps, for each program, the line of source of each of its instructions and the text of all these lines:
# a third of the memory of a hook, for the verifier's messages alone. Here they are left out: their length in the header
# of .BTF.ext (struct btf_ext_header, Documentation/bpf/btf.rst) becomes 0, and the linker drops the texts.
set -eu
objcopy=$1 bpftool=$2 compiled=$3 linked=$4
line_info_len_at=20

"$bpftool" gen object "$linked.lines" "$compiled"
"$objcopy" --dump-section .BTF.ext="$linked.ext" "$linked.lines"
printf '\0\0\0\0' | dd of="$linked.ext" bs=1 seek="$line_info_len_at" conv=notrunc status=none
"$objcopy" --update-section .BTF.ext="$linked.ext" "$linked.lines"
"$bpftool" gen object "$linked" "$linked.lines"
rm "$linked.lines" "$linked.ext"
