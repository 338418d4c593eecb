#!/usr/bin/env bash
# Builds the peer that bench/pipeline.py runs beside the pipeline, Terragrunt with OpenTofu, into .tools/bin. Not needed for anything
# else; takes some ten minutes on two cores the first time.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$root/.tools/bin
build=$root/.tools/build/peer
trap 'rm -rf "$build"' EXIT
mkdir -p "$bin"

# Each is built as a main module of its own, so that the replacements in its go.mod hold: as a requirement of ours they would not.
make_peer() { # program, module, version, package
    local state="$2 $3"
    [ "$(cat "$bin/.$1" 2>/dev/null)" != "$state" ] || [ ! -x "$bin/$1" ] || return 0
    echo "building $1 $3 (minutes, the first time)"
    rm -rf "$build"
    mkdir -p "$build"
    cp -R "$(cd "$build" && go mod download -json "$2@$3" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/." "$build/"
    chmod -R u+w "$build"
    (cd "$build" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $5" -o "$bin/$1" "$4")
    printf '%s' "$state" >"$bin/.$1"
}

make_peer tofu github.com/opentofu/opentofu v1.10.6 ./cmd/tofu "-X github.com/opentofu/opentofu/version.dev=no"
make_peer terragrunt github.com/gruntwork-io/terragrunt v1.0.0 . "-X github.com/gruntwork-io/go-commons/version.Version=v1.0.0"
