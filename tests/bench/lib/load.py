"""Different AS-REQs a second over UDP: through loopkdc to a TLS stub, and krb5kdc asked directly."""

import argparse
import os
import re
import statistics

import realm as realms
from programs import Processors, Programs, arguments, run
from tunnel import Exchange, Tunnel, own_host, processor_seconds, resident_mib

TARGET = 1.2
# Nonces that a round may use up: no two rounds share one.
NONCES = 1 << 22
CASES = {"as-rep": "nopreauth", "krb-error": realms.USER}
ANSWERS = {"as-rep": "AS-REP", "krb-error": "KRB-ERROR (preauthentication required)"}
DIRECT = "krb5kdc"


class Round:
    """One round's figures, as the clients print them, and the processor time that others took."""

    def __init__(self, figures, spent):
        self.answered, self.identical, self.wrong, self.lost = (
            int(figures[key]) for key in ("answered", "identical", "wrong", "lost"))
        self.rate = self.answered / float(figures["seconds"])
        self.p50, self.p99, self.slowest = (int(figures[key]) / 1000 for key in ("p50", "p99", "slowest"))
        self.spent = {name: 1e6 * seconds / max(self.answered, 1) for name, seconds in spent.items()}


class Bench:
    """krb5kdc and the tunnels stand side by side; one is asked at a time."""

    def __init__(self, options, programs, realm, kdc, case):
        self.options, self.kdc, self.case = options, kdc, case
        self.exchange = Exchange(realm, CASES[case])
        self.tunnels = {
            f"loopkdc, HTTP/{http}": Tunnel(options, programs, realm, self.exchange, http, f"127.0.0.1:{8080 + int(http)}")
            for http in options.http}
        self.nonce = 1 << 24

    def fire(self, target, seconds, watched):
        before = {name: processor_seconds(pid) for name, pid in watched.items()}
        clients = os.times()
        text = run([self.options.ends, "fire", "--target", target, "--request", self.exchange.request_file,
                    "--reply", self.exchange.reply_file, "--clients", str(self.options.clients),
                    "--seconds", str(seconds), "--nonce", str(self.nonce)]).decode()
        after = os.times()
        spent = {name: processor_seconds(pid) - before[name] for name, pid in watched.items()}
        spent["clients"] = after.children_user + after.children_system - clients.children_user - clients.children_system
        self.nonce += NONCES
        return Round(dict(re.findall(r"(\w+)=(\S+)", text)), spent)

    def one(self, name, seconds):
        if name == DIRECT:
            return self.fire(f"{realms.KDC}:88", seconds, {DIRECT: self.kdc.pid})
        tunnel = self.tunnels[name]
        return self.fire(tunnel.listen, seconds, {"loopkdc": tunnel.loopkdc.pid, "stub": tunnel.stub.pid})

    def repeat(self):
        """krb5kdc before each tunnel in turn, so that what drifts on this machine drifts for all."""
        names = [DIRECT, *self.tunnels]
        warm_up = {name: self.one(name, 1) for name in names}
        rounds = {name: [] for name in names}
        for number in range(self.options.rounds):
            line = []
            for name in names:
                rounds[name].append(self.one(name, self.options.seconds))
                line.append(f"{name} {rounds[name][-1].rate:.0f}")
            print(f"round {number + 1}: " + "; ".join(line) + " a second", flush=True)
        return rounds, warm_up

    def end(self):
        for tunnel in self.tunnels.values():
            tunnel.loopkdc.end()
            tunnel.stub.end()


def middle(rounds, field):
    return statistics.median(getattr(one, field) for one in rounds)


def row(name, rounds, direct):
    ratio = statistics.median(one.rate / other.rate for one, other in zip(rounds, direct))
    spent = {key: statistics.median(one.spent[key] for one in rounds) for key in rounds[0].spent}
    costs = ", ".join(f"{key} {micros:.0f}" for key, micros in spent.items())
    slowest, wrong, lost = max(one.slowest for one in rounds), sum(one.wrong for one in rounds), sum(one.lost for one in rounds)
    print(f"{name:16} {middle(rounds, 'rate'):9.0f} {ratio:6.2f} {middle(rounds, 'p50'):8.2f} {middle(rounds, 'p99'):8.2f} "
          f"{slowest:8.2f} {wrong:6} {lost:5}   {costs}")
    return ratio, wrong + lost


def report(bench, rounds, warm_up):
    print(f"\n{'':16} {'a second':>9} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8} {'slowest':>8} {'wrong':>6} {'lost':>5}   "
          "processor time per request (µs)")
    verdicts = {}
    for name, own in rounds.items():
        verdicts[name] = row(name, own, rounds[DIRECT])
    print()
    for name, tunnel in bench.tunnels.items():
        ratio, bad = verdicts[name]
        all_rounds = [warm_up[name], *rounds[name]]
        answered, identical = (sum(getattr(one, field) for one in all_rounds) for field in ("answered", "identical"))
        resident, anonymous = resident_mib(tunnel.loopkdc.pid)
        posts, handshakes = tunnel.stub_counts()
        # Each request made one POST, and each client got what the stub said: nothing lost, repeated or replayed.
        flawless = bad + warm_up[name].wrong + warm_up[name].lost == 0 and answered == identical == posts
        verdict = "met" if ratio >= TARGET and flawless else "MISSED"
        print(f"{name}: ratio {ratio:.2f}, target {TARGET} and none lost: {verdict}")
        print(f"  {answered} answered, {identical} of them octet for octet the stub's; {posts} POSTs at the stub, {handshakes} TLS connections")
        print(f"  memory after this load: {resident:.1f} MiB resident, {anonymous:.1f} of them its own")


def parse():
    parser = arguments("load", __doc__)
    parser.add_argument("--ends", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of each; the median is shown (default 5)")
    parser.add_argument("--seconds", type=float, default=3, metavar="S", help="of each round (default 3)")
    parser.add_argument("--clients", type=int, default=32, metavar="N", help="that each have one request under way (default 32)")
    parser.add_argument("--answer", choices=CASES, action="append", help="what the AS-REQs are answered by (default: first one, then the other)")
    parser.add_argument("--http", choices=("1", "2"), action="append", help="the stub's HTTP version (default: both)")
    options = parser.parse_args()
    options.http, options.answer = options.http or ["2", "1"], options.answer or list(CASES)
    if min(options.rounds, options.clients) < 1 or not 0 < options.seconds <= 60:
        parser.error("at least one round, one client, and more than no time but no more than a minute")
    return options


def main():
    options = parse()
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    own_host(options)
    print(f"{options.clients} clients over UDP; all on processors {cores}; {options.rounds} rounds of {options.seconds:g} s each")
    with Programs(options.work) as programs:
        realm = realms.Realm(options.work)
        kdc = realm.start_kdc(programs)
        for case in options.answer:
            print(f"\nAS-REQs answered by {ANSWERS[case]}:")
            bench = Bench(options, programs, realm, kdc, case)
            processors = Processors()
            rounds, warm_up = bench.repeat()
            print(processors.meanwhile())
            report(bench, rounds, warm_up)
            bench.end()


if __name__ == "__main__":
    main()
