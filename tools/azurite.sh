#!/usr/bin/env bash
# Azurite, which emulates Azure's blob storage, into .tools; Node.js 20 runs it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
place=$(dirname "$here")/.tools/azurite
state=$(cksum <"$here/azurite/package-lock.json")
[ "$(cat "$place/.state" 2>/dev/null)" = "$state" ] && exit
echo "fetching Azurite"
mkdir -p "$place"
cp "$here"/azurite/package*.json "$place/"
npm ci --prefix "$place" --omit=dev --no-audit --no-fund --silent
printf '%s' "$state" >"$place/.state"
