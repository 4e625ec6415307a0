"""Answers that come slowly, from where nobody may ask, or never to an end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mynah.webhooks.addresses import parse_target
from mynah.webhooks.asking import ResponderClient
from mynah.webhooks.connection import SendFailed
from mynah.webhooks.sending import WebhookClient

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@contextmanager
def server(head: bytes, byte: bytes, pause_s: float) -> Iterator[str]:
    """Answers one request with ``head``, then with one ``byte`` after another."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head)
                try:
                    while not is_over.wait(pause_s):
                        connection.sendall(byte)
                except OSError:  # the client has had enough
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        is_over.set()
        thread.join()


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def ask(url: str, client: ResponderClient, cut_after_s: float | None = None) -> list[str]:
    timers: list[threading.Timer] = []

    def begun(cut: object) -> None:
        if cut_after_s is not None and callable(cut):
            timers.append(threading.Timer(cut_after_s, cut))
            timers[0].start()

    return list(client.ask(parse_target(url), b"{}", {}, begun))


def test_a_private_address_is_not_asked_whatever_its_name_was_before() -> None:
    client = ResponderClient(here, timeout_s=5, silence_s=5)
    with pytest.raises(SendFailed, match="address_refused"):
        ask("http://public.example/", client)


def test_an_answer_without_end_is_over_at_its_deadline() -> None:
    client = ResponderClient(here, timeout_s=0.5, silence_s=5, allow_private=True)
    with server(HEAD + b"\r\n", b"a", 0.02) as url, pytest.raises(SendFailed, match="timeout"):
        ask(url, client)


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    client = ResponderClient(here, timeout_s=30, silence_s=5, allow_private=True)
    with (
        server(HEAD + b"\r\n", b"a" * 4096, 0) as url,
        pytest.raises(SendFailed, match="answer_too_long"),
    ):
        ask(url, client)


def test_a_silent_answer_is_given_up() -> None:
    client = ResponderClient(here, timeout_s=30, silence_s=0.3, allow_private=True)
    with server(HEAD + b"\r\n", b"", 0.02) as url, pytest.raises(SendFailed, match="timeout"):
        ask(url, client)


def test_an_answer_can_be_cut_off_from_another_thread() -> None:
    client = ResponderClient(here, timeout_s=30, silence_s=20, allow_private=True)
    with server(HEAD + b"\r\n", b"a", 0.02) as url, pytest.raises(SendFailed, match="timeout"):
        ask(url, client, cut_after_s=0.2)


def test_a_receiver_that_drips_its_answer_cannot_hold_a_sender() -> None:
    client = WebhookClient(0.5, here, allow_private=True)
    begun = time.monotonic()
    with server(HEAD + b"Content-Length: 900\r\n\r\n", b"a", 0.1) as url:
        result = client.post(parse_target(url), b"{}", {})
    assert result.error == "timeout"
    assert time.monotonic() - begun < 5
