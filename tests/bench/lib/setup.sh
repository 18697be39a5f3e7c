# Read by the commands of tests/bench: what each needs before it can measure.

die() {
    echo "${0##*/}: error: $*" >&2
    exit 70
}

# The Debian packages, installed only where one is missing: a second run asks no mirror.
need_packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # Names of packages change within a release: without fresh lists an old one may be gone.
    apt-get -qq update >&2 || die "apt-get update failed"
    # policy-rc.d is Debian's way to install a daemon without starting it on this host: the
    # measurement starts its own. An administrator's own file stays as it is.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
    fi
    apt-get -qq install --no-install-recommends "${missing[@]}" >&2 || die "apt-get install failed"
    [ -z "$made" ] || rm -f "$policy"
}

# cargo of a toolchain that is installed for this user but not on root's PATH.
need_cargo() {
    command -v cargo >/dev/null || PATH="$PATH:$HOME/.cargo/bin"
    command -v cargo >/dev/null || die "no cargo: install a Rust toolchain (rust-version in Cargo.toml)"
}

# Runs a program of lib/ in namespaces of its own, where fixed ports and /etc/hosts are free to
# take. The process namespace ends everything the program has started, however it ends.
in_own_namespaces() {
    local program=$1 status=0 work
    shift
    [ "$(id -u)" -eq 0 ] || die "run as root: network namespaces and TUN devices need it"
    work=$(mktemp -d) || die "no temporary directory"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    unshare --net --mount --pid --fork --kill-child --mount-proc \
        /usr/bin/python3 -B "$bench/lib/$program" --work "$work" "$@" || status=$?
    exit "$status"
}
