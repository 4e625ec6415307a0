"""A WebSocket (RFC 6455) on the connection of a request: messages, pings, and its end.

The protocol is that of the ``websockets`` library; the socket is gunicorn's, whose thread reads.
Any thread may send. Nothing is read ahead and nothing waits to be sent: whoever sends too much
waits in the network, and whoever takes nothing is cut off after ``stall_timeout_s``.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from mynah.errors import InvalidRequest
from services.api.live.draining import unsent_bytes

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
PING_INTERVAL_S = 20.0
# Close codes (RFC 6455 7.4.1)
NORMAL, POLICY, INTERNAL = 1000, 1008, 1011


class SocketClosed(Exception):
    """The connection is over; ``reason`` says why, ``is_broken`` that nobody ended it."""

    def __init__(self, reason: str, *, is_broken: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_broken = is_broken


class WebSocket:
    """The server's end of one connection."""

    def __init__(
        self, connection: socket.socket, stall_timeout_s: float, ping_interval_s: float
    ) -> None:
        self._socket = connection
        self._socket.settimeout(stall_timeout_s)
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self._lock = threading.Lock()
        self._ping_interval_s = ping_interval_s
        self._heard_at, self._pinged_at = time.monotonic(), float("-inf")
        self._message: list[bytes] = []
        self._is_text = False
        self._ready: list[str | bytes] = []
        self._end: SocketClosed | None = SocketClosed("not accepted")

    def accept(self, environ: Mapping[str, Any]) -> bool:
        """Answer the handshake of a request that the server has read. False: it was refused."""
        self._protocol.receive_data(_request_bytes(environ))
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                response = self._protocol.accept(event)
                self._protocol.send_response(response)
        self._send_waiting()
        if self._protocol.state is State.OPEN:
            self._end = None
        return self._end is None

    def receive(self, timeout_s: float) -> str | bytes | None:
        """The next message; None: none came in time. Raises SocketClosed."""
        deadline = time.monotonic() + timeout_s
        while not self._ready:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._read(min(left_s, 1.0))
            if not self._ready:
                self._keep_alive()
        return self._ready.pop(0)

    def send(self, message: str | bytes) -> None:
        """Send a message. Raises SocketClosed, also when the other side takes nothing."""
        with self._lock:
            if self._end is not None:
                raise self._end
            try:
                if isinstance(message, str):
                    self._protocol.send_text(message.encode())
                else:
                    self._protocol.send_binary(message)
            except InvalidState as error:
                raise self._ended() from error
            self._send_waiting()

    def unsent_bytes(self) -> int | None:
        """Bytes that were written and that the client did not get; None: it is not known."""
        return unsent_bytes(self._socket)

    def close(self, code: int, reason: str) -> None:
        """Say why and end. Never raises."""
        with self._lock:
            if self._end is not None:
                return
            with suppress(SocketClosed, InvalidState):
                self._protocol.send_close(code, reason[:120])
                self._send_waiting()
            self._end = self._end or SocketClosed("closed")

    def await_goodbye(self, timeout_s: float) -> bool:
        """After ``close``: whether the other side has said it too, having received all."""
        deadline = time.monotonic() + timeout_s
        with suppress(SocketClosed):
            while self._protocol.close_rcvd is None and (left_s := deadline - time.monotonic()) > 0:
                if not self._pull(left_s, lambda _: None):
                    break
        return self._protocol.close_rcvd is not None

    def drop(self) -> None:
        """End without a word, for a side that takes none; whoever reads finds out."""
        self._end = self._end or SocketClosed("dropped", is_broken=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _keep_alive(self) -> None:
        """Ping a silent side; one that answers nothing is gone. Raises SocketClosed."""
        now = time.monotonic()
        if self._pinged_at > self._heard_at:
            if now - self._pinged_at > self._ping_interval_s:
                raise self._broken("no answer to pings")
        elif now - self._heard_at > self._ping_interval_s:
            self._pinged_at = now
            with self._lock:
                self._protocol.send_ping(b"")
                self._send_waiting()

    def _read(self, timeout_s: float) -> None:
        is_over = not self._pull(timeout_s, self._take)
        if is_over or self._protocol.state is not State.OPEN:
            raise self._ended()

    def _pull(self, timeout_s: float, take: Callable[[Frame], None]) -> bool:
        """Read what is there, once something is; False at the end of it."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        if not poller.poll(timeout_s * 1000):
            return True
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise self._broken("connection reset") from error
        self._heard_at = time.monotonic()
        with self._lock:
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            events = self._protocol.events_received()
            self._send_waiting()  # pongs, and the close frame after a fault
        for event in events:
            if isinstance(event, Frame):
                take(event)
        return bool(data)

    def _take(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._message.append(bytes(frame.data))
        if not frame.fin:
            return
        data = b"".join(self._message)
        self._message.clear()
        self._ready.append(_decoded(data) if self._is_text else data)

    def _send_waiting(self) -> None:
        """Write what the protocol has to say; the caller holds the lock."""
        data = b"".join(self._protocol.data_to_send())
        if not data:
            return
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise self._broken("the other side takes nothing") from error
        except OSError as error:
            raise self._broken("connection reset") from error

    def _ended(self) -> SocketClosed:
        """What the state of the protocol means."""
        if self._protocol.close_rcvd is not None:
            self._end = SocketClosed("closed by the other side")
        elif self._protocol.close_sent is not None:
            self._end = SocketClosed("closed for a fault in its frames")
        else:
            return self._broken("connection lost")
        return self._end

    def _broken(self, reason: str) -> SocketClosed:
        self._end = SocketClosed(reason, is_broken=True)
        return self._end


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("A text message is not valid UTF-8.", code="invalid_text") from None


def _request_bytes(environ: Mapping[str, Any]) -> bytes:
    """The request as it came, in so far as the handshake reads it."""
    lines = ["GET /ws/tts HTTP/1.1"]
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            lines.append(f"{name[5:].replace('_', '-').title()}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
