#!/usr/bin/env bash
# A real `pulumi up` of an example against an emulated AWS, everything inside .demo.
#
#   tools/demo.sh up EXAMPLE     start the emulator if needed, bootstrap, show resources and outputs
#   tools/demo.sh down           destroy, stop the emulator, remove .demo
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
demo=${DEMO:-$root/.demo}
python=$root/.venv/bin/python
stack=demo
cd "$root"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

moto_runs() {
    [ -s "$demo/moto.pid" ] && kill -0 "$(cat "$demo/moto.pid")" 2>/dev/null && [ -s "$demo/moto.url" ]
}

answers() {
    "$python" -c 'import sys, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(sys.argv[1] + "/moto-api/data.json", timeout=2)' \
        "$1" >/dev/null 2>&1
}

start_moto() {
    if moto_runs && answers "$(cat "$demo/moto.url")"; then
        return
    fi
    # The emulator keeps everything in memory: with a new one, old state would describe what is not there.
    rm -rf "$demo/state"
    local port url
    port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=http://127.0.0.1:$port
    nohup "$python" -m moto.server -p "$port" </dev/null >"$demo/moto.log" 2>&1 &
    echo $! >"$demo/moto.pid"
    for _ in $(seq 300); do
        if answers "$url"; then
            echo "$url" >"$demo/moto.url"
            return
        fi
        kill -0 "$(cat "$demo/moto.pid")" 2>/dev/null || break
        sleep 0.1
    done
    echo "the AWS emulator did not start:" >&2
    tail -n 20 "$demo/moto.log" >&2
    exit 1
}

write_env() {
    # Sourced by people too, so that plain pulumi and aws commands reach the demo and nothing else.
    cat >"$demo/env" <<EOF
unset AWS_PROFILE AWS_SESSION_TOKEN PULUMI_ACCESS_TOKEN PULUMI_STACK
export PATH="$root/.tools/bin:$root/.venv/bin:\$PATH"
export PTD_TEST_PYTHON="$python" PYTHONDONTWRITEBYTECODE=1
export PULUMI_HOME="$demo/home" PULUMI_BACKEND_URL="file://$demo/state" PULUMI_CONFIG_PASSPHRASE=demo
export PULUMI_SKIP_UPDATE_CHECK=true PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true
export AWS_ENDPOINT_URL="$(cat "$demo/moto.url")" AWS_REGION=us-east-2 AWS_DEFAULT_REGION=us-east-2 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo
export AWS_CONFIG_FILE="$demo/no-config" AWS_SHARED_CREDENTIALS_FILE="$demo/no-credentials"
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
EOF
    # shellcheck disable=SC1091
    . "$demo/env"
}

install_plugin() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
    pulumi plugin install resource ptd "v$version" --file target/debug/pulumi-resource-ptd --reinstall >"$demo/install.log" 2>&1 ||
        { cat "$demo/install.log" >&2; exit 1; }
}

up() {
    local example=$1 project=$demo/${1##*/}
    mkdir -p "$demo/home"
    start_moto
    mkdir -p "$demo/state"
    write_env
    install_plugin
    # A copy, so that it can be changed at will; kept when it is there.
    [ -d "$project" ] || cp -R "$example" "$project"
    echo "$project" >"$demo/project"
    cd "$project"
    pulumi stack select --create "$stack" >/dev/null
    say "\$ pulumi up        (${example}, state in .demo/state, AWS emulated at $AWS_ENDPOINT_URL)"
    pulumi up --yes --skip-preview --suppress-progress
    say "\$ pulumi stack     (what is there now)"
    pulumi stack
    local where=${project#"$root"/}
    say "Next"
    cat <<EOF
  Go there          . .demo/env && cd $where
  Look              pulumi stack --show-urns; pulumi stack output --show-secrets
  Look at AWS       python -c 'import boto3; print([s["Name"] for s in boto3.client("secretsmanager").list_secrets()["SecretList"]])'
  Run it again      pulumi up                nothing changes
  Change something  edit ptd.yaml (add a site, say) or the program, then
                    pulumi preview --diff    what would change; writes nothing
                    pulumi up
  Tear down         make demo-down           destroys, stops the emulator, removes .demo
EOF
}

down() {
    if [ ! -d "$demo" ]; then
        echo "no demo is there"
        return
    fi
    if moto_runs && [ -s "$demo/project" ] && [ -s "$demo/env" ]; then
        # shellcheck disable=SC1091
        . "$demo/env"
        (
            cd "$(cat "$demo/project")"
            # Nothing that holds data is deleted without consent, which an update has to record first.
            pulumi config set allowDelete true --stack "$stack"
            pulumi up --yes --skip-preview --suppress-progress --suppress-outputs --stack "$stack" &&
                pulumi destroy --yes --skip-preview --suppress-progress --stack "$stack"
        ) || echo "destroy did not succeed; the emulator ends now, and what is left ends with it" >&2
    fi
    if moto_runs; then
        kill "$(cat "$demo/moto.pid")"
    fi
    rm -rf "$demo"
    echo "the demo is gone"
}

case ${1:-} in
up) up "$2" ;;
down) down ;;
*)
    echo "usage: tools/demo.sh up EXAMPLE | down" >&2
    exit 2
    ;;
esac
