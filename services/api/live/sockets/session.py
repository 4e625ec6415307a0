"""One conversation's socket, which may break and be followed by another.

What was sent is kept for a while, so that the next connection goes on at the byte and the event
that the client received last. A session has one client, and one connection at a time: a new one
takes the place of the old, which may be dead without the server knowing.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mynah.errors import Gone, InvalidRequest, MynahError
from services.api.live.sockets.messages import show
from services.api.live.sockets.websocket import SocketClosed

GOODBYE_S = 3.0


class Transport(Protocol):
    """A way to the client: a WebSocket, or a line to the process that has it."""

    def receive(self, timeout_s: float) -> str | bytes | None:
        """The next message; None: none came in time. Raises SocketClosed."""
        ...

    def send(self, message: str | bytes) -> None:
        """Raises SocketClosed."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say why and end. Never raises."""
        ...

    def await_goodbye(self, timeout_s: float) -> bool:
        """After ``close``: whether the client has answered it, and so received all. No raise."""
        ...

    def drop(self) -> None:
        """End without a word. Never raises."""
        ...

    def unsent_bytes(self) -> int | None:
        """Bytes that were sent and that the client did not get; None: it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """What a client has of a session: bytes of sound, and events unless it has not counted."""

    sound_bytes: int
    events: int | None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message. ``place``: bytes of sound before it; ``number``: events up to and with it."""

    message: str | bytes
    place: int
    number: int


class Session:
    """See the module. ``kept_bytes``: how much of what was sent is kept.

    ``resume_s``: how long a broken one waits. ``lay_aside`` is called when it breaks, and raises
    MynahError when it cannot wait.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        resume_s: float,
        kept_bytes: int,
        lay_aside: Callable[[], None],
    ) -> None:
        self.secret = secrets.token_urlsafe(24)
        self.resume_s = resume_s
        self.resumed = 0
        self._kept_limit = kept_bytes
        self._lay_aside = lay_aside
        self._transport: Transport | None = transport
        self._lock = threading.Lock()  # of what is sent, and of its order
        self._changed = threading.Condition()
        self._may_break = False
        self._is_over = False
        self._expires_at = float("inf")
        self._kept: deque[_Sent] = deque()
        self._kept_bytes = 0
        self._sound_bytes = self._events = 0  # that were sent
        self._taken = 0  # messages of the client
        self._lost_sound = self._lost_events = 0  # that are not kept any more

    def begin(self) -> None:
        """From here on a break is survived, and what is sent counts."""
        self._may_break = True

    @property
    def is_open(self) -> bool:
        """Whether somebody hears it or may come back."""
        return not self._is_over

    @property
    def is_attached(self) -> bool:
        """Whether it has a connection now."""
        return self._transport is not None

    def send(self, message: str | bytes) -> None:
        """Send it, or keep it for who comes back. Raises SocketClosed when nobody will."""
        with self._lock:
            if self._is_over:
                raise SocketClosed("closed")
            if self._may_break:
                self._keep(message)
            transport = self._transport
            if transport is None:
                return
            try:
                transport.send(message)
            except SocketClosed as closed:
                self._break(transport, closed)

    def receive(self, timeout_s: float) -> str | bytes | None:
        """The next message; None: none came in time. Raises SocketClosed at the end."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            transport = self._transport
            if transport is None:
                self._await_client(left_s)
                continue
            try:
                message = transport.receive(left_s)
            except SocketClosed as closed:
                self._break(transport, closed)
                continue
            with self._changed:
                if transport is self._transport:
                    self._taken += self._may_break and message is not None
                    return message
        return None

    def close(self, code: int, reason: str) -> None:
        """Say why and end. Never raises."""
        self._is_over = True
        if (transport := self._transport) is not None:
            transport.close(code, reason)

    def finish(self, code: int, reason: str) -> None:
        """End when the client has received all, or does not come back for the rest."""
        while (transport := self._transport) is not None:
            transport.close(code, reason)
            if not self._may_break or transport.await_goodbye(GOODBYE_S):
                break
            self._break(transport, SocketClosed("no goodbye", is_broken=True))
            while self._transport is None:
                self._await_client(self.resume_s)
        self._is_over = True

    def await_goodbye(self, timeout_s: float) -> bool:
        """See Transport."""
        transport = self._transport
        return transport is not None and transport.await_goodbye(timeout_s)

    def drop(self) -> None:
        """Give up a connection that takes nothing."""
        if (transport := self._transport) is not None:
            transport.drop()

    def unsent_bytes(self) -> int | None:
        """See Transport."""
        transport = self._transport
        return None if transport is None else transport.unsent_bytes()

    def resume(self, transport: Transport, received: Received, session: str) -> None:
        """Go on over another connection, behind what the client received.

        Raises Gone when that is not kept any more, InvalidRequest when it was never sent,
        what ``lay_aside`` does, SocketClosed when the new connection breaks at once.
        """
        # First what refuses: the connection that is there would be lost for nothing. All that is
        # asked for here only grows, so it needs no lock, which whoever sends may hold for long.
        self._ensure_has(received)
        with self._changed:
            self._lay_aside()
        self.drop()  # whoever sends there lets go of the lock
        with self._lock:
            rest = self._rest(received)
            with self._changed:  # what the old connection still brings is not taken any more
                self._detach()
                taken = self._taken
            transport.send(
                show(
                    "resumed", session=session, from_byte=received.sound_bytes,
                    received_messages=taken,
                )
            )  # fmt: skip
            for message in rest:
                transport.send(message)
            with self._changed:
                self._transport = transport
                self.resumed += 1
                self._changed.notify_all()

    def _detach(self) -> None:
        self._transport = None
        self._expires_at = time.monotonic() + self.resume_s

    def _ensure_has(self, received: Received) -> None:
        """Raises Gone or InvalidRequest when what follows cannot be sent."""
        events = received.events
        if self._is_over or not self._may_break:
            raise Gone("The conversation has ended.", code="resume_expired")
        if received.sound_bytes > self._sound_bytes or (events or 0) > self._events:
            raise InvalidRequest("So much was not sent.", code="invalid_resume")
        if received.sound_bytes < self._lost_sound or (
            events is not None and events < self._lost_events
        ):
            raise Gone("What follows is not kept any more.", code="resume_expired")

    def _rest(self, received: Received) -> list[str | bytes]:
        """What the client does not have. Raises as ``_ensure_has``."""
        self._ensure_has(received)
        events = received.events
        rest: list[str | bytes] = []
        for sent in self._kept:
            if isinstance(sent.message, bytes):
                skipped = received.sound_bytes - sent.place
                if skipped < len(sent.message):
                    rest.append(sent.message[max(0, skipped) :])
            elif sent.number > events if events is not None else sent.place >= received.sound_bytes:
                rest.append(sent.message)
        return rest

    def _keep(self, message: str | bytes) -> None:
        place = self._sound_bytes
        if isinstance(message, bytes):
            self._sound_bytes += len(message)
        else:
            self._events += 1
        self._kept.append(_Sent(message, place, self._events))
        self._kept_bytes += len(message)
        while self._kept_bytes > self._kept_limit:
            oldest = self._kept.popleft()
            self._kept_bytes -= len(oldest.message)
            if isinstance(oldest.message, bytes):
                self._lost_sound = oldest.place + len(oldest.message)
            else:
                self._lost_events = oldest.number

    def _break(self, transport: Transport, closed: SocketClosed) -> None:
        """A connection ended. Raises SocketClosed when that is the end of all."""
        transport.drop()  # a thread may be sending there
        with self._changed:
            if transport is not self._transport:
                return  # another one has taken its place
            if not (self._may_break and closed.is_broken and self.resume_s):
                self._is_over = True
                raise closed
            try:
                self._lay_aside()
            except MynahError as error:
                self._is_over = True
                raise closed from error
            self._detach()

    def _await_client(self, timeout_s: float) -> None:
        """Wait for the client to come back. Raises SocketClosed when it is too late."""
        with self._changed:
            left_s = self._expires_at - time.monotonic()
            self._changed.wait_for(lambda: self._transport is not None, min(left_s, timeout_s))
            if self._transport is None and time.monotonic() >= self._expires_at:
                self._is_over = True
                raise SocketClosed("not resumed")
