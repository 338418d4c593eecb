#!/usr/bin/env bash
# A whole workload by a real `pulumi up`, on the machines of tools/workload_env.py; everything inside .demo-pipeline, or the
# folder that WORKLOAD_ENV names.
#
#   tools/demo_pipeline.sh up PROJECT    run a project of examples/workload, or two-programs, show outputs and how to look around
#   tools/demo_pipeline.sh down          destroy, stop the machines, remove the folder
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
demo=${WORKLOAD_ENV:-$root/.demo-pipeline}
python=$root/.venv/bin/python
stack=demo
cd "$root"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

environment() {
    local variables
    variables=$("$python" tools/workload_env.py env) || return
    eval "$variables"
}

install_plugin() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
    pulumi plugin install resource ptd "v$version" --file target/debug/pulumi-resource-ptd --reinstall >"$demo/install.log" 2>&1 ||
        { cat "$demo/install.log" >&2; exit 1; }
}

settings() {
    [ "${PWD##*/}" != bootstrap ] || return 0
    printf '%s' "$WORKLOAD_DATABASE_SERVER" | pulumi config set --secret databaseServer
    pulumi config set --secret kubeconfig <"$WORKLOAD_KUBECONFIG"
    # Only the control room asks for it.
    [ "${PWD##*/}" != control-room-program ] || printf 'no such key' | pulumi config set --secret opsgenieApiKey
}

run() { # project, where its state lies and what encrypts it when that is not as with the others
    export PULUMI_BACKEND_URL=${2:-$PULUMI_BACKEND_URL}
    cd "$demo/workload/$1"
    pulumi stack select --create "$stack" --secrets-provider "${3:-passphrase}" >/dev/null
    settings
    # For `down`, the last one first.
    touch "$demo/projects"
    { echo "$1 $PULUMI_BACKEND_URL"; grep -v "^$1 " "$demo/projects" || true; } >"$demo/projects.new"
    mv "$demo/projects.new" "$demo/projects"
    say "\$ pulumi up        (examples/workload/$1, AWS emulated at $AWS_ENDPOINT_URL)"
    pulumi up --yes --skip-preview --suppress-progress
}

up() {
    [ -d "examples/workload/$1" ] || { echo "examples/workload/$1 does not exist" >&2; exit 2; }
    "$python" tools/workload_env.py start
    environment
    install_plugin
    # A copy, so that it can be changed at will; kept when it is there.
    [ -d "$demo/workload" ] || cp -R examples/workload "$demo/workload"
    local project=$1 inner
    if [ "$1" = two-programs ]; then
        # The first makes what holds and encrypts the second one's state.
        project=two-programs/pipeline
        run two-programs/bootstrap
        run "$project" "$(pulumi stack output backendUrl)" "$(pulumi stack output secretsProviderUrl)"
        inner=$PULUMI_BACKEND_URL
    else
        run "$project"
        inner=$(pulumi stack output backendUrl)
    fi
    say "\$ pulumi stack output"
    pulumi stack output
    local shown=.demo-pipeline
    [ "$demo" = "$root/.demo-pipeline" ] || shown=$demo
    say "Next"
    cat <<EOF
  Reach it all      eval "\$(tools/workload_env.py env)"
  Go there          cd $shown/workload/$project; export PULUMI_BACKEND_URL="$PULUMI_BACKEND_URL"
  Look              pulumi stack --show-urns; pulumi stack output --show-secrets
  Look at AWS       python -c 'import boto3; print(boto3.client("eks").list_clusters()["clusters"])'
  Look at databases psql "\$WORKLOAD_DATABASE_SERVER" -c '\\l'
  Look at Kubernetes kubectl get namespaces,deployments -A
  An inner stack    PULUMI_BACKEND_URL="$inner" pulumi stack ls --all
  Run it again      pulumi up                nothing changes, and no inner update runs
  Change something  edit $shown/workload/programs/<step>/__main__.py, then
                    pulumi preview --diff    which steps would run, and why; writes nothing
                    pulumi up
  Tear down         make demo-pipeline-down  destroys, stops the machines, removes $shown
EOF
}

down() {
    if [ ! -d "$demo" ]; then
        echo "no pipeline demo is there"
        return
    fi
    local project backend
    if [ -s "$demo/projects" ] && environment; then
        while read -r project backend; do
            (cd "$demo/workload/$project" && export PULUMI_BACKEND_URL=$backend &&
                pulumi destroy --yes --skip-preview --suppress-progress --stack "$stack") ||
                echo "destroy of $project did not succeed; the machines end now, and what is left ends with them" >&2
        done <"$demo/projects"
    fi
    "$python" tools/workload_env.py stop
    echo "the pipeline demo is gone"
}

case ${1:-} in
up) up "${2:-one-program}" ;;
down) down ;;
*)
    echo "usage: tools/demo_pipeline.sh up [PROJECT] | down" >&2
    exit 2
    ;;
esac
