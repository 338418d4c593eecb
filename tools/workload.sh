#!/usr/bin/env bash
# What the workload examples run against and no language's registry serves ready-made, into .tools:
# the Kubernetes API server (built, 5 to 8 minutes on two cores the first time), and from Debian etcd and PostgreSQL,
# unpacked there unless the machine has them. Installs nothing on the machine and needs no root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tools=$(dirname "$here")/.tools
bin=$tools/bin
kubernetes=v1.34.1
mkdir -p "$bin"

state=$(cat "$here"/kubernetes/go.* | cksum; go version; echo "$kubernetes")
if [ "$(cat "$bin/.kubernetes" 2>/dev/null)" != "$state" ]; then
    echo "building kube-apiserver (minutes, the first time)"
    version=k8s.io/component-base/version
    cd "$here/kubernetes"
    CGO_ENABLED=0 go build -trimpath \
        -ldflags "-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=34" \
        -o "$bin/" k8s.io/kubernetes/cmd/kube-apiserver
    printf '%s' "$state" >"$bin/.kubernetes"
fi

has_postgres() {
    # The server alone is not enough: extensions come with it on Debian, but not everywhere.
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null &&
        compgen -G '/usr/share/postgresql/*/extension/pg_trgm.control' >/dev/null
}

packages=()
command -v etcd >/dev/null || packages+=(etcd-server)
# The server, and of its libraries those that a small machine may lack.
has_postgres || packages+=(
    postgresql-15 libpq5 libxslt1.1 libxml2 libicu72 libldap-2.5-0 libsasl2-2 libsasl2-modules-db
    libgssapi-krb5-2 libkrb5-3 libkrb5support0 libk5crypto3 libkeyutils1 libcom-err2
)
if [ ${#packages[@]} -gt 0 ] && [ "$(cat "$tools/debian/.state" 2>/dev/null)" != "${packages[*]}" ]; then
    command -v apt-get >/dev/null || {
        echo "etcd and PostgreSQL with its extensions are needed; install them, since only Debian's can be fetched here" >&2
        exit 1
    }
    echo "fetching ${packages[*]}"
    rm -rf "$tools/debian" "$tools/apt"
    mkdir -p "$tools/debian" "$tools"/apt/{lists,cache}/partial
    # Lists and archives of its own, so that the machine's stay as they are.
    apt() {
        apt-get -qq -o Dir::State::Lists="$tools/apt/lists" -o Dir::Cache="$tools/apt/cache" \
            -o APT::Sandbox::User="$(id -un)" "$@"
    }
    cd "$tools/apt"
    apt update
    apt download "${packages[@]}"
    for package in *.deb; do
        dpkg-deb -x "$package" "$tools/debian"
    done
    rm -rf "$tools/apt"
    printf '%s' "${packages[*]}" >"$tools/debian/.state"
fi
echo "workload environment: kube-apiserver $kubernetes, $(find "$tools/debian" -name postgres -path '*bin*' 2>/dev/null | grep -q . && echo "PostgreSQL and etcd in .tools" || echo "PostgreSQL of the machine")"
