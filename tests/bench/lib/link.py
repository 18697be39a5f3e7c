"""A delayed link between two network namespaces, for kernels without netem.

Two TUN devices, one in each namespace, and a process that copies each IP packet to the other side
after half a round trip. Every packet is late, so handshakes cost what they cost on a real link; a
TCP relay would hide them.

SIGUSR1 makes it lead nowhere, without a word to either side; SIGUSR2 mends it.

usage: link.py ONE-WAY-MILLISECONDS OTHER-NAMESPACE-PID
"""

import collections
import fcntl
import gc
import os
import select
import signal
import struct
import subprocess
import sys
import time

HERE, THERE = "10.77.0.1", "10.77.0.2"
# linux/if_tun.h
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# The MTU of a TUN device, and room for what a future one may allow.
PACKET = 65536


def tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def ip(*words, namespace=None):
    prefix = [] if namespace is None else ["nsenter", f"--net=/proc/{namespace}/ns/net", "--"]
    subprocess.run([*prefix, "ip", *words], check=True)


def lay(there):
    """The two devices, each named for where it leads. One that moves to another namespace keeps its descriptor."""
    ends = tun("office"), tun("laptop")
    ip("link", "set", "laptop", "netns", there)
    for device, own, other, namespace in (("office", HERE, THERE, None), ("laptop", THERE, HERE, there)):
        ip("address", "add", own, "peer", other, "dev", device, namespace=namespace)
        ip("link", "set", device, "up", namespace=namespace)
    return ends


def carry(ends, delay):
    """Copies packets for ever; one queue, since all packets are late by the same time."""
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    queue, mended = collections.deque(), [True]
    for number, works in ((signal.SIGUSR1, False), (signal.SIGUSR2, True)):
        signal.signal(number, lambda *_, works=works: mended.__setitem__(0, works))
    clock, read, write, wait = time.monotonic, os.read, os.write, select.select
    while True:
        timeout = max(0.0, queue[0][0] - clock()) if queue else None
        for end in wait(ends, (), (), timeout)[0]:
            try:
                while True:
                    packet = read(end, PACKET)
                    queue.append((clock() + delay, other[end], packet))
            except BlockingIOError:
                pass
        now = clock()
        while queue and queue[0][0] <= now:
            _, end, packet = queue.popleft()
            try:
                if mended[0]:
                    write(end, packet)
            except OSError:
                # The device is down: a cable that was pulled.
                pass


def main():
    delay, there = float(sys.argv[1]) / 1000, sys.argv[2]
    ends = lay(there)
    # A link does not wait for a processor: neither should this one.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.disable()
    print("link up", flush=True)
    carry(ends, delay)


if __name__ == "__main__":
    main()
