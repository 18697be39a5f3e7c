"""What loopkdc costs while nobody asks: memory, wake-ups, and the time from exec to READY."""

import argparse
import glob
import os
import socket
import statistics
import subprocess
import time

import realm as realms
from programs import Processors, Programs, arguments
from tunnel import Exchange, Tunnel, own_host, resident_mib

START_TARGET, MEMORY_TARGET = 50, 15
START_SECONDS = 10
# tokio ends a thread that looked up a name 10 s after the last look-up: once, not a timer that comes back.
SETTLE_SECONDS = 15
NEVER = "never asked"


def start_times(tunnel, options, realm):
    """Milliseconds from before the fork to READY=1, as systemd would see it."""
    times = []
    path = realm.path("notify")
    for _ in range(options.starts):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(START_SECONDS)
            env = tunnel.environment(realm) | {"NOTIFY_SOCKET": path}
            with open(realm.path("starts.log"), "ab") as log:
                before = time.perf_counter()
                process = subprocess.Popen(tunnel.argv(options, realm), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            while "READY=1" not in notify.recv(4096).decode().split("\n"):
                pass
            times.append((time.perf_counter() - before) * 1000)
            process.terminate()
            process.wait(10)
        os.unlink(path)
    return times


def switches(pid):
    """Context switches of each thread so far: one that sleeps on has no new ones."""
    threads = {}
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(path) as status:
            threads[path] = sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return threads


def woken(before, after):
    """A thread that has ended took its count along, but woke at least once to do so."""
    return sum(count - before.get(path, 0) for path, count in after.items()) + sum(path not in after for path in before)


def idle(tunnels, seconds):
    """Context switches of each while nobody asks: first what an exchange leaves to be done, then the idleness."""
    counts = []
    for wait in (0, SETTLE_SECONDS, seconds):
        time.sleep(wait)
        counts.append({name: switches(tunnel.loopkdc.pid) for name, tunnel in tunnels.items()})
    return {name: tuple(woken(before[name], after[name]) for before, after in zip(counts, counts[1:])) for name in tunnels}


def verdict(met):
    return "met" if met else "MISSED"


def parse():
    parser = arguments("idle", __doc__)
    parser.add_argument("--ends", help=argparse.SUPPRESS)
    parser.add_argument("--starts", type=int, default=10, metavar="N", help="starts to time; the median is shown (default 10)")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="of idleness (default 60: the replay window has 40)")
    options = parser.parse_args()
    if options.starts < 1 or not 0 < options.seconds <= 600:
        parser.error("at least one start, and more than no time but no more than ten minutes")
    return options


def report(tunnels, window, counts):
    print(f"{'':22} {'memory (MiB)':>20}   {'context switches':>20}")
    print(f"{'':22} {'resident':>9} {'its own':>10}   {f'first {SETTLE_SECONDS} s':>10} {f'next {window:g} s':>9}")
    for name, tunnel in tunnels.items():
        resident, anonymous = resident_mib(tunnel.loopkdc.pid)
        settling, idling = counts[name]
        print(f"{name:22} {resident:9.1f} {anonymous:10.1f}   {settling:10} {idling:9}   "
              f"below {MEMORY_TARGET} MiB: {verdict(resident < MEMORY_TARGET)}; no wake-ups: {verdict(idling == 0)}")


def report_starts(times):
    print(f"start to READY: median {statistics.median(times):.1f} ms of {len(times)} ({min(times):.1f} to {max(times):.1f}), "
          f"target below {START_TARGET} ms: {verdict(statistics.median(times) < START_TARGET)}")


def main():
    options = parse()
    own_host(options)
    with Programs(options.work) as programs:
        realm = realms.Realm(options.work)
        kdc = realm.start_kdc(programs)
        exchange = Exchange(realm, realms.USER)
        kdc.end()
        processors = Processors()
        tunnels = {name: Tunnel(options, programs, realm, exchange, http, f"127.0.0.1:{port}")
                   for name, http, port in ((NEVER, "2", 8080), ("asked once, HTTP/2", "2", 8082), ("asked once, HTTP/1.1", "1", 8081))}
        for name, tunnel in tunnels.items():
            if name != NEVER:
                exchange.through(tunnel.listen)
        report(tunnels, options.seconds, idle(tunnels, options.seconds))
        tunnels[NEVER].loopkdc.end()
        report_starts(start_times(tunnels[NEVER], options, realm))
        print(processors.meanwhile())


if __name__ == "__main__":
    main()
