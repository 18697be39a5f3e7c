"""Clients of all kinds ask through loopkdc while something fails every few seconds: what it holds, and whom it answers."""

import collections
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import link
import realm as realms
from programs import Processors, Programs, arguments, run
from tunnel import NONCE, Exchange, resident_mib

HERE = os.path.dirname(os.path.abspath(__file__))
CHANGER, PASSWORDS = "bob", ["first secret", "second secret"]
PORTS = (443, 8443)
# `deadline-seconds`, and what a busy machine adds.
DEADLINE, SLACK = 9, 1.5
# What a daemon has learnt, allocated and kept after this share of the time is what it needs.
SETTLED, GROWTH_MIB, GROWTH_DESCRIPTORS = 1 / 3, 2, 8


class Scene:
    """Laptop and office, the link between them, and what stands at either end."""

    def __init__(self, options, programs):
        self.options, self.programs = options, programs
        self.realm = realm = realms.Realm(options.work)
        run(["kadmin.local", "-r", realms.NAME, "-q", f'addprinc +requires_preauth -pw "{PASSWORDS[0]}" {CHANGER}'],
            env=realm.environment())
        kdc = realm.start_kdc(programs)
        self.request = Exchange(realm, realms.USER).request
        kdc.end()
        self.office = programs.start(["unshare", "--net", "--", "sh", "-c", "ip link set lo up; echo office; exec sleep infinity"],
                                     ready=rb"office").pid
        self.link = programs.start([sys.executable, os.path.join(HERE, "link.py"), "10", str(self.office)], ready=rb"link up")
        self.kdc = realm.start_kdc(programs, self.office)
        realm.start_kadmind(programs, self.office)
        self.gateways = [self.start_gateway(port) for port in PORTS]
        urls = (f"{realms.NAME}=https://{realms.PROXY_HOST}:{port}/KdcProxy" for port in PORTS)
        argv = [options.loopkdc, "run", "--ca", realm.ca, "--listen-kdc", "127.0.0.1:88", "--listen-kpasswd", "127.0.0.1:464"]
        for url in urls:
            argv += ["--realm", url]
        self.loopkdc = programs.start(argv, ready=rb"\bready\b", env={"PATH": "/usr/bin:/bin", "HOME": options.work})
        self.env = realm.environment(realm.client_config("loopkdc", "127.0.0.1"))

    def start_gateway(self, port):
        return self.realm.start_gateway(self.programs, self.options.loopkdc, port, access_log=False,
                                        address=link.THERE, namespace=self.office)


class Faults:
    """What goes wrong, one thing at a time; each is mended before the next."""

    def __init__(self, scene):
        self.scene = scene
        self.counts = collections.Counter()
        # How long loopkdc itself was stopped: nobody can be answered then.
        self.stopped = 0.0
        self.all = (self.gateway_hangs, self.gateway_restarts, self.both_hang, self.cable_pulled, self.address_changes,
                    self.black_hole, self.lid_closed, self.reload, self.kdc_hangs)

    def one(self, chance):
        fault = chance.choice(self.all)
        self.counts[fault.__name__.replace("_", " ")] += 1
        fault(chance.uniform(0.5, 6))

    @staticmethod
    def halt(programs, seconds):
        for program in programs:
            program.signal(signal.SIGSTOP)
        time.sleep(seconds)
        for program in programs:
            program.signal(signal.SIGCONT)

    def gateway_hangs(self, seconds):
        self.halt(self.scene.gateways[:1], seconds)

    def both_hang(self, seconds):
        self.halt(self.scene.gateways, seconds)

    def kdc_hangs(self, seconds):
        self.halt([self.scene.kdc], seconds)

    def gateway_restarts(self, seconds):
        self.scene.gateways[1].end()
        time.sleep(seconds / 3)
        self.scene.gateways[1] = self.scene.start_gateway(PORTS[1])

    def cable_pulled(self, seconds):
        run(["ip", "link", "set", "office", "down"])
        time.sleep(seconds)
        run(["ip", "link", "set", "office", "up"])

    def address_changes(self, _):
        for change in ("add", "del"):
            run(["ip", "address", change, "10.77.1.1/32", "dev", "office"])

    def black_hole(self, seconds):
        self.scene.link.signal(signal.SIGUSR1)
        time.sleep(seconds)
        self.scene.link.signal(signal.SIGUSR2)

    def lid_closed(self, seconds):
        before = time.monotonic()
        self.halt([self.scene.loopkdc], seconds / 3)
        self.stopped += time.monotonic() - before

    def reload(self, _):
        self.scene.loopkdc.signal(signal.SIGHUP)


class Clients:
    """Threads that ask until they are told to end."""

    def __init__(self, scene, faults):
        self.scene, self.faults = scene, faults
        self.end = threading.Event()
        self.counts, self.slowest, self.unanswered = collections.Counter(), 0.0, []
        kinds = [self.udp] * 4 + [self.tcp] * 2 + [self.hangs_up, self.kinit, self.kvno, self.kpasswd]
        self.threads = [threading.Thread(target=self.forever, args=(kind,), daemon=True) for kind in kinds]

    def forever(self, kind):
        while not self.end.is_set():
            kind()

    def fresh(self):
        """The request with another nonce: no two are copies of each other."""
        nonce = bytes([random.randrange(1, 0x80)]) + random.randbytes(3)
        before, _, after = self.scene.request.partition(NONCE)
        return before + NONCE + nonce + after[4:]

    def heard(self, kind, before, stopped, answered):
        took = time.monotonic() - before - (self.faults.stopped - stopped)
        self.slowest = max(self.slowest, took)
        self.counts[f"{kind}, {'answered' if answered else 'UNANSWERED'}"] += 1
        if not answered or took > DEADLINE + SLACK:
            self.unanswered.append((kind, round(took, 2)))
        # As many as one laptop has, and more.
        time.sleep(random.uniform(0, 0.2))

    def udp(self):
        before, stopped = time.monotonic(), self.faults.stopped
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(DEADLINE + 8)
            client.sendto(self.fresh(), ("127.0.0.1", 88))
            try:
                answered = bool(client.recv(65536))
            except TimeoutError:
                answered = False
        self.heard("UDP", before, stopped, answered)

    def tcp(self):
        before, stopped = time.monotonic(), self.faults.stopped
        request = self.fresh()
        with socket.create_connection(("127.0.0.1", 88), DEADLINE + 8) as client:
            client.sendall(len(request).to_bytes(4, "big") + request)
            try:
                client.recv(65536)
                answered = True
            except ConnectionResetError:
                # A KDC that can't be reached looks so, at once.
                answered = True
            except TimeoutError:
                answered = False
        self.heard("TCP", before, stopped, answered)

    def hangs_up(self):
        """Half a request, or a whole one that nobody waits for."""
        request = self.fresh()
        octets = len(request).to_bytes(4, "big") + request
        with socket.create_connection(("127.0.0.1", 88), 8) as client:
            client.sendall(octets[:random.randrange(1, len(octets) + 1)])
        self.counts["hung up"] += 1
        time.sleep(random.uniform(0, 0.5))

    def program(self, argv, text):
        """Whether a client program did what it was asked for; in the middle of a fault it may say that it could not."""
        env = self.scene.env | {"KRB5CCNAME": f"FILE:{self.scene.realm.path(argv[0])}-ccache"}
        done = subprocess.run(argv, input=text.encode(), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        self.counts[f"{argv[0]}, {'done' if done.returncode == 0 else 'failed, and said so'}"] += 1
        time.sleep(random.uniform(0, 0.5))
        return done.returncode == 0

    def kinit(self):
        self.program(["kinit", realms.USER], realms.PASSWORD + "\n")

    def kvno(self):
        ccache = self.scene.realm.path("kvno-ccache")
        subprocess.run(["kinit", "-c", ccache, realms.USER], input=realms.PASSWORD.encode() + b"\n", env=self.scene.env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        if os.path.exists(ccache):
            self.program(["kvno", realms.SERVICE], "")

    def kpasswd(self):
        old, new = PASSWORDS
        if self.program(["kpasswd", CHANGER], f"{old}\n{new}\n{new}\n") or not self.opens(old):
            PASSWORDS.reverse()

    def opens(self, password):
        """Asked of the KDC itself, in the office."""
        argv = ["nsenter", f"--net=/proc/{self.scene.office}/ns/net", "--", "kinit", "-c", "MEMORY:", CHANGER]
        return subprocess.run(argv, input=password.encode() + b"\n", env=self.scene.realm.environment(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode == 0


class Watch:
    """What loopkdc holds, every ten seconds."""

    def __init__(self, pid):
        self.pid, self.samples = pid, []

    def look(self):
        descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))
        self.samples.append((resident_mib(self.pid)[0], descriptors, len(os.listdir(f"/proc/{self.pid}/task"))))

    def report(self):
        settled = max(1, int(len(self.samples) * SETTLED))
        flat = True
        for place, (name, growth) in enumerate((("resident MiB", GROWTH_MIB), ("descriptors", GROWTH_DESCRIPTORS), ("threads", GROWTH_DESCRIPTORS))):
            early, late = (max(sample[place] for sample in part) for part in (self.samples[:settled], self.samples[-settled:]))
            met = late <= early + growth
            flat &= met
            print(f"{name}: at most {early:.1f} in the first third, {late:.1f} in the last: {'flat' if met else 'GROWS'}")
        return flat


def parse():
    parser = arguments("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=30, metavar="M", help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which faults, in which order (default 1)")
    options = parser.parse_args()
    if not 0 < options.minutes <= 120:
        parser.error("more than no time, and no more than two hours")
    return options


def soak(options, scene, faults, clients, watch):
    chance, started = random.Random(options.seed), time.monotonic()
    until, looked = started + options.minutes * 60, 0.0
    for thread in clients.threads:
        thread.start()
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.5, 4))
        faults.one(chance)
        if time.monotonic() - looked >= 10:
            looked = time.monotonic()
            watch.look()
    clients.end.set()
    for thread in clients.threads:
        thread.join(130)


def main():
    options = parse()
    run(["ip", "link", "set", "lo", "up"])
    realms.name_the_proxy(options.work, link.THERE)
    with Programs(options.work) as programs:
        scene = Scene(options, programs)
        faults = Faults(scene)
        clients, watch, processors = Clients(scene, faults), Watch(scene.loopkdc.pid), Processors()
        soak(options, scene, faults, clients, watch)
        print(f"{options.minutes:g} minutes; {processors.meanwhile()}")
        print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.counts.items())))
        print("clients: " + ", ".join(f"{name} {count}" for name, count in sorted(clients.counts.items())))
        print(f"slowest answer {clients.slowest:.2f} s, with {DEADLINE} s to answer in; late or none: {clients.unanswered or 'none'}")
        flat = watch.report()
        known = any(clients.opens(password) for password in PASSWORDS)
        print(f"password of {CHANGER}: {'the old or the new one' if known else 'NEITHER'}")
        if clients.unanswered or not flat or not known:
            raise SystemExit(scene.loopkdc.tail())


if __name__ == "__main__":
    main()
