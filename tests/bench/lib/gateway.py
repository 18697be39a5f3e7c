"""Different AS-REQs a second and their latency: a KDC asked directly, through `loopkdc gateway`, and through kdcproxy."""

import argparse
import os
import re
import signal
import socket
import statistics
from concurrent.futures import ThreadPoolExecutor

import realm as realms
from programs import Processors, Programs, arguments, go_first, run
from tunnel import Exchange, own_host, processor_seconds, resident_mib

# Nonces that a round may use up: no two rounds share one.
NONCES = 1 << 19
CASES = {"as-rep": "nopreauth", "krb-error": realms.USER}
STUB_PORT = 8088
# Workers and threads of gunicorn; which of them is fastest depends on machine and load.
PROXY_SETTINGS = [(1, 1), (1, 8), (2, 1), (2, 4), (2, 16), (4, 4), (4, 16)]
TIMES, WITHIN, ADDED, MEMORY = 10, 0.85, 0.3, 40
KRB5KDC, STUB = "krb5kdc", "stub"
# The share of the processors' time that others may take during a round that counts.
QUIET = 0.05
KEPT = {"http2": "HTTP/2", "http1": "HTTP/1.1"}


class Figures:
    """One round's figures, as the clients print them, and the processor time that others took."""

    def __init__(self, text, spent, disturbed):
        self.disturbed = disturbed
        figures = dict(re.findall(r"(\w+)=(\S+)", text))
        self.answered, self.wrong, self.lost = (int(figures[key]) for key in ("answered", "wrong", "lost"))
        self.rate = self.answered / float(figures["seconds"])
        self.p50, self.p99, self.slowest = (int(figures[key]) / 1000 for key in ("p50", "p99", "slowest"))
        self.spent = {name: 1e6 * seconds / max(self.answered, 1) for name, seconds in spent.items()}
        self.why = re.findall(r"the first loss: (.*)", text)


class Subject:
    """Something to ask, and how."""

    def __init__(self, name, over, port, transport, programs):
        self.name, self.over, self.port, self.transport, self.programs = name, over, port, transport, programs
        self.rounds = {}

    def middle(self, clients, field):
        return statistics.median(getattr(one, field) for one in self.rounds[clients])

    def total(self, clients, field):
        return sum(getattr(one, field) for one in self.rounds[clients])

    def worst(self, clients):
        return max(one.slowest for one in self.rounds[clients])

    def times(self, other, clients):
        """How many times the other's rate, round by round."""
        return statistics.median(one.rate / two.rate for one, two in zip(self.rounds[clients], other.rounds[clients]) if two.rate)


class Clients:
    """The load; every round has nonces of its own."""

    def __init__(self, options, realm, exchange):
        self.options, self.realm, self.exchange = options, realm, exchange
        self.nonce = 1 << 24

    def target(self, over, port):
        argv = ["--target", f"{realms.KDC}:{port}", "--over", over, "--request", self.exchange.request_file,
                "--reply", self.exchange.reply_file, "--nonce", str(self.nonce)]
        self.nonce += NONCES
        return argv + (["--ca", self.realm.ca, "--host", realms.PROXY_HOST] if over.startswith("http") else [])

    def fire(self, subject, clients, seconds):
        before = {name: processor_seconds(program.pid) for name, program in subject.programs.items()}
        own, processors = os.times(), Processors()
        text = run([self.options.ends, "fire", *self.target(subject.over, subject.port), "--clients", str(clients),
                    "--seconds", str(seconds), "--requests", str(NONCES)]).decode()
        after = os.times()
        spent = {name: processor_seconds(program.pid) - before[name] for name, program in subject.programs.items()}
        spent["clients"] = after.children_user + after.children_system - own.children_user - own.children_system
        return Figures(text, spent, processors.disturbed(sum(spent.values())))

    def fire_in_quiet(self, subject, clients, seconds):
        """Again and again until nothing else took the processors' time, or the calmest of several."""
        rounds = []
        while len(rounds) < self.options.patience and (not rounds or rounds[-1].disturbed > QUIET):
            rounds.append(self.fire(subject, clients, seconds))
        return min(rounds, key=lambda one: one.disturbed)


class Backend:
    """A KDC, and what stands before it."""

    def __init__(self, options, programs, realm, clients, name, kdc, port):
        self.options, self.programs, self.realm, self.clients = options, programs, realm, clients
        self.name, self.kdc, self.port = name, kdc, port
        # krb5kdc closes each connection after its reply.
        tcp = "tcp" if name == KRB5KDC else "tcp-kept"
        self.direct = {"udp": Subject("asked directly, UDP", "udp", port, "udp", {name: kdc}),
                       "tcp": Subject("asked directly, TCP", tcp, port, "tcp", {name: kdc})}
        self.gateways = [subject for number, transport in enumerate(("udp", "tcp")) for subject in self._gateway(transport, port + 100 + number)]
        self.proxies = self._best_proxy(port + 200)
        self.all = [*self.direct.values(), *self.gateways, *self.proxies]

    def _gateway(self, transport, port):
        def start(port, **more):
            return self.realm.start_gateway(self.programs, self.options.loopkdc, port, transport, self.port, **more)

        def subject(what, over, port, gateway):
            return Subject(f"gateway ({transport}), {what}", over, port, transport, {"gateway": gateway, self.name: self.kdc})

        gateway = start(port)
        subjects = [subject(what, over, port, gateway) for over, what in KEPT.items()]
        if transport == "udp":
            subjects.append(subject("HTTP/1.1, no log", "http1", port + 10, start(port + 10, access_log=False)))
            subjects.append(subject("HTTP/1.1, 2 threads", "http1", port + 20, start(port + 20, threads=2)))
            subjects.append(subject("MIT's HTTP/1.0", "http1-fresh", port, gateway))
        return subjects

    def _best_proxy(self, port):
        """kdcproxy with each setting for a moment, and with the best of them for the rest."""
        tried = []
        for number, (workers, threads) in enumerate(self.options.gunicorn):
            for transport in ("tcp", "udp"):
                port += 1
                proxy = self.realm.start_proxy(self.programs, realms.KDC, None, port, workers, threads, transport, self.port)
                name = f"kdcproxy ({transport}) {workers}x{threads}"
                subject = Subject(name, "http1", port, transport, {"kdcproxy": proxy, self.name: self.kdc})
                rates = [self.clients.fire(subject, clients, 1).rate for clients in self.options.clients]
                tried.append((statistics.geometric_mean(rate or 1 for rate in rates), rates, subject))
                if len(tried) > 1:
                    min(tried, key=lambda one: one[0])[2].programs["kdcproxy"].end()
                    tried.remove(min(tried, key=lambda one: one[0]))
                print(f"  kdcproxy over {transport}, {workers} workers of {threads} threads: "
                      + " / ".join(f"{rate:.0f}" for rate in rates) + " a second", flush=True)
        best = tried[0][2]
        fresh = Subject(best.name, "http1-fresh", best.port, best.transport, best.programs)
        best.name, fresh.name = f"{best.name}, HTTP/1.1", f"{best.name}, HTTP/1.0"
        return [best, fresh]

    def repeat(self):
        """Each in turn, so that what drifts on this machine drifts for all."""
        for clients in self.options.clients:
            for subject in self.all:
                self.clients.fire(subject, clients, 0.3)
                subject.rounds[clients] = []
            for _ in range(self.options.rounds):
                for subject in self.all:
                    subject.rounds[clients].append(self.clients.fire_in_quiet(subject, clients, self.options.seconds))
            self.table(clients)

    def table(self, clients):
        print(f"\n{self.name}, {clients} clients:\n{'':32} {'a second':>9} {'of direct':>9} {'p50 ms':>8} {'p99 ms':>8} {'worst':>8} {'wrong':>6} {'lost':>5}"
              "   others   processor time per request (µs)")
        for subject in self.all:
            ratio = subject.times(self.direct[subject.transport], clients)
            spent = {key: statistics.median(one.spent[key] for one in subject.rounds[clients]) for key in subject.rounds[clients][0].spent}
            costs = ", ".join(f"{key} {micros:.0f}" for key, micros in spent.items())
            print(f"{subject.name:32} {subject.middle(clients, 'rate'):9.0f} {ratio:9.2f} {subject.middle(clients, 'p50'):8.2f} "
                  f"{subject.middle(clients, 'p99'):8.2f} {subject.worst(clients):8.1f} {subject.total(clients, 'wrong'):6} "
                  f"{subject.total(clients, 'lost'):5}   {100 * subject.middle(clients, 'disturbed'):5.0f}%   {costs}", flush=True)
            for why in sorted({why for one in subject.rounds[clients] for why in one.why}):
                print(f"{'':32} lost: {why}")

    def kept_gateways(self):
        return [subject for subject in self.gateways if subject.over in KEPT and subject.name.endswith(KEPT[subject.over])]


def verdict(met):
    return "met" if met else "MISSED"


def goals(backends, options):
    print("\ngoals:")
    lost = sum(subject.total(clients, field) for backend in backends.values() for subject in backend.gateways
               for clients in options.clients for field in ("wrong", "lost"))
    print(f"no request through the gateway lost or answered wrongly: {lost}: {verdict(lost == 0)}")
    if STUB in backends:
        backend = backends[STUB]
        for clients in options.clients:
            times = {subject.name: subject.times(backend.proxies[0], clients) for subject in backend.kept_gateways()}
            text = "; ".join(f"{name} {ratio:.1f}" for name, ratio in times.items())
            print(f"where the KDC is not the limit, {TIMES} times kdcproxy's rate, {clients} clients: {text}: {verdict(max(times.values()) >= TIMES)}")
        fresh = [subject for subject in backend.gateways if subject.over == "http1-fresh"][0]
        print("  with a TLS handshake for each request: " + "; ".join(f"{clients} clients {fresh.times(backend.proxies[1], clients):.1f}" for clients in options.clients))
    if KRB5KDC in backends:
        backend = backends[KRB5KDC]
        for clients in options.clients[1:]:
            shares = {subject.name: subject.times(backend.direct[subject.transport], clients) for subject in backend.kept_gateways()}
            text = "; ".join(f"{name} {ratio:.2f}" for name, ratio in shares.items())
            print(f"where krb5kdc is the limit, {WITHIN} of its rate, {clients} clients: {text}: {verdict(min(shares.values()) >= WITHIN)}")
    for backend in backends.values():
        for clients in options.clients:
            p99 = max(subject.middle(clients, "p99") for subject in backend.kept_gateways())
            p50 = backend.proxies[0].middle(clients, "p50")
            print(f"p99 of the gateway below kdcproxy's p50, {backend.name}, {clients} clients: {p99:.2f} and {p50:.2f} ms: {verdict(p99 < p50)}")
        if 1 in options.clients:
            added = {subject.name: subject.middle(1, "p50") - backend.direct[subject.transport].middle(1, "p50") for subject in backend.kept_gateways()}
            text = "; ".join(f"{name} {ms:.2f}" for name, ms in added.items())
            print(f"added latency below {ADDED} ms, {backend.name}: {text}: {verdict(max(added.values()) < ADDED)}")


def memory(options, programs, realm, clients):
    print(f"\nmemory of the gateway with {options.connections} TLS connections (MiB, and how much of it is its own):")
    for number, (over, what) in enumerate((("http2", "clients that offer HTTP/2 and HTTP/1.1"), ("http1", "HTTP/1.1"))):
        port = 9000 + number
        gateway = realm.start_gateway(programs, options.loopkdc, port, "udp", STUB_PORT)
        figures = [resident_mib(gateway.pid)]
        hold = programs.start([options.ends, "hold", *clients.target(over, port), "--connections", str(options.connections)], ready=rb"open=")
        figures.append(resident_mib(gateway.pid))
        hold.ask(signal.SIGUSR1, rb"asked=")
        figures.append(resident_mib(gateway.pid))
        hold.end()
        shown = "; ".join(f"{when} {resident:.1f} ({own:.1f})" for when, (resident, own) in zip(("none", "idle", "each asked once"), figures))
        worst = max(resident for resident, _ in figures)
        each = (figures[-1][1] - figures[0][1]) * 1024 / options.connections
        print(f"{what}: {shown}; {each:.1f} KiB each; below {MEMORY} MiB: {verdict(worst < MEMORY)}", flush=True)
        gateway.end()


def restarts(options, programs, realm, clients):
    """Clients with a connection for each request, while the gateway is ended and started, told to reload and given another certificate."""
    port, crowd = 9100, 16
    subject = Subject("restarted", "http1-fresh", port, "udp", {})
    # As systemd has it: the socket outlives each gateway.
    with socket.create_server((realms.KDC, port), backlog=1024) as held, ThreadPoolExecutor(1) as pool:
        def start():
            return realm.start_gateway(programs, options.loopkdc, port, "udp", STUB_PORT, held=held)

        gateway, count = start(), 0
        load = pool.submit(clients.fire, subject, crowd, options.restarts)
        while not load.done():
            realm.certify()
            gateway.ask(signal.SIGHUP, rb"configuration read again")
            gateway.wait_for(rb"certificate replaced")
            gateway.end()
            gateway, count = start(), count + 1
        gateway.end()
    seen = load.result()
    print(f"\n{count} restarts, reloads and new certificates in {options.restarts:g} s, {crowd} clients with a handshake for each request: "
          f"{seen.answered} answered, {seen.lost} refused or lost, {seen.wrong} wrong, the slowest {seen.slowest:.0f} ms: "
          f"{verdict(count > 0 and seen.lost + seen.wrong == 0)}", flush=True)
    for why in seen.why:
        print(f"  lost: {why}")


def pair(text):
    workers, threads = text.split("x")
    return int(workers), int(threads)


def parse():
    parser = arguments("gateway", __doc__)
    parser.add_argument("--ends", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each; the median is shown (default 3)")
    parser.add_argument("--seconds", type=float, default=2, metavar="S", help="of each round (default 2)")
    parser.add_argument("--clients", type=int, action="append", metavar="N", help="that each have one request under way (default 1, 16 and 256)")
    parser.add_argument("--patience", type=int, default=4, metavar="N", help="how often a round is repeated that something else disturbed (default 4)")
    parser.add_argument("--real-time", action="store_true", help="run all that is measured before whatever else runs here, which then gets next to no time: for a machine that is not quiet")
    parser.add_argument("--kdc", choices=(KRB5KDC, STUB), action="append", help="what is asked in the end (default: both)")
    parser.add_argument("--answer", choices=CASES, default="as-rep", help="what the AS-REQs are answered by (default as-rep)")
    parser.add_argument("--gunicorn", type=pair, action="append", metavar="WxT", help="workers and threads of kdcproxy's gunicorn to try (default: several; the best is shown)")
    parser.add_argument("--connections", type=int, default=2000, metavar="N", help="held open to measure memory; 0: none (default 2000)")
    parser.add_argument("--restarts", type=float, default=5, metavar="S", help="of load while the gateway is restarted without a pause; 0: none (default 5)")
    options = parser.parse_args()
    options.clients, options.kdc = options.clients or [1, 16, 256], options.kdc or [STUB, KRB5KDC]
    options.gunicorn = options.gunicorn or PROXY_SETTINGS
    if min(options.rounds, options.patience, *options.clients) < 1 or not 0 < options.seconds <= 60 or not 0 <= options.connections <= 60000 or not 0 <= options.restarts <= 60:
        parser.error("at least one round, one client, and more than no time but no more than a minute")
    return options


def main():
    options = parse()
    go_first()
    if options.real_time:
        # A kernel with EEVDF lets a build finish its slice of some milliseconds before whoever waits for a datagram.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    own_host(options)
    print(f"clients, gateways and KDCs all on processors {cores}; {options.rounds} rounds of {options.seconds:g} s each")
    with Programs(options.work) as programs:
        realm = realms.Realm(options.work)
        kdc = realm.start_kdc(programs)
        exchange = Exchange(realm, CASES[options.answer])
        stub = programs.start([options.ends, "kdc", "--listen", f"{realms.KDC}:{STUB_PORT}", "--reply", exchange.reply_file], ready=rb"ready")
        clients = Clients(options, realm, exchange)
        ports, processors, backends = {KRB5KDC: (kdc, 88), STUB: (stub, STUB_PORT)}, Processors(), {}
        if options.connections:
            memory(options, programs, realm, clients)
        if options.restarts:
            restarts(options, programs, realm, clients)
        for name in options.kdc:
            print(f"\n{name}:", flush=True)
            backends[name] = Backend(options, programs, realm, clients, name, *ports[name])
            backends[name].repeat()
        goals(backends, options)
        print(processors.meanwhile())


if __name__ == "__main__":
    main()
