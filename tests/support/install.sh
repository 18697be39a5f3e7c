# shellcheck shell=bash
# What tests/demo and tests/run have in common: packages, a cargo that is new enough, and namespaces.
# To be sourced, from the root of the repository, by a script that has set -eu.

# Prints an error and what to do about it, and ends the script.
fail() {
    printf '%s: error: %s\n' "$0" "$1" >&2
    [ $# -lt 2 ] || printf '%s: hint: %s\n' "$0" "$2" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "this needs root: it installs packages and makes a network of its own" \
        "sudo $0"
}

# Runs a command in namespaces that end with this process.
isolated() {
    setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc "$@"
}

# Tried before anything is built: many containers don't allow it.
need_namespaces() {
    local said
    said=$(isolated mount -t tmpfs none /mnt 2>&1) ||
        fail "no namespaces can be made here: $said" \
            "in a container: docker run --privileged; in a chroot, before: mount --bind ROOT ROOT"
}

need_debian() {
    command -v apt-get >/dev/null ||
        fail "this installs packages with apt-get, which isn't here" "run it on Debian 12, or in a container of it"
}

# Asks apt once what there is.
lists_are_new=
update_lists() {
    [ -n "$lists_are_new" ] || apt-get update -qq
    lists_are_new=yes
}

# Installs those of the named Debian packages that are missing.
install_packages() {
    local package missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    need_root
    need_debian
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    update_lists
    without_services apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

POLICY=/usr/sbin/policy-rc.d

# Runs a command under which Debian's packages start no service: no realm is configured here, and
# none of the host's ports is ours.
without_services() {
    local status=0
    if [ -e "$POLICY" ]; then
        # Somebody else decides that already, as in most containers.
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    # Also on ^C: a policy that stayed behind would keep every later service from starting.
    trap 'rm -f "$POLICY"' EXIT
    "$@" || status=$?
    rm -f "$POLICY"
    trap - EXIT
    return "$status"
}

need_cargo() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    # rustup's installer puts cargo where only a new login looks.
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    command -v cargo >/dev/null ||
        fail "cargo isn't installed" "install Rust $wanted or later as https://rustup.rs says, then run this again"
    found=$(cargo --version | cut -d ' ' -f 2)
    printf '%s\n%s\n' "$wanted" "$found" | sort -CV ||
        fail "cargo is $found, and this needs $wanted or later" "rustup update stable"
}
