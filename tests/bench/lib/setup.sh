# What the commands of tests/bench have in common: builds, and a place to stand.
# To be sourced, after set -eu, by a script that knows in $bench where tests/bench is.

started_in=$PWD
cd "$bench/../.."
. tests/support/install.sh

# Explains a command without installing or building anything.
if [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    exec /usr/bin/python3 -B "$bench/lib/${0##*/}.py" --work - --help
fi

# The clients and the stub: $ends. cargo alone knows the name of what it builds for [[bench]].
build_ends() {
    cargo build --release --locked --bench ends
    ends=$(cargo build --release --locked --bench ends --quiet --message-format json |
        /usr/bin/python3 -c 'import json, sys
for message in map(json.loads, sys.stdin):
    if message.get("executable") and message["target"]["kind"] == ["bench"]:
        print(message["executable"])')
}

# The program to measure: $loopkdc. Built last and alone, so that it has the features of what is
# shipped. A --loopkdc of the caller's comes later on the command line, and so wins.
build_loopkdc() {
    loopkdc=${CARGO_TARGET_DIR:-$PWD/target}/release/loopkdc
    [[ " $* " == *" --loopkdc"* ]] || cargo build --release --locked --bin loopkdc
}

# Runs the measurement in namespaces of its own, where fixed ports and /etc/hosts are free to take.
# The process namespace ends everything that was started in it, however the measurement ends.
in_own_namespaces() {
    local status=0
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # ^C is for the measurement; this one stays to clean up.
    trap : INT
    cd "$started_in"
    setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc \
        /usr/bin/python3 -Bu "$bench/lib/${0##*/}.py" --work "$work" "$@" || status=$?
    exit "$status"
}
