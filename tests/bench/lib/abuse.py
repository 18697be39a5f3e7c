"""Well-behaved logins through each of the attacks that worked once: how long they take, how many fail, and what the gateway and
`loopkdc run` hold meanwhile."""

import contextlib
import math
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time

import attacks
import realm as realms
from programs import Processors, Programs, arguments, go_first, run
from tunnel import NONCE, own_host

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.path.join(HERE, "../../../packaging/systemd/loopkdc-gateway.service")
# A login has to be done in this time at the 99th percentile.
GOAL = 1.0
# Who behaves, and the first of the uids that don't.
CLIENT, ATTACKER = 1000, 2000
LISTEN, BIG_PORT = 1088, 8443
PREFIX = "2001:db8"
# What their bounds allow (see lib.rs), in MiB: 8 of its own, 16 + 16 + 8 for requests, untaken answers and kept replies, 3 for what
# is known of clients, and 36 KiB for each of 4,096 connections in its handshake. For 1,024 on a laptop it is less.
GATEWAY_MIB, RUN_MIB = 195, 96
CROWDS = (40, 80)

GATEWAY_CONF = """\
[gateway]
listen = ["127.0.0.1:443", "[::1]:443"]
certificate = "{realm.certificate}"
key = "{realm.key}"
access-log = "access.log"
[realms."{name}"]
kdcs = ["127.0.0.1:88"]
transport = "udp"
"""


class Scene:
    """A realm, its gateway with the defaults, and a laptop on which `loopkdc run` has a second realm, of a proxy that means ill."""

    def __init__(self, options, programs):
        self.options, self.programs = options, programs
        self.realm = realm = realms.Realm(options.work)
        # Whoever is asked to log in below reads the configuration here.
        os.chmod(options.work, 0o755)
        self.password = realm.path("password")
        with open(self.password, "w") as file:
            file.write(f"{realms.PASSWORD}\n")
        self._add_accounts()
        self.kdc = realm.start_kdc(programs)
        self.gateway = self._start_gateway()
        self.big = programs.start([sys.executable, os.path.join(HERE, "big_proxy.py"), str(BIG_PORT), realm.certificate, realm.key],
                                  ready=rb"ready")
        self.laptop = self._start_laptop()
        native = f"        http_anchors = FILE:{realm.ca}"
        self.ways = {"loopkdc": (realm.client_config("loopkdc", f"127.0.0.1:{LISTEN}"),),
                     "native": (realm.client_config("native", realms.PROXY_URL, native),)}

    def _add_accounts(self):
        """The victim's is locked for the rest of the time after five wrong passwords."""
        for query in ("addpol -maxfailure 5 -failurecountinterval 1h -lockoutduration 1h locks",
                      f'addprinc +requires_preauth -policy locks -pw "{realms.PASSWORD}" {attacks.VICTIM}'):
            run(["kadmin.local", "-r", realms.NAME, "-q", query], env=self.realm.environment())

    def _start_gateway(self):
        config = self.realm.path("gateway.toml")
        with open(config, "w") as file:
            file.write(GATEWAY_CONF.format(realm=self.realm, name=realms.NAME))
        with open(UNIT) as unit:
            environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", unit.read(), re.MULTILINE))
        return self.programs.start([self.options.loopkdc, "gateway", "--config", config], ready=rb"\bready\b",
                                   env={"PATH": "/usr/bin:/bin", "HOME": self.options.work} | environment)

    def _start_laptop(self):
        argv = [self.options.loopkdc, "run", "--ca", self.realm.ca,
                "--listen-kdc", f"127.0.0.1:{LISTEN}", "--listen-kpasswd", "127.0.0.1:0",
                "--realm", f"{realms.NAME}={realms.PROXY_URL}",
                "--realm", f"BIG.TEST=https://{realms.PROXY_HOST}:{BIG_PORT}/KdcProxy"]
        return self.programs.start(argv, ready=rb"\bready\b", env={"PATH": "/usr/bin:/bin", "HOME": self.options.work})

    def start_login(self, way, principal):
        env = self.realm.environment(*self.ways[way]) | {"KRB5CCNAME": "MEMORY:"}
        with open(self.password) as typed:
            return subprocess.Popen(["kinit", principal], env=env, user=CLIENT, group=CLIENT, extra_groups=[], stdin=typed,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def capture_login(self):
        """A right AS-REQ with an encrypted timestamp, in a file, as it passes from kinit to the KDC."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kdc:
            relay.bind(("127.0.0.1", 0))
            relay.settimeout(0.2)
            kdc.settimeout(5)
            kdc.connect((realms.KDC, 88))
            self.ways["captured"] = (self.realm.client_config("captured", f"127.0.0.1:{relay.getsockname()[1]}"),
                                     self.realm.client_preference("timestamp", "preferred_preauth_types = 2"))
            # A nonce may be shorter than four octets: then the next kinit's will do.
            for _ in range(20):
                kinit, requests = self.start_login("captured", realms.USER), []
                while kinit.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        request, client = relay.recvfrom(65536)
                        requests.append(request)
                        kdc.send(request)
                        relay.sendto(kdc.recv(65536), client)
                if kinit.returncode == 0 and requests[-1].count(NONCE) == 1:
                    with open(self.realm.path("login"), "wb") as file:
                        file.write(requests[-1])
                    return file.name
        raise SystemExit("kinit sent no request with a nonce of four octets")


def finish(login, since):
    """Seconds, and what it said if it failed."""
    try:
        said, _ = login.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        login.kill()
        said = b"no end after 30 s"
    why = said.decode(errors="replace").strip().splitlines()[-1:] if login.returncode != 0 else []
    return time.monotonic() - since, " ".join(why)


class Logins:
    """What came of some."""

    def __init__(self):
        self.took, self.failures = [], []

    def one(self, scene, way, principal=realms.USER):
        since = time.monotonic()
        self.add(*finish(scene.start_login(way, principal), since))

    def add(self, took, why):
        self.took.append(took)
        if why:
            self.failures.append(why)

    def shown(self):
        return (f"{len(self.took):5} logins, p50 {statistics.median(self.took):5.2f}, p99 {self.p99():5.2f}, longest {max(self.took):5.2f} s, "
                f"{len(self.failures)} failed")

    def p99(self):
        return sorted(self.took)[math.ceil(0.99 * len(self.took)) - 1]


def rest(scene):
    """Waits until logins succeed again, so that each attack stands for itself; false if they don't."""
    for _ in range(15):
        logins = Logins()
        for way in ("loopkdc", "native"):
            logins.one(scene, way)
        if not logins.failures and max(logins.took) < scene.options.within:
            return True
        time.sleep(1)
    print("  logins fail 15 s after its end")
    return False


class Peak:
    """The most that a process holds from now on (proc(5), clear_refs)."""

    def __init__(self, program):
        self.pid = program.pid
        with open(f"/proc/{self.pid}/clear_refs", "w") as clear:
            clear.write("5")

    def mib(self):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024


class Trial:
    """One attack, or none, and those who behave meanwhile."""

    def __init__(self, scene, title, argv=None, user=None):
        self.scene, self.title, self.argv, self.user = scene, title, argv, user
        self.logins = {way: Logins() for way in ("loopkdc", "native")}
        self.ok = True

    def through(self, seconds):
        peaks = Peak(self.scene.gateway), Peak(self.scene.laptop)
        processors = Processors()
        attack = self._start(seconds)
        threads = [threading.Thread(target=self._log_in, args=(way, time.monotonic() + seconds)) for way in self.logins]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        did = ""
        if attack is not None:
            attack.end_of_itself(30)
            did = attack.tail().strip().splitlines()[-1]
            # Of an attack that is none.
            self.ok = "failed logins 0" in did or "failed logins" not in did
        for logins in self.logins.values():
            self.ok &= not logins.failures and logins.p99() < self.scene.options.within
        self.report([peak.mib() for peak in peaks], did, processors)

    def _start(self, seconds):
        if self.argv is None:
            return None
        become = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if self.user else []
        # An attacker has processors of its own: it shall not win by taking ours.
        argv = ["nice", "-n", "15", *become, sys.executable, "-B", os.path.join(HERE, "attacks.py"), *self.argv, "--seconds", str(seconds)]
        return self.scene.programs.start(argv, ready=rb"begun")

    def _log_in(self, way, until):
        while time.monotonic() < until:
            began = time.monotonic()
            self.logins[way].one(self.scene, way)
            time.sleep(max(0, 0.25 - (time.monotonic() - began)))

    def report(self, peaks, did, processors):
        bounds = (GATEWAY_MIB, RUN_MIB)
        self.ok &= all(peak < bound for peak, bound in zip(peaks, bounds))
        print(f"\n{self.title}: {'met' if self.ok else 'MISSED'}{did and f' ({did})'}")
        for way, logins in self.logins.items():
            print(f"  {way:8}{logins.shown()}")
            for why in sorted(set(logins.failures)):
                print(f"    {logins.failures.count(why)}: {why}")
        print(f"  peak: gateway {peaks[0]:.0f} of {bounds[0]} MiB, run {peaks[1]:.0f} of {bounds[1]} MiB; {processors.meanwhile()}", flush=True)


class Attack:
    """One of those in attacks.py, from addresses or a uid of its own."""

    def __init__(self, number, end, name, sources=0, ipv6=False):
        self.number, self.end, self.name, self.sources, self.ipv6 = number, end, name, sources, ipv6
        where = f"{sources} {'networks of IPv6' if ipv6 else 'addresses'}" if sources else "a local user"
        self.title = f"{name}, from {where}"

    def addresses(self):
        """In IPv6 each in a /64 of its own, all of them in one /48."""
        if not self.ipv6:
            return [f"127.1.{self.number}.{host + 1}" for host in range(self.sources)]
        return [f"{PREFIX}:{self.number:x}:{net:x}::1" for net in range(self.sources)]

    def trial(self, scene):
        argv = [self.end, self.name, "--port", str(LISTEN if self.end == "laptop" else 443)]
        if self.name == "logins":
            argv += ["--login", scene.capture_login()]
        if self.ipv6:
            argv += ["--target", "::1"]
        if self.sources:
            argv += ["--sources", *self.addresses()]
        return Trial(scene, self.title, argv, None if self.sources else ATTACKER + self.number)

    def after(self, scene):
        """The victim can log in, from elsewhere."""
        if self.name != "passwords" or self.end != "gateway":
            return True
        logins = Logins()
        for way in ("loopkdc", "native"):
            logins.one(scene, way, attacks.VICTIM)
        print(f"  the victim's own: {logins.shown()}")
        return not logins.failures


def all_attacks():
    """Those of attacks.py, some of them from more addresses and from networks of IPv6, too."""
    kinds = []
    for name, (_, sources) in attacks.GATEWAY.items():
        kinds.append(("gateway", name, sources))
        if name == "untaken":
            kinds.append(("gateway", name, 1))
        if name in ("untaken", "bodies", "dropped", "hellos"):
            kinds.append(("gateway", name, sources, True))
    kinds += [("laptop", name) for name in attacks.LAPTOP]
    return [Attack(number, *kind) for number, kind in enumerate(kinds)]


def crowd(scene, way, size):
    """So many right logins at once from one machine. The processors are the limit here: how long it takes is no goal."""
    rest(scene)
    logins, since = Logins(), time.monotonic()
    under_way = [scene.start_login(way, realms.USER) for _ in range(size)]
    for login in under_way:
        logins.add(*finish(login, since))
    print(f"\n{size} at once, {way}: {'MISSED' if logins.failures else 'met'}\n          {logins.shown()}")
    for why in sorted(set(logins.failures)):
        print(f"    {logins.failures.count(why)}: {why}")
    return not logins.failures


def parse():
    names = sorted({"crowd", *attacks.GATEWAY, *attacks.LAPTOP})
    parser = arguments("abuse", __doc__)
    parser.add_argument("--minutes", type=float, default=10, metavar="M", help="how long, all attacks together (default 10)")
    parser.add_argument("--attack", choices=names, action="append", metavar="NAME", help=f"only these, of {', '.join(names)}")
    parser.add_argument("--end", choices=("gateway", "laptop"), help="only those of this end")
    parser.add_argument("--within", type=float, default=GOAL, metavar="S", help=f"what a login may take at the 99th percentile (default {GOAL:g})")
    options = parser.parse_args()
    if not 0 < options.minutes <= 120:
        parser.error("more than no time, and no more than two hours")
    return options


def main():
    options = parse()
    go_first()
    own_host(options)
    # Routed here and bound to without being assigned: clients look for no AAAA record as long as there is no such address.
    run(["ip", "-6", "route", "add", "local", f"{PREFIX}::/32", "dev", "lo"])
    with open("/proc/sys/net/ipv6/ip_nonlocal_bind", "w") as allowed:
        allowed.write("1")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16384), most))
    chosen = [one for one in all_attacks() if one.name in (options.attack or [one.name]) and one.end in (options.end or one.end)]
    seconds = options.minutes * 60 / (len(chosen) + 1)
    with Programs(options.work) as programs:
        scene = Scene(options, programs)
        missed = []
        quiet = Trial(scene, "no attack")
        quiet.through(seconds)
        for attack in chosen:
            trial = attack.trial(scene)
            trial.through(seconds)
            if not (attack.after(scene) and rest(scene) and trial.ok):
                missed.append(attack.title)
        if "crowd" in (options.attack or ["crowd"]):
            missed += [f"{size} at once, {way}" for size in CROWDS for way in ("loopkdc", "native") if not crowd(scene, way, size)]
        if missed:
            raise SystemExit("MISSED: " + "; ".join(missed))


if __name__ == "__main__":
    main()
