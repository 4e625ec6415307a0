"""Listeners under the real server: how many there may be, how they leave, how they are cut off."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.integration.live.conftest import MAX_STREAMS, MAX_STREAMS_PER_USER, Server
from tests.integration.live.listening import STORY, decode, finish, ordered
from tests.integration.voices.studio import Studio
from tests.parts import wait_for


@pytest.fixture(autouse=True)
def nobody_listens(server: Server) -> Iterator[None]:
    """Every test leaves the server as it found it."""
    yield
    wait_for(lambda: server.listeners() == 0, 10, "somebody still listens")


def listen(stack: ExitStack, client: httpx.Client, job_id: str, what: str) -> httpx.Response:
    """Begin to listen, until the stack is closed."""
    return stack.enter_context(client.stream("GET", f"/api/tts/job/{job_id}/{what}"))


def test_when_all_streams_are_taken_other_requests_are_answered(
    studio: Studio, server: Server
) -> None:
    other = studio.with_new_account()
    mine, theirs = ordered(studio), ordered(other)
    with (
        ExitStack() as listeners,
        server.client(studio.account) as ann,
        server.client(other.account) as bob,
    ):
        for number in range(MAX_STREAMS_PER_USER):
            what = "events" if number else "stream"
            assert listen(listeners, ann, mine, what).status_code == 200
        refused = ann.get(f"/api/tts/job/{mine}/events")
        assert (refused.status_code, refused.json()["error_code"]) == (429, "too_many_streams")
        assert int(refused.headers["Retry-After"]) > 0
        for _ in range(MAX_STREAMS - MAX_STREAMS_PER_USER):
            assert listen(listeners, bob, theirs, "events").status_code == 200
        full = bob.get(f"/api/tts/job/{theirs}/stream")
        assert (full.status_code, full.json()["error_code"]) == (503, "too_many_streams")
        assert int(full.headers["Retry-After"]) > 0
        assert server.listeners() == MAX_STREAMS
        for path in ("/health", "/api/tts/jobs", f"/api/tts/job/{theirs}"):
            assert bob.get(path, timeout=5).status_code == 200
        ordered(studio)
    wait_for(lambda: server.listeners() == 0, 5, "the listeners were not missed")
    with ExitStack() as listeners, server.client(studio.account) as ann:
        assert listen(listeners, ann, mine, "events").status_code == 200


@pytest.mark.parametrize("what", ["events", "stream"])
def test_a_listener_who_leaves_is_missed_at_once(studio: Studio, server: Server, what: str) -> None:
    job_id = ordered(studio)
    with server.client(studio.account) as client, ExitStack() as listeners:
        listen(listeners, client, job_id, what)
        wait_for(lambda: server.listeners() == 1, 5, "nobody listens")
    wait_for(lambda: server.listeners() == 0, 3, "it was not noticed")


def test_events_come_over_the_wire_as_they_happen(studio: Studio, server: Server) -> None:
    job_id = ordered(studio)
    names, progress = [], []
    with server.client(studio.account) as client, ExitStack() as listeners:
        response = listen(listeners, client, job_id, "events")
        for line in response.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
                studio.work(most=1)
            elif line.startswith("data: "):
                progress.append(json.loads(line.removeprefix("data: "))["progress"])
    assert (names[0], names[-1]) == ("state", "completed")
    assert set(names[1:-1]) == {"progress"}
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_a_story_is_heard_over_the_wire_while_it_is_made(studio: Studio, server: Server) -> None:
    job_id = ordered(studio)
    data = b""
    with server.client(studio.account) as client, ExitStack() as listeners:
        response = listen(listeners, client, job_id, "stream")
        assert response.headers["Content-Type"] == "audio/mpeg"
        for chunk in response.iter_bytes():
            data += chunk
            studio.work(most=1)
        finished = client.get(f"/api/tts/job/{job_id}/download").content
    assert len(decode(data)) == pytest.approx(len(decode(finished)), abs=4 * 576)


def test_a_cancelled_job_ends_the_answer_without_its_last_chunk(
    studio: Studio, server: Server
) -> None:
    job_id = ordered(studio)
    with server.client(studio.account) as client, ExitStack() as listeners:
        response = listen(listeners, client, job_id, "stream")
        studio.work(most=1)
        chunks = response.iter_bytes()
        next(chunks)
        assert client.post(f"/api/tts/job/{job_id}/cancel").status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(chunks)


@contextmanager
def plain_listener(studio: Studio, server: Server, path: str) -> Iterator[socket.socket]:
    """A connection of our own that has asked for ``path`` and takes in little at a time."""
    host, port = server.url.removeprefix("http://").split(":")
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {studio.account.token}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect((host, int(port)))
        connection.sendall(request.encode())
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        wait_for(lambda: server.listeners() == 1, 5, "nobody listens")
        yield connection


def test_a_listener_who_vanishes_without_a_word_is_noticed(studio: Studio, server: Server) -> None:
    with plain_listener(studio, server, f"/api/tts/job/{ordered(studio)}/events") as connection:
        reset = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # linger for no time: close by RST
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    wait_for(lambda: server.listeners() == 0, 3, "it was not noticed")


def test_a_listener_who_stays_but_takes_nothing_is_cut_off(studio: Studio, server: Server) -> None:
    job_id = ordered(studio, STORY * 4)
    finish(studio)
    with plain_listener(studio, server, f"/api/tts/job/{job_id}/stream?format=wav"):
        wait_for(lambda: server.listeners() == 0, 10, "it holds a thread for ever")
