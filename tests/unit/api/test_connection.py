"""Who has left, and when that is noticed."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from services.api.live.connection import Connection


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection({"gunicorn.socket": ours}, 10.0), theirs


def test_who_waits_hears_at_once_that_the_other_side_left(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, theirs = ends
    threading.Timer(0.1, theirs.close).start()
    began = time.monotonic()
    assert connection.is_gone(30.0)
    assert time.monotonic() - began < 15.0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only unread bytes tell of the end")
def test_who_stays_is_waited_for_though_they_sent_something(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, theirs = ends
    theirs.sendall(b"GET /health HTTP/1.1\r\n")
    began = time.monotonic()
    assert not connection.is_gone(0.2)
    assert time.monotonic() - began >= 0.19


def test_without_a_connection_nobody_leaves() -> None:
    assert not Connection({}, 10.0).is_gone(0.01)
