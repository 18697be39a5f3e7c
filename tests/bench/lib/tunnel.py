"""What load and idle share: a captured request with its reply, the TLS stub, and loopkdc before it."""

import os
import re
import socket
import subprocess

import realm as realms
from programs import run

NONCE = b"\xa7\x06\x02\x04"


def tlv(tag, value):
    """DER, whose lengths have no octet to spare."""
    count = len(value)
    size = (count.bit_length() + 7) // 8
    length = bytes([count]) if count < 0x80 else bytes([0x80 + size]) + count.to_bytes(size, "big")
    return bytes([tag]) + length + value


def kdc_proxy_message(reply):
    """[MS-KKDCP] 2.2.2: kerb-message alone, with the four octets of its length."""
    return tlv(0x30, tlv(0xA0, tlv(0x04, len(reply).to_bytes(4, "big") + reply)))


class Exchange:
    """An AS-REQ as kinit sends it first, and what krb5kdc answers; both in files, for the ends."""

    def __init__(self, realm, principal):
        self.request_file, self.reply_file, self.body_file = (
            realm.path(f"{principal}.{end}") for end in ("request", "reply", "body"))
        self.request = self._capture(realm, principal)
        self.reply = self._ask()
        for name, octets in ((self.request_file, self.request), (self.reply_file, self.reply),
                             (self.body_file, kdc_proxy_message(self.reply))):
            with open(name, "wb") as file:
                file.write(octets)

    @staticmethod
    def _capture(realm, principal):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kdc:
            kdc.bind(("127.0.0.1", 0))
            kdc.settimeout(10)
            env = realm.environment(realm.client_config("capture", f"127.0.0.1:{kdc.getsockname()[1]}"))
            # A nonce may be shorter than four octets: then the next kinit's will do.
            for _ in range(20):
                kinit = subprocess.Popen(["kinit", principal], env=env, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                request = kdc.recv(65536)
                kinit.kill()
                kinit.wait()
                if request.count(NONCE) == 1:
                    return request
        raise SystemExit("kinit sent no request with a nonce of four octets")

    def _ask(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(self.request, (realms.KDC, 88))
            return client.recv(65536)

    def through(self, address):
        """One exchange by way of loopkdc; the stub's reply has to come back as it is."""
        host, port = address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(self.request, (host, int(port)))
            if client.recv(65536) != self.reply:
                raise SystemExit("loopkdc answered something else than the stub said")


class Tunnel:
    """loopkdc before a stub that agrees to one version of HTTP."""

    def __init__(self, options, programs, realm, exchange, http, listen):
        self.listen, self.http = listen, http
        self.stub = programs.start(
            [options.ends, "stub", "--certificate", realm.certificate, "--key", realm.key,
             "--body", exchange.body_file, "--http", http], ready=rb"ready")
        self._port = re.search(r"port=(\d+)", self.stub.tail()).group(1)
        self.loopkdc = programs.start(self.argv(options, realm), ready=rb"\bready\b", env=self.environment(realm))

    def argv(self, options, realm):
        url = f"https://{realms.PROXY_HOST}:{self._port}/KdcProxy"
        return [options.loopkdc, "run", "--realm", f"{realms.NAME}={url}", "--ca", realm.ca,
                "--listen-kdc", self.listen, "--listen-kpasswd", "127.0.0.1:0"]

    @staticmethod
    def environment(realm):
        return {"PATH": "/usr/bin:/bin", "HOME": realm.work}

    def stub_counts(self):
        """Ends the stub, which then says how many POSTs and handshakes it has seen."""
        self.stub.end()
        found = re.search(r"posts=(\d+) handshakes=(\d+)", self.stub.tail())
        return int(found.group(1)), int(found.group(2))


def own_host(options):
    """The namespace's loopback, with the proxy's name on it."""
    run(["ip", "link", "set", "lo", "up"])
    realms.name_the_proxy(options.work, "127.0.0.1")


def resident_mib(pid):
    """VmRSS; RssAnon is the part that no other process can share."""
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))


def processor_seconds(pid):
    """User and system time of a process, its threads and its children: proc(5), utime and stime."""
    return sum(own for process, parent, own in _processes() if pid in (process, parent))


def _processes():
    tick = os.sysconf("SC_CLK_TCK")
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                words = stat.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(name), int(words[1]), (int(words[11]) + int(words[12])) / tick
