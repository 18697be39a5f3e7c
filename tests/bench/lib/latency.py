"""Round trips that stock clients cost over a delayed link: through loopkdc, and by MIT's native KKDCP."""

import os
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import link
import realm as realms
from programs import Processors, Programs, arguments, go_first, run, timed

HERE = os.path.dirname(os.path.abspath(__file__))
CHANGER, PASSWORDS = "bob", ("first secret", "second secret")


@dataclass
class Case:
    """One command as a user types it; `trace` proves that it did what its name says."""

    name: str
    argv: list
    preference: str
    trace: str
    target: float | None = None


TIMESTAMP, SPAKE = "timestamp", "spake"
KINIT = Case("kinit, encrypted timestamp", ["kinit", realms.USER], TIMESTAMP, "encrypted_timestamp (2) (real) returned: 0", 2.25)
CASES = (
    KINIT,
    Case("kvno", ["kvno", realms.SERVICE], TIMESTAMP, "Sending request", 1.12),
    Case("kinit, SPAKE", ["kinit", realms.USER], SPAKE, "spake (151) (real) returned: 0"),
    Case("kpasswd", ["kpasswd", CHANGER], TIMESTAMP, "encrypted_timestamp (2) (real) returned: 0"),
)
FIRST, FIRST_TARGET = "first kinit after start", 4.3
# What roaming may cost is told by what a cold start costs: a round trip more at most.
MOVED, STOPPED = "first after network change", "first after stop, proxy anew"
COLD = (FIRST, MOVED, STOPPED)


class Bench:
    """The realm and the two ends of the link, and the clients' side of each way to the KDC."""

    def __init__(self, options, programs):
        self.options, self.programs = options, programs
        self.realm = realms.Realm(options.work)
        run(["kadmin.local", "-r", realms.NAME, "-q", f'addprinc +requires_preauth -pw "{PASSWORDS[0]}" {CHANGER}'],
            env=self.realm.environment())
        native = f"        http_anchors = FILE:{self.realm.ca}"
        self.ways = {
            "direct": self.realm.direct,
            "loopkdc": self.realm.client_config("loopkdc", "127.0.0.1"),
            "native": self.realm.client_config("native", realms.PROXY_URL, native),
        }
        self.preferences = {
            TIMESTAMP: self.realm.client_preference(TIMESTAMP, "preferred_preauth_types = 2"),
            SPAKE: self.realm.client_preference(SPAKE, "preferred_preauth_types = 151"),
        }
        self.ccache, self.tgt = self.realm.path("ccache"), self.realm.path("tgt")
        self.changes = 0

    def environment(self, way, case):
        return self.realm.environment(self.ways[way], self.preferences[case.preference])

    def stdin(self, case):
        if case.argv[0] != "kpasswd":
            return f"{realms.PASSWORD}\n".encode()
        old, new = PASSWORDS[self.changes % 2], PASSWORDS[(self.changes + 1) % 2]
        self.changes += 1
        return f"{old}\n{new}\n{new}\n".encode()

    def lay_ccache(self, case):
        """What the ccache holds decides what is asked, so each case starts from the same one."""
        if case.argv[0] == "kvno":
            # A service ticket that the ccache holds already would not be asked for again.
            shutil.copyfile(self.tgt, self.ccache)
        elif os.path.exists(self.ccache):
            # kpasswd would take a TGT found here for FAST armor, and then prefer SPAKE.
            os.remove(self.ccache)

    def measure(self, way, case):
        """Milliseconds of one whole client process."""
        self.lay_ccache(case)
        return timed(case.argv, self.stdin(case), self.environment(way, case))

    def rehearse(self, way, case):
        """Once with a trace, which tells a measured case from one that quietly did something else."""
        trace = self.realm.path("trace")
        self.lay_ccache(case)
        env = self.environment(way, case) | {"KRB5_TRACE": trace}
        run(case.argv, input=self.stdin(case), env=env)
        with open(trace, errors="replace") as file:
            text = file.read()
        os.remove(trace)
        if case.trace not in text:
            raise SystemExit(f"{way}: {case.name}: no {case.trace!r} in its trace:\n{text}")

    def start_loopkdc(self):
        argv = [self.options.loopkdc, "run", "--realm", f"{realms.NAME}={realms.PROXY_URL}", "--ca", self.realm.ca,
                "--listen-kdc", "127.0.0.1:88", "--listen-kpasswd", "127.0.0.1:464"]
        return self.programs.start(argv, ready=rb"\bready\b", env={"PATH": "/usr/bin:/bin", "HOME": self.options.work})

    def start_office(self):
        """The realm, its proxy and the far end of the link, in a namespace of their own."""
        holder = self.programs.start(["unshare", "--net", "--", "sh", "-c", "ip link set lo up; echo office; exec sleep infinity"],
                                     ready=rb"office")
        delay = str(self.options.rtt / 2)
        self.programs.start([sys.executable, os.path.join(HERE, "link.py"), delay, str(holder.pid)], ready=rb"link up")
        self.realm.start_kdc(self.programs, holder.pid)
        self.realm.start_kadmind(self.programs, holder.pid)
        self.office = holder.pid
        self.start_proxy()

    def start_proxy(self):
        self.proxy = self.realm.start_proxy(self.programs, link.THERE, self.office)

    @staticmethod
    def change_network(loopkdc):
        """Another address, as from the next DHCP server; loopkdc has heard of it when it says so."""
        for change, answer in (("add", rb"network changed"), ("del", rb"network changed")):
            loopkdc.after(["ip", "address", change, "10.77.1.1/32", "dev", "office"], answer)

    def stop_and_go(self, loopkdc):
        """The lid is closed and opened; the connections of before have ended meanwhile."""
        loopkdc.signal(signal.SIGSTOP)
        self.proxy.end()
        self.start_proxy()
        # A proxy that has just started is slow to answer the first one.
        self.measure("native", KINIT)
        loopkdc.signal(signal.SIGCONT)

    def clients_alone(self):
        """The same clients asking a KDC in the same namespace: what is neither link, proxy nor tunnel."""
        kdc, kadmind = self.realm.start_kdc(self.programs), self.realm.start_kadmind(self.programs)
        run(KINIT.argv, input=self.stdin(KINIT), env=self.environment("direct", KINIT))
        shutil.copyfile(self.ccache, self.tgt)
        times = {}
        for case in CASES:
            self.rehearse("direct", case)
            times[case.name] = [self.measure("direct", case) for _ in range(self.options.repetitions)]
        kadmind.end()
        kdc.end()
        return times

    def repeat(self):
        """Both ways in turn, so that what drifts on this machine drifts for both."""
        loopkdc, native, trips = {}, {}, []
        for _ in range(self.options.repetitions):
            trips += round_trips(5)
            program = self.start_loopkdc()
            loopkdc.setdefault(FIRST, []).append(self.measure("loopkdc", KINIT))
            for case in CASES:
                loopkdc.setdefault(case.name, []).append(self.measure("loopkdc", case))
            self.change_network(program)
            loopkdc.setdefault(MOVED, []).append(self.measure("loopkdc", KINIT))
            self.stop_and_go(program)
            loopkdc.setdefault(STOPPED, []).append(self.measure("loopkdc", KINIT))
            program.end()
            for case in CASES:
                native.setdefault(case.name, []).append(self.measure("native", case))
        for name in COLD:
            native[name] = native[KINIT.name]
        return loopkdc, native, trips


def round_trips(count):
    """Times to the refusal of a TCP connection: each is one round trip, and nothing is served."""
    times = []
    for _ in range(count):
        with socket.socket() as stream:
            before = time.perf_counter()
            try:
                stream.connect((link.THERE, 9))
            except ConnectionRefusedError:
                times.append((time.perf_counter() - before) * 1000)
    return times


def tls_version(ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((realms.PROXY_HOST, 443), 20) as stream:
        with context.wrap_socket(stream, server_hostname=realms.PROXY_HOST) as tls:
            return tls.version()


def cell(times, rtt, one):
    middle = statistics.median(times)
    trips = f"{middle / rtt:6.2f}" if one else "     -"
    return f"{middle:8.1f} {trips}"


def table(loopkdc, native, direct, rtt, one):
    print(f"{'':28} {'loopkdc':>15}   {'native KKDCP':>15}   {'KDC asked':>9}   target")
    print(f"{'':28} {'ms':>8} {'trips':>6}   {'ms':>8} {'trips':>6}   {'direct ms':>9}   (loopkdc's trips)")
    as_cold = statistics.median(loopkdc[FIRST]) / rtt + 1
    rows = [(name, KINIT.name, FIRST_TARGET if name == FIRST else as_cold) for name in COLD]
    rows += [(case.name, case.name, case.target) for case in CASES]
    for name, as_direct, target in rows:
        alone = statistics.median(direct[as_direct])
        trips = statistics.median(loopkdc[name]) / rtt
        verdict = "" if target is None or not one else f"{target:.2f} {'met' if trips <= target else 'MISSED'}"
        label = name if name in COLD else f"warm {name}"
        print(f"{label:28} {cell(loopkdc[name], rtt, one)}   {cell(native[name], rtt, one)}   {alone:9.1f}   {verdict}".rstrip())


def spread(loopkdc, native, direct, rtt):
    """The fastest tells what a busy machine hides, the slowest what a median does: a retransmit, a stale connection."""
    print(f"\n{'fastest and slowest (ms)':28} {'loopkdc':>15}   {'native KKDCP':>15}   loopkdc's trips: fastest, and median less the client alone")
    for name, times in loopkdc.items():
        ranges = "   ".join(f"{min(way[name]):7.1f} {max(way[name]):7.1f}" for way in (loopkdc, native))
        alone = statistics.median(direct[KINIT.name if name in COLD else name])
        print(f"{name:28} {ranges}   {min(times) / rtt:8.2f} {(statistics.median(times) - alone) / rtt:8.2f}")


def parse():
    parser = arguments("latency", __doc__)
    parser.add_argument("--rtt", type=float, default=100, metavar="MS", help="round trip of the link, in ms (default 100)")
    parser.add_argument("--repetitions", type=int, default=9, metavar="N", help="of each case; the median is shown (default 9)")
    options = parser.parse_args()
    if options.rtt < 0 or options.repetitions < 1:
        parser.error("a round trip is not negative, and one repetition is the least")
    return options


def main():
    options = parse()
    go_first()
    run(["ip", "link", "set", "lo", "up"])
    realms.name_the_proxy(options.work, link.THERE)
    with Programs(options.work) as programs:
        bench = Bench(options, programs)
        direct = bench.clients_alone()
        bench.start_office()
        print(f"proxy: kdcproxy under gunicorn, {tls_version(bench.realm.ca)}; {options.repetitions} repetitions")
        for way in ("native", "loopkdc"):
            program = bench.start_loopkdc() if way == "loopkdc" else None
            for case in CASES:
                bench.rehearse(way, case)
            if program:
                program.end()
        processors = Processors()
        loopkdc, native, trips = bench.repeat()
        # The least tells how exact the link is; the median is what the clients met.
        rtt = statistics.median(trips)
        print(f"link: {options.rtt:g} ms asked for; a refused TCP connection took {min(trips):.2f} to {max(trips):.2f} ms, "
              f"median {rtt:.2f}: one round trip")
        print(f"{processors.meanwhile()}\n")
        table(loopkdc, native, direct, rtt, options.rtt > 0)
        if options.rtt > 0:
            spread(loopkdc, native, direct, rtt)


if __name__ == "__main__":
    main()
