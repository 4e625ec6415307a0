"""The connection of a listener: whether it is still there, and what ends it."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Any

from services.api.live.draining import unsent_bytes

#: What the other side's end is told by. Where only POLLIN tells of it, unread bytes do so too.
_CLOSING = select.POLLRDHUP if sys.platform == "linux" else select.POLLIN


class StreamCut(ConnectionResetError):
    """Ends an answer that has begun and cannot be finished.

    The server closes the connection without the last chunk, so that the listener knows that
    something is missing; an orderly end would look like the end of the speech.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ECONNRESET, reason)


class Connection:
    """The socket behind a request. Without one (another server, a test) nobody ever leaves."""

    def __init__(self, environ: Mapping[str, Any], stall_timeout_s: float) -> None:
        self.stall_timeout_s = stall_timeout_s
        self._socket: socket.socket | None = environ.get("gunicorn.socket")
        if self._socket is not None:
            # For a listener who stops reading: sending would wait for ever.
            self._socket.settimeout(stall_timeout_s)

    def is_gone(self, within_s: float = 0.0) -> bool:
        """Whether the other side has closed, or does within so many seconds.

        While nothing is sent, nothing else would tell.
        """
        if self._socket is None or isinstance(self._socket, ssl.SSLSocket):
            time.sleep(within_s)
            return False
        try:
            poller = select.poll()
            poller.register(self._socket, _CLOSING)
            if not poller.poll(within_s * 1000):
                return False
            return sys.platform == "linux" or self._socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:  # reset by the other side
            return True

    def unsent_bytes(self) -> int | None:
        """Bytes that were written and that the listener did not get; None: it is not known."""
        return None if self._socket is None else unsent_bytes(self._socket)

    def give_up(self) -> None:
        """Raises StreamCut: the listener takes nothing."""
        raise StreamCut("listener takes nothing")
