"""Many listeners in one process: what each got in time, without decoding it.

    python -m bench.listening_clients http://127.0.0.1:8000 --kind http --count 300 --hold-s 60

The token comes in BENCH_TOKEN, the voice in BENCH_VOICE. Listeners come one after another; once
all hear something the clock of ``--hold-s`` starts. A listener plays at real time from its first
sound and a buffer of 300 ms on; it has an underrun where what it should have played is more than
what it has received. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import numpy as np

BUFFER_S = 0.3
KBPS = 96
BYTES_PER_S = KBPS * 125
PARAGRAPH = (
    "The lamplighter went from house to house, and behind every window somebody told a story. "
)
CHARACTERS = 1_960
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Heard:
    """What all listeners together got."""

    listeners: int
    failed: int
    underruns: int
    worst_margin_ms: float
    underruns_before: int  # while others came
    worst_margin_before_ms: float
    p50_first_ms: float
    p95_first_ms: float
    audio_per_s: float


@dataclass
class Listener:
    """One connection: what came, and how far that was from too late."""

    connection: socket.socket
    body: Iterator[None]
    asked_at: float
    first_at: float | None = None
    audio_bytes: int = 0
    counted_from: int = 0
    margin_s: float = float("inf")
    margin_before_s: float = float("inf")
    is_over: bool = False
    inbox: bytearray = field(default_factory=bytearray)

    def look(self, now: float) -> None:
        """Compare what should have been played by now with what has come."""
        if self.first_at is not None:
            played_s = now - self.first_at - BUFFER_S
            self.margin_s = min(self.margin_s, self.audio_bytes / BYTES_PER_S - played_s)

    def begin(self) -> None:
        """All have come: what follows is counted by itself."""
        self.look(time.perf_counter())
        self.counted_from = self.audio_bytes
        self.margin_before_s, self.margin_s = self.margin_s, float("inf")

    def hear(self, size: int) -> None:
        """So many bytes of MP3 came."""
        now = time.perf_counter()
        self.look(now)
        if size and self.first_at is None:
            self.first_at = now
        self.audio_bytes += size


class Crowd:
    """All listeners of one kind on one gateway."""

    def __init__(self, url: str, kind: str, token: str, voice_id: str) -> None:
        parts = urlsplit(url)
        self._address = (str(parts.hostname), int(parts.port or 80))
        self._kind, self._token, self._voice_id = kind, token, voice_id
        self._selector = selectors.DefaultSelector()
        self.listeners: list[Listener] = []

    def add(self) -> None:
        """One more listener."""
        connection = socket.create_connection(self._address)
        connection.setblocking(False)
        start, parse = _KINDS[self._kind]
        text = (PARAGRAPH * 30)[:CHARACTERS].rstrip() + "."
        listener = Listener(connection, iter(()), time.perf_counter())
        listener.body = parse(listener, text, self._voice_id)
        next(listener.body)
        connection.sendall(start(self._token, self._voice_id, text))
        self._selector.register(connection, selectors.EVENT_READ, listener)
        self.listeners.append(listener)

    def listen(self, until: Callable[[], bool]) -> None:
        """Take what comes."""
        while not until():
            for key, _ in self._selector.select(0.05):
                self._take(key.data)

    def _take(self, listener: Listener) -> None:
        try:
            data = listener.connection.recv(1 << 16)
        except OSError:
            data = b""
        listener.inbox += data
        try:
            next(listener.body)
        except StopIteration:
            data = b""
        if not data:
            listener.is_over = True
            self._selector.unregister(listener.connection)

    def close(self) -> None:
        """All leave."""
        for listener in self.listeners:
            listener.connection.close()


def _ask(token: str, voice_id: str, text: str) -> bytes:
    body = json.dumps({"text": text, "voice_id": voice_id, "output_format": "mp3"}).encode()
    return (
        f"POST /api/tts/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _chunks(listener: Listener, text: str, voice_id: str) -> Iterator[None]:
    """A chunked answer (RFC 9112, 7.1), whose MP3 begins behind an ID3 tag."""
    inbox, tag = listener.inbox, 10
    while (at := inbox.find(b"\r\n\r\n")) < 0:
        yield
    if not inbox.startswith(b"HTTP/1.1 200"):
        return
    del inbox[: at + 4]
    while True:
        while (at := inbox.find(b"\r\n")) < 0 or len(inbox) < at + 4 + int(inbox[:at], 16):
            yield
        size = int(inbox[:at], 16)
        if not size:
            return
        if tag == 10:  # its length, seven bits a byte
            high, middle, low = inbox[at + 2 + 7 : at + 2 + 10]
            tag += (high << 14) + (middle << 7) + low
            listener.hear(size - tag)
        else:
            listener.hear(size)
        del inbox[: at + size + 4]


def _shake_hands(token: str, voice_id: str, text: str) -> bytes:
    return (
        f"GET /ws/tts HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}\r\n\r\n"
    ).encode()


def _frames(listener: Listener, text: str, voice_id: str) -> Iterator[None]:
    """The frames of a server (RFC 6455, 5.2): binary ones are MP3, pings are answered."""
    inbox = listener.inbox
    while (at := inbox.find(b"\r\n\r\n")) < 0:
        yield
    if not inbox.startswith(b"HTTP/1.1 101"):
        return
    del inbox[: at + 4]
    for message in (
        {"type": "start", "voice_id": voice_id, "profile": "browser"},
        {"type": "text", "text": text},
        {"type": "end"},
    ):
        listener.connection.sendall(_masked(0x1, json.dumps(message).encode()))
    while True:
        while len(inbox) < 2 or len(inbox) < sum(_extent(inbox)):
            yield
        head, size = _extent(inbox)
        if inbox[0] & 0xF == 0x2:
            listener.hear(size)
        elif inbox[0] & 0xF == 0x9:
            listener.connection.sendall(_masked(0xA, bytes(inbox[head : head + size])))
        del inbox[: head + size]


def _extent(frame: bytearray) -> tuple[int, int]:
    """The bytes of a frame's head and of its payload; more than is there while unknown."""
    size = frame[1] & 0x7F
    if size < 126:
        return 2, size
    if len(frame) < 4:
        return 4, 1
    return 4, int(struct.unpack(">H", frame[2:4])[0])


def _masked(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload  # a mask of zeros changes nothing


_KINDS = {"http": (_ask, _chunks), "socket": (_shake_hands, _frames)}


def hear(crowd: Crowd, count: int, per_s: float, hold_s: float) -> Heard:
    """Let so many come, listen to all of them for a while, and leave."""
    started = time.perf_counter()
    for number in range(count):
        crowd.add()
        due = started + (number + 1) / per_s
        crowd.listen(lambda due=due: time.perf_counter() >= due)
    deadline = time.perf_counter() + PATIENCE_S
    crowd.listen(
        lambda: (
            all(one.first_at or one.is_over for one in crowd.listeners)
            or time.perf_counter() > deadline
        )
    )
    for one in crowd.listeners:
        one.begin()
    print("all hear", flush=True)
    began = time.perf_counter()
    crowd.listen(lambda: time.perf_counter() > began + hold_s)
    print("all leave", flush=True)
    now = time.perf_counter()
    for one in crowd.listeners:
        one.look(now)
    crowd.close()
    return _sum_up(crowd.listeners, hold_s)


def _sum_up(listeners: list[Listener], hold_s: float) -> Heard:
    heard = [one for one in listeners if one.first_at is not None]
    first = [1000 * (one.first_at - one.asked_at) for one in heard if one.first_at] or [0.0]
    came = sum(one.audio_bytes - one.counted_from for one in heard)
    return Heard(
        listeners=len(listeners),
        failed=len(listeners) - len(heard) + sum(one.is_over for one in heard),
        underruns=sum(one.margin_s < 0 for one in heard),
        worst_margin_ms=round(1000 * min((one.margin_s for one in heard), default=0.0)),
        underruns_before=sum(one.margin_before_s < 0 for one in heard),
        worst_margin_before_ms=round(
            1000 * min((one.margin_before_s for one in heard), default=0.0)
        ),
        p50_first_ms=round(float(np.percentile(first, 50)), 1),
        p95_first_ms=round(float(np.percentile(first, 95)), 1),
        audio_per_s=round(came / BYTES_PER_S / hold_s, 1),
    )


def main() -> None:
    """Listen, and print what was heard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--kind", choices=sorted(_KINDS), required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--per-s", type=float, default=10.0)
    parser.add_argument("--hold-s", type=float, default=60.0)
    given = parser.parse_args()
    token, voice_id = os.environ["BENCH_TOKEN"], os.environ["BENCH_VOICE"]
    crowd = Crowd(given.url, given.kind, token, voice_id)
    print(json.dumps(asdict(hear(crowd, given.count, given.per_s, given.hold_s))), flush=True)


if __name__ == "__main__":
    main()
