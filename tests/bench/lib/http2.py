"""HTTP/2 as far as an attacker needs it, and with none of a client's manners."""

import asyncio
import collections
import contextlib

# RFC 9113 6; flags of 6.2 and 6.5.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
METHODS = {"GET": b"\x82", "POST": b"\x83"}


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Http2:
    """A connection that grants `window` octets of each answer."""

    def __init__(self, reader, writer, host, window):
        self.reader, self.writer, self.host = reader, writer, host
        self.closed, self.next, self.unanswered = False, 1, set()
        self.initial, self.windows = 65535, collections.Counter()
        writer.write(PREFACE + frame(SETTINGS, 0, 0, INITIAL_WINDOW_SIZE.to_bytes(2, "big") + window.to_bytes(4, "big")))
        self.listening = asyncio.create_task(self._listen())

    def close(self):
        self.closed = True
        self.listening.cancel()
        self.writer.transport.abort()

    def ask(self, method, path, body=b"", ends=True):
        """Headers by the static table of RFC 7541, none of them to be remembered; returns the stream."""
        def literal(index, value):
            return bytes([index, len(value)]) + value.encode()

        stream, self.next = self.next, self.next + 2
        self.unanswered.add(stream)
        fields = METHODS[method] + b"\x87" + literal(4, path) + literal(1, self.host)
        self.writer.write(frame(HEADERS, END_HEADERS | (END_STREAM if ends and not body else 0), stream, fields))
        if body:
            self.writer.write(frame(DATA, END_STREAM if ends else 0, stream, body))
        return stream

    def send(self, stream, octets):
        """A part of a body that goes on, as far as the windows allow."""
        free = min(self.initial + self.windows[stream], 65535 + self.windows[0], len(octets))
        if free > 0:
            self.windows[stream] -= free
            self.windows[0] -= free
            self.writer.write(frame(DATA, 0, stream, octets[:free]))
        return max(free, 0)

    async def _listen(self):
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self._heard(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        self.closed = True

    def _heard(self, kind, flags, stream, payload):
        if kind == WINDOW_UPDATE:
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            for start in range(0, len(payload), 6):
                if int.from_bytes(payload[start:start + 2], "big") == INITIAL_WINDOW_SIZE:
                    self.initial = int.from_bytes(payload[start + 2:start + 6], "big")
            self.writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.closed = True
        elif kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            self.unanswered.discard(stream)
