"""A broken conversation goes on: in the process that has it, over the socket of any other.

The conversation stays where it is, with its encoder, its jobs and what it sent. The process that
has the client's new socket calls the other one (``mynah.messaging.socket_lines``) and carries
messages both ways.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections import deque
from contextlib import suppress

import structlog

from mynah.errors import BrokerUnavailable, Gone, InvalidRequest, MynahError
from mynah.messaging.socket_lines import Call, Kind, SocketLines
from mynah.observability.metrics import SOCKETS_RESUMED
from services.api.auth.standing import Grant, Standing
from services.api.live.sockets.session import GOODBYE_S, Received, Session
from services.api.live.sockets.websocket import INTERNAL, SocketClosed

log = structlog.get_logger(__name__)

#: A busy process takes a while; one that has just died never answers.
ANSWER_WITHIN_S = 6.0
ALIVE_INTERVAL_S = 2.0
DEAD_AFTER_S = 10.0
#: Messages that may lie on a line.
MOST_ON_LINE = 64
#: Bytes that may wait in the socket of a relay: what waits elsewhere, the conversation sees.
_QUEUED_BYTES = 4096
_LOOK_S = 0.02
_READ_S = 0.2
_RETRY_S = 1.0


class Sessions:
    """The conversations of this process that may be resumed, and who answers the calls to them."""

    def __init__(self, lines: SocketLines, stall_timeout_s: float) -> None:
        self.lines = lines
        self._stall_timeout_s = stall_timeout_s
        self._gateway = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Session, Standing]] = {}
        self._thread: threading.Thread | None = None

    def add(self, session: Session, standing: Standing) -> None:
        """Let a session be resumed from now on, by its user, whose grant counts then."""
        with self._lock:
            self._sessions[self.name(session)] = (session, standing)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sessions", daemon=True)
                self._thread.start()

    def remove(self, session: Session) -> None:
        """It has ended."""
        with self._lock:
            self._sessions.pop(self.name(session), None)

    def name(self, session: Session) -> str:
        """What its client calls it; nobody can guess it."""
        return f"{self._process}.{session.secret}"

    @property
    def _process(self) -> str:
        """Which process this is: a gateway may be built before it forks into several."""
        return f"{self._gateway}-{os.getpid()}"

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._sessions:
                    self._thread = None  # the next session starts another one
                    return
            try:
                call = self.lines.next_call(self._process, 1.0)
            except BrokerUnavailable:
                time.sleep(_RETRY_S)
                continue
            except Exception:  # a call of another release: the thread must outlive it
                log.exception("call_not_understood")
                continue
            if call is not None:  # the answer may have to wait for the client
                threading.Thread(target=self._answer, args=(call,), daemon=True).start()

    def _answer(self, call: Call) -> None:
        line = LineSocket(self.lines, call.line, self._stall_timeout_s)
        with self._lock:
            session, standing = self._sessions.get(call.session, (None, None))
        try:
            if session is None or standing is None or standing.user_id != call.user_id:
                raise _unknown()
            received = Received(call.received_bytes, call.received_events)
            session.resume(line, received, call.session)
            standing.renew(Grant(call.user_id, call.key_id, call.ends_at))
            SOCKETS_RESUMED.inc()
        except SocketClosed:
            log.info("session_not_resumed", reason="its new connection broke")
        except MynahError as error:
            said = json.dumps({"code": error.code, "message": error.message})
            with suppress(MynahError):
                self.lines.send(call.line, "down", Kind.REFUSED, said.encode())


class LineSocket:
    """A client whose socket is in another process; see Transport."""

    def __init__(self, lines: SocketLines, line: str, stall_timeout_s: float) -> None:
        self._lines = lines
        self._line = line
        self._stall_timeout_s = stall_timeout_s
        self._heard_at = self._said_at = time.monotonic()
        self._sizes: deque[int] = deque(maxlen=MOST_ON_LINE + 1)
        self._end: SocketClosed | None = None

    def receive(self, timeout_s: float) -> str | bytes | None:
        """See Transport."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self._end is not None:
                raise self._end
            self._stay_alive()
            found = self._take(min(left_s, 1.0))
            if found is None or found[0] is Kind.ALIVE:
                continue
            kind, data = found
            if kind in (Kind.CLOSED, Kind.BROKEN):
                raise self._ended("left by its client", is_broken=kind is Kind.BROKEN)
            return data.decode() if kind is Kind.TEXT else data
        return None

    def send(self, message: str | bytes) -> None:
        """See Transport."""
        if self._end is not None:
            raise self._end
        text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        self._sizes.append(len(data))
        waiting = self._push(Kind.TEXT if text else Kind.BINARY, data)
        stalled_at = time.monotonic() + self._stall_timeout_s
        while waiting > MOST_ON_LINE:
            if self._end is not None or time.monotonic() > stalled_at:
                raise self._ended("the other side takes nothing", is_broken=True)
            time.sleep(_LOOK_S)
            waiting = self._waiting()

    def close(self, code: int, reason: str) -> None:
        """See Transport."""
        if self._end is None:
            self._end = SocketClosed("closed")
            with suppress(SocketClosed):
                self._push(Kind.CLOSED, json.dumps([code, reason]).encode())

    def await_goodbye(self, timeout_s: float) -> bool:
        """See Transport."""
        deadline = time.monotonic() + timeout_s
        with suppress(SocketClosed):
            while (left_s := deadline - time.monotonic()) > 0:
                found = self._take(min(left_s, 1.0))
                if found is not None and found[0] in (Kind.CLOSED, Kind.BROKEN):
                    return found[0] is Kind.CLOSED
        return False

    def drop(self) -> None:
        """See Transport."""
        if self._end is None:
            self._end = SocketClosed("dropped", is_broken=True)
            with suppress(SocketClosed):
                self._push(Kind.BROKEN, b"")

    def unsent_bytes(self) -> int | None:
        """See Transport: what lies on the line; a relay holds little itself."""
        try:
            waiting = self._waiting()
        except SocketClosed:
            return None
        return sum(list(self._sizes)[-waiting:]) if waiting else 0

    def _stay_alive(self) -> None:
        now = time.monotonic()
        if now - self._heard_at > DEAD_AFTER_S:
            raise self._ended("its other end is gone", is_broken=True)
        if now - self._said_at > ALIVE_INTERVAL_S:
            self._said_at = now
            self._push(Kind.ALIVE, b"")

    def _take(self, timeout_s: float) -> tuple[Kind, bytes] | None:
        try:
            found = self._lines.receive(self._line, "up", timeout_s)
        except BrokerUnavailable:
            raise self._ended("the line is cut", is_broken=True) from None
        if found is not None:
            self._heard_at = time.monotonic()
        return found

    def _push(self, kind: Kind, data: bytes) -> int:
        try:
            return self._lines.send(self._line, "down", kind, data)
        except BrokerUnavailable:
            raise self._ended("the line is cut", is_broken=True) from None

    def _waiting(self) -> int:
        try:
            return self._lines.waiting(self._line, "down")
        except BrokerUnavailable:
            raise self._ended("the line is cut", is_broken=True) from None

    def _ended(self, reason: str, *, is_broken: bool) -> SocketClosed:
        self._end = self._end or SocketClosed(reason, is_broken=is_broken)
        return self._end


class Relay:
    """Carries messages between a client's new socket and its conversation."""

    def __init__(self, lines: SocketLines, socket: Session) -> None:
        self._lines = lines
        self._socket = socket
        self._line = secrets.token_hex(16)
        self._is_over = False
        self._goodbye: tuple[int, str] | None = None

    def run(self, session: str, grant: Grant, received: Received) -> None:
        """Go on with a conversation until it or its client ends, on the grant of this connection.

        Raises Gone (``resume_expired``) when it does not wait any more, InvalidRequest (so much
        was not sent, or a message is no text), BrokerUnavailable.
        """
        process = session.partition(".")[0]
        if not self._lines.is_there(process):
            raise _unknown()
        call = Call(
            *(session, grant.user_id, self._line, received.sound_bytes, received.events),
            key_id=grant.key_id,
            ends_at=grant.ends_at,
        )
        self._lines.call(process, call)
        first = self._answer_of_call()
        down = threading.Thread(target=self._carry_down, args=(first,), name="relay", daemon=True)
        down.start()
        try:
            self._carry_up()
        finally:
            self._is_over = True
            down.join(timeout=5.0)

    def _answer_of_call(self) -> tuple[Kind, bytes]:
        """The first that the conversation says. Raises what it refuses with, Gone."""
        deadline, found = time.monotonic() + ANSWER_WITHIN_S, None
        while found is None and time.monotonic() < deadline:
            found = self._lines.receive(self._line, "down", 1.0)
        if found is None:
            # Should it come to it yet, it is not to wait here: its client may call again.
            self._lines.send(self._line, "up", Kind.BROKEN)
            raise _unknown()
        if found[0] is Kind.REFUSED:
            raise _refusal(json.loads(found[1]))
        return found

    def _carry_up(self) -> None:
        """What the client says, then how it ended."""
        ended, said_at = Kind.CLOSED, time.monotonic()
        try:
            while self._goodbye is None:
                message = self._socket.receive(_READ_S)
                if message is not None:
                    self._say(message)
                elif time.monotonic() - said_at > ALIVE_INTERVAL_S:
                    said_at = time.monotonic()
                    self._lines.send(self._line, "up", Kind.ALIVE)
            self._socket.close(*self._goodbye)
            if not self._socket.await_goodbye(GOODBYE_S):
                ended = Kind.BROKEN
        except SocketClosed as closed:
            ended = Kind.BROKEN if closed.is_broken else Kind.CLOSED
        except BrokerUnavailable:
            self._socket.close(INTERNAL, "line_cut")
        finally:
            with suppress(BrokerUnavailable):
                self._lines.send(self._line, "up", ended)

    def _say(self, message: str | bytes) -> None:
        if isinstance(message, str):
            waiting = self._lines.send(self._line, "up", Kind.TEXT, message.encode())
        else:
            waiting = self._lines.send(self._line, "up", Kind.BINARY, message)
        while waiting > MOST_ON_LINE and self._goodbye is None:
            time.sleep(_LOOK_S)
            waiting = self._lines.waiting(self._line, "up")

    def _carry_down(self, found: tuple[Kind, bytes] | None) -> None:
        """What the conversation says, ``found`` first; then how it ended."""
        heard_at = time.monotonic()
        try:
            while not self._is_over and self._goodbye is None:
                if found is not None:
                    heard_at = time.monotonic()
                    self._hand_over(*found)
                elif time.monotonic() - heard_at > DEAD_AFTER_S:
                    self._goodbye = (INTERNAL, "conversation_lost")
                found = self._lines.receive(self._line, "down", 1.0)
        except SocketClosed:
            pass  # the thread that reads finds out by itself
        except BrokerUnavailable:
            self._goodbye = (INTERNAL, "line_cut")

    def _hand_over(self, kind: Kind, data: bytes) -> None:
        if kind is Kind.CLOSED:
            code, reason = json.loads(data)
            self._goodbye = (code, reason)
        elif kind is Kind.BROKEN:  # another connection has taken its place
            self._socket.drop()
        elif kind is not Kind.ALIVE:
            while (self._socket.unsent_bytes() or 0) > _QUEUED_BYTES and not self._is_over:
                time.sleep(_LOOK_S)
            self._socket.send(data.decode() if kind is Kind.TEXT else data)


def _unknown() -> Gone:
    return Gone("There is no such conversation any more.", code="resume_expired")


def _refusal(said: dict[str, str]) -> MynahError:
    """The error that the other process met."""
    if said["code"] == "invalid_resume":
        return InvalidRequest(said["message"], code=said["code"])
    return Gone(said["message"], code=said["code"])
