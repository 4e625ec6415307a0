"""A request that becomes a WebSocket: the connection, its slot, and how gunicorn gets it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from typing import Any, NoReturn, Self

import structlog
from flask import Response, request

from mynah.errors import Unavailable
from services.api.auth.caller import Caller
from services.api.bootstrap import Container
from services.api.live.slots import name_of_address
from services.api.live.sockets.websocket import WebSocket

log = structlog.get_logger(__name__)

#: Talks until somebody ends it; gets the socket and the request's id, returns why it ended.
Conversing = Callable[[WebSocket, str], str]


class SocketSlot:
    """The listener's slot of a socket.

    Until its client has said who it is, it is one of those of strangers, of which an address has
    few: whoever says nothing takes none from those who are known, nor all from other addresses.
    """

    def __init__(self, container: Container) -> None:
        self._slots = container.slots
        self._strangers = container.strangers
        self._broken_slots = container.broken_slots
        self._held = ExitStack()
        self._holder: Hashable = None
        self._is_aside = False

    def take(self, caller: Caller | None) -> None:
        """Take a slot for a caller, unless it is theirs, and give back the one before.

        Raises as StreamSlots.
        """
        slots = self._slots if caller else self._strangers
        holder = caller.user_id if caller else name_of_address(request.remote_addr)
        if holder != self._holder:
            self._hold(slots.take(holder))
            self._holder = holder

    def lay_aside(self) -> None:
        """The connection broke: its client's next one takes a slot. Raises as StreamSlots."""
        if not self._is_aside:
            self._hold(self._broken_slots.take(self._holder))
            self._is_aside = True

    def _hold(self, give_back: Callable[[], None]) -> None:
        self._held.close()
        self._held.callback(give_back)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()


def answer_socket(container: Container, talk: Conversing) -> Response:
    """Talk over the connection of this request. Raises Unavailable where the server has none."""
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        raise Unavailable("This server has no WebSockets.", code="no_websockets")
    settings = container.settings
    socket = WebSocket(connection, settings.stream_stall_timeout_s, settings.socket_ping_interval_s)
    started = time.monotonic()
    if socket.accept(request.environ):
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        reason = talk(socket, request_id)
        seconds = round(time.monotonic() - started, 3)
        log.info("socket_ended", reason=reason, duration_s=seconds)
    return _Taken(status=101)


class _Taken(Response):
    """Tells gunicorn that the connection was used up."""

    def __call__(self, *_: Any) -> NoReturn:
        """See gunicorn's gthread worker: it closes the connection then."""
        raise StopIteration
