"""AS-REQs as an attacker makes them (RFC 4120 5.4.1), and what carries them to a gateway."""

import random

from tunnel import tlv

ENCRYPTED_TIMESTAMP, AES256 = 2, 18
# What krb5kdc says of a name that needs preauthentication, of nobody's, and of a wrong password: RFC 4120 7.5.9.
PREAUTH_REQUIRED, UNKNOWN, PREAUTH_FAILED = 25, 6, 24


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def text(value):
    return tlv(0x1B, value.encode())


def sequence(*parts):
    return tlv(0x30, b"".join(parts))


def fields(numbered):
    return sequence(*(tlv(0xA0 + number, value) for number, value in numbered.items()))


def name(kind, *parts):
    return fields({0: integer(kind), 1: sequence(*map(text, parts))})


def pa_data(kind, value):
    return fields({1: integer(kind), 2: tlv(0x04, value)})


def as_req(realm, client, padata=b"", server=True):
    """An AS-REQ like no other. Without a server's name, which is valid, krb5kdc drops it without a word."""
    body = {0: tlv(0x03, bytes(5)), 1: name(1, client), 2: text(realm)}
    if server:
        body[3] = name(2, "krbtgt", realm)
    nonce = random.randrange(1 << 30, 1 << 31)
    body |= {5: tlv(0x18, b"20371231235959Z"), 7: integer(nonce), 8: sequence(integer(AES256))}
    request = {1: integer(5), 2: integer(10)}
    if padata:
        request[3] = sequence(padata)
    return tlv(0x6A, fields(request | {4: fields(body)}))


def wrong_password(realm, client):
    """With a timestamp that looks as if another key than the client's had encrypted it."""
    encrypted = fields({0: integer(AES256), 2: tlv(0x04, random.randbytes(56))})
    return as_req(realm, client, pa_data(ENCRYPTED_TIMESTAMP, encrypted))


def framed(message):
    return len(message).to_bytes(4, "big") + message


def kkdcp(realm, message):
    """[MS-KKDCP] 2.2.2."""
    return fields({0: tlv(0x04, framed(message)), 1: text(realm)})


def error_code(reply):
    """That of a KRB-ERROR, wherever in these octets it is; 0 for any other reply."""
    _, found, after = reply.partition(b"\xa6\x03\x02\x01")
    return after[0] if found and b"\x7e" in reply else 0
