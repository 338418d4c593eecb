#!/usr/bin/env bash
# The example through the real Pulumi CLI: created, changed by hand, found, repaired, deleted. Build first.
set -euo pipefail
cd "$(dirname "$0")/../example"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp Pulumi.yaml "$work"
cd "$work"
mkdir state greetings
export PATH="${CARGO_TARGET_DIR:-$OLDPWD/../target}/debug:$PATH"
export PULUMI_BACKEND_URL="file://$work/state" PULUMI_CONFIG_PASSPHRASE=example GREETINGS="$work/greetings"

pulumi stack init test
pulumi up --yes --skip-preview
grep -q 'Hello, world!' greetings/world
pulumi up --yes --skip-preview --expect-no-changes
echo 'Go away.' >greetings/world
pulumi up --yes --skip-preview --refresh
grep -q 'Hello, world!' greetings/world
pulumi destroy --yes --skip-preview
[ -z "$(ls greetings)" ]
echo "the example works"
