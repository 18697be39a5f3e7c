"""A RADIUS server (RFC 2865) that takes one code from everybody, says what it was asked, and answers after some seconds."""

import hashlib
import socket
import struct
import sys
import time

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT = 1, 2, 3
USER_NAME, USER_PASSWORD = 1, 2
HEADER = struct.Struct("!BBH16s")
BLOCK = 16


def attributes(octets):
    found = {}
    while octets:
        kind, length = octets[0], octets[1]
        found[kind] = octets[2:length]
        octets = octets[length:]
    return found


def reveal(hidden, secret, authenticator):
    """RFC 2865 5.2."""
    revealed, last = b"", authenticator
    for at in range(0, len(hidden), BLOCK):
        block = hidden[at : at + BLOCK]
        pad = hashlib.md5(secret + last).digest()
        revealed += bytes(a ^ b for a, b in zip(block, pad))
        last = block
    return revealed.rstrip(b"\0")


def answer(code, identifier, request_authenticator, secret):
    """RFC 2865 3. Without a Message-Authenticator (RFC 3579 3.2), for which MIT 1.20 drops the whole answer."""
    head = struct.pack("!BBH", code, identifier, HEADER.size)
    return head + hashlib.md5(head + request_authenticator + secret).digest()


host, port = sys.argv[1].split(":")
secret, right = (argument.encode() for argument in sys.argv[2:4])
seconds = float(sys.argv[4])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((host, int(port)))
print("ready", flush=True)
while True:
    request, peer = server.recvfrom(4096)
    code, identifier, length, authenticator = HEADER.unpack_from(request)
    assert code == ACCESS_REQUEST
    asked = attributes(request[HEADER.size : length])
    password = reveal(asked[USER_PASSWORD], secret, authenticator)
    code = ACCESS_ACCEPT if password == right else ACCESS_REJECT
    print("Access-Request of", asked[USER_NAME].decode(), "with", password.decode(), flush=True)
    time.sleep(seconds)
    server.sendto(answer(code, identifier, authenticator, secret), peer)
