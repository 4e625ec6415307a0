"""One HTTP POST to an address that strangers chose.

The address that is connected to is the one that was checked; no redirect is followed, no proxy
of the environment is used; the whole has one deadline, and of the answer only the first bytes are
read.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mynah.webhooks.addresses import Resolver, Target, is_public

EXCERPT_BYTES = 1000


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of one attempt. ``error``: a code, None when the receiver took it (2xx)."""

    error: str | None
    status: int | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookClient:
    """Sends requests of webhooks. ``timeout_s``: for all of an attempt after the name is known."""

    timeout_s: float
    resolve: Resolver
    allow_private: bool = False

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """POST once. Never raises: every failure is a result."""
        try:
            addresses = self.resolve(target.host, target.port)
        except OSError:
            addresses = ()
        if not addresses:
            return SendResult("host_not_found")
        if not self.allow_private and not all(is_public(address) for address in addresses):
            return SendResult("address_refused")
        return _post_to(_Connection(target, addresses, self.timeout_s), body, headers)


def _post_to(connection: _Connection, body: bytes, headers: Mapping[str, str]) -> SendResult:
    try:
        return connection.post(body, headers)
    except (TimeoutError, _DeadlinePassed):
        return SendResult("timeout")
    except ssl.SSLError:
        return SendResult("timeout" if connection.is_over else "tls_failed")
    except (OSError, http.client.HTTPException, ValueError):
        return SendResult("timeout" if connection.is_over else "connection_failed")
    finally:
        connection.close()


class _DeadlinePassed(Exception):
    """The attempt took too long."""


class _Connection(http.client.HTTPConnection):
    """A connection to given addresses, whatever the host's name means by then, with a deadline.

    A socket's timeout starts anew with every byte, so that a receiver could hold a sender for
    hours; the watchdog ends the whole attempt.
    """

    def __init__(self, target: Target, addresses: Sequence[str], timeout_s: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self._target = target
        self._addresses = addresses
        self._timeout_s = timeout_s
        self.is_over = False
        self._watchdog = threading.Timer(timeout_s, self._cut)
        self._watchdog.daemon = True

    def connect(self) -> None:
        """Connect to the first address that answers; the name only serves the certificate."""
        deadline = time.monotonic() + self._timeout_s
        self.sock = self._first_that_answers(deadline)
        if self._target.is_tls:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.01))
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self._target.host)
        if self.is_over:
            raise _DeadlinePassed

    def _first_that_answers(self, deadline: float) -> socket.socket:
        failure: OSError | None = None
        for address in self._addresses:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            try:
                return socket.create_connection((address, self.port), left_s)
            except OSError as error:
                failure = error
        raise failure or TimeoutError

    def post(self, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """Send and read the beginning of the answer."""
        self._watchdog.start()
        everything = {"Host": self._target.host_header, "Connection": "close", **headers}
        self.request("POST", self._target.path, body, everything)
        with self.getresponse() as response:
            excerpt = response.read(EXCERPT_BYTES).decode("utf-8", "replace").replace("\x00", "")
            if self.is_over:
                raise _DeadlinePassed
            return SendResult(_error_of(response.status), response.status, excerpt)

    def close(self) -> None:
        """Close, and let the watchdog go."""
        self._watchdog.cancel()
        super().close()

    def _cut(self) -> None:
        self.is_over = True
        sock = self.sock
        if sock is not None:
            try:
                # The plain socket's own: an SSLSocket would pull its layer from under a reader.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:  # closed already
                return


def _error_of(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return "redirect_refused" if 300 <= status < 400 else "status_refused"


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are checked against the system's authorities."""
    return ssl.create_default_context()
