#!/usr/bin/env bash
# Builds what the tests and the demo need and no package registry serves ready-made, into .tools/bin:
# the Pulumi CLI and its YAML language host (unless a CLI on PATH is new enough), and the SDK generators.
# Takes 4 to 7 minutes on two cores the first time; nothing when nothing changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(dirname "$here")/.tools/bin
pulumi=3.259.0
mkdir -p "$bin"
cd "$here"

on_path() {
    local path found
    path=$(printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$bin" | paste -sd: -)
    PATH=$path command -v pulumi-language-yaml >/dev/null || return 1
    found=$(PATH=$path PULUMI_SKIP_UPDATE_CHECK=true pulumi version 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$pulumi" "${found#v}" | sort -V | head -n 1)" = "$pulumi" ]
}

wanted=(./cmd/gensdk)
if on_path; then
    rm -f "$bin/pulumi" "$bin/pulumi-language-yaml"
    source="the Pulumi CLI on PATH"
else
    wanted+=(github.com/pulumi/pulumi/pkg/v3/cmd/pulumi github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml)
    source="Pulumi CLI $pulumi in .tools"
fi

state=$(cat go.mod go.sum cmd/gensdk/*.go java/go.mod java/go.sum java/gensdk-java/*.go build.sh | cksum; go version; echo "${wanted[*]}")
if [ "$(cat "$bin/.state" 2>/dev/null)" != "$state" ]; then
    echo "building ${wanted[*]##*/} (minutes, the first time)"
    CGO_ENABLED=0 go build -trimpath \
        -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v$pulumi" \
        -o "$bin/" "${wanted[@]}"
    # The Java generator follows an older pulumi/pkg, hence a module of its own.
    (cd java && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$bin/" ./gensdk-java)
    # Beside the CLI the stand-ins count as part of the installation, and no command warns of them.
    for name in pulumi-language-python pulumi-resource-pulumi-python; do
        printf '#!/bin/sh\nexec "$(dirname "$0")/../../tests/tools/%s" "$@"\n' "$name" >"$bin/$name"
        chmod +x "$bin/$name"
    done
    printf '%s' "$state" >"$bin/.state"
fi
echo "tools: $source"
