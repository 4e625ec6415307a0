"""One HTTP POST on a connection to an address that strangers chose.

The address that is connected to is the one that was checked; no redirect is followed, no proxy
of the environment is used; the whole has one deadline.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from mynah.webhooks.addresses import Resolver, Target, is_public


class SendFailed(Exception):
    """A request got no answer that counts; ``code`` says why."""

    def __init__(self, code: str, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class WebhookConnection(http.client.HTTPConnection):
    """A connection to given addresses, whatever the host's name means by then, with a deadline.

    A socket's timeout starts anew with every byte, so that a receiver could hold a sender for
    hours; the watchdog ends the whole attempt. ``silence_s``: for connecting, and for each byte.
    """

    def __init__(
        self, target: Target, addresses: Sequence[str], timeout_s: float, silence_s: float
    ) -> None:
        super().__init__(target.host, target.port, timeout=silence_s)
        self._target = target
        self._addresses = addresses
        self._silence_s = silence_s
        # http.client forgets its own once the answer's head is there; the answer is read from it
        self._open: socket.socket | None = None
        self.is_over = False
        self._watchdog = threading.Timer(timeout_s, self.cut)
        self._watchdog.daemon = True
        self._watchdog.start()

    def connect(self) -> None:
        """Connect to the first address that answers; the name only serves the certificate."""
        deadline = time.monotonic() + self._silence_s
        self.sock = self._open = self._first_that_answers(deadline)
        if self._target.is_tls:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.01))
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self._target.host)
            self._open = self.sock
        self.sock.settimeout(self._silence_s)
        self.ensure_goes_on()

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

    def post(self, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Send; the answer up to its body."""
        everything = {"Host": self._target.host_header, "Connection": "close", **headers}
        self.request("POST", self._target.path, body, everything)
        return self.getresponse()

    def ensure_goes_on(self) -> None:
        """Raises TimeoutError once the deadline has passed, or after ``cut``."""
        if self.is_over:
            raise TimeoutError

    def cut(self) -> None:
        """End it from another thread."""
        self.is_over = True
        sock = self._open
        if sock is not None:
            try:
                # The plain socket's own: an SSLSocket would pull its layer from under a reader.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:  # closed already
                return

    def release(self) -> None:
        """Close, and let the watchdog go."""
        self._watchdog.cancel()
        self.close()


@contextmanager
def open_connection(
    target: Target,
    resolve: Resolver,
    timeout_s: float,
    *,
    allow_private: bool,
    silence_s: float | None = None,
) -> Iterator[WebhookConnection]:
    """A connection for one request, closed at the end.

    ``timeout_s``: for all of it once the name is known; ``silence_s``: for connecting, and for
    every byte; None: as long as the whole.
    What goes wrong on it in the block is raised as SendFailed: host_not_found, address_refused,
    timeout, tls_failed, connection_failed.
    """
    try:
        addresses = resolve(target.host, target.port)
    except OSError:
        addresses = ()
    if not addresses:
        raise SendFailed("host_not_found")
    if not allow_private and not all(is_public(address) for address in addresses):
        raise SendFailed("address_refused")
    connection = WebhookConnection(target, addresses, timeout_s, silence_s or timeout_s)
    try:
        yield connection
    except TimeoutError as error:
        raise SendFailed("timeout") from error
    except ssl.SSLError as error:
        raise SendFailed("timeout" if connection.is_over else "tls_failed") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SendFailed("timeout" if connection.is_over else "connection_failed") from error
    finally:
        connection.release()


def refusal(status: int) -> str | None:
    """Why an answer does not count, as a code; None for a 2xx."""
    if 200 <= status < 300:
        return None
    return "redirect_refused" if 300 <= status < 400 else "status_refused"


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are checked against the system's authorities."""
    return ssl.create_default_context()
