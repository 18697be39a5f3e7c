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

asks_for_help() {
    case " $* " in *" --help "* | *" -h "*) return 0 ;; esac
    return 1
}

# cargo of a toolchain that is installed for this user but not on root's PATH.
build() {
    command -v cargo >/dev/null || PATH="$PATH:$HOME/.cargo/bin"
    command -v cargo >/dev/null || die "no cargo: install a Rust toolchain (rust-version in Cargo.toml)"
    (cd "$bench/../.." && cargo build --release --locked "$@")
}

# The clients and the stub: $ends. cargo alone knows the name of what it builds for [[bench]].
build_ends() {
    build --bench ends || die "the build failed"
    ends=$(build --bench ends --quiet --message-format json |
        /usr/bin/python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["kind"] == ["bench"]:
        print(message["executable"])')
    [ -x "$ends" ] || die "cargo names no executable of the bench target"
}

# The program to measure: $loopkdc. Built last and alone: what is measured has the features of what
# is shipped. A --loopkdc of the caller's comes later on the command line, and so wins.
build_loopkdc() {
    loopkdc="$bench/../../target/release/loopkdc"
    case " $* " in *" --loopkdc"*) return ;; esac
    build --bin loopkdc || die "the build failed"
    [ -z "${CARGO_TARGET_DIR:-}" ] || loopkdc="$CARGO_TARGET_DIR/release/loopkdc"
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
