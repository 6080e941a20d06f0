#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# image.sh DIRECTORY NAME: writes DIRECTORY/image.tar, a container image with busybox alone, which runs for ever.
set -eu
directory=$1
name=$2
mkdir -p "$directory/layer/bin"
cp /bin/busybox "$directory/layer/bin/busybox"
for applet in sh sleep true cat; do ln -s busybox "$directory/layer/bin/$applet"; done
tar -C "$directory/layer" --owner=0 --group=0 -cf "$directory/layer.tar" bin
digest=$(sha256sum "$directory/layer.tar" | cut -d' ' -f1)
cat >"$directory/config.json" <<EOF
{"architecture": "$(dpkg --print-architecture)", "os": "linux", "config": {"Cmd": ["/bin/sleep", "100000"], "Env": ["PATH=/bin"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
EOF
cat >"$directory/manifest.json" <<EOF
[{"Config": "config.json", "RepoTags": ["$name"], "Layers": ["layer.tar"]}]
EOF
tar -C "$directory" -cf "$directory/image.tar" manifest.json config.json layer.tar
rm -r "$directory/layer" "$directory/layer.tar" "$directory/config.json" "$directory/manifest.json"
