"""What a session keeps of what it sent, and for how long, over connections of the test's own."""

from __future__ import annotations

import pytest

from mynah.errors import Gone, InvalidRequest, TooManyRequests
from services.api.live.sockets.session import Received, Session
from services.api.live.sockets.websocket import SocketClosed


class Wire:
    """A connection: what came out of it, until it breaks."""

    def __init__(self) -> None:
        self.got: list[str | bytes] = []
        self.is_broken = False

    def receive(self, timeout_s: float) -> str | bytes | None:
        if self.is_broken:
            raise SocketClosed("broken", is_broken=True)
        return None

    def send(self, message: str | bytes) -> None:
        self.receive(0)
        self.got.append(message)

    def close(self, code: int, reason: str) -> None:
        self.is_broken = True

    def await_goodbye(self, timeout_s: float) -> bool:
        return not self.is_broken

    def drop(self) -> None:
        self.is_broken = True

    def unsent_bytes(self) -> int | None:
        return 0


def open_session(wire: Wire, kept_bytes: int = 10_000, resume_s: float = 0.05) -> Session:
    session = Session(wire, resume_s=resume_s, kept_bytes=kept_bytes, lay_aside=lambda: None)
    session.begin()
    return session


def test_what_follows_the_last_byte_and_event_is_sent_again_in_its_order() -> None:
    wire, second = Wire(), Wire()
    session = open_session(wire)
    for message in ("one", b"abcd", "two", b"efgh", "three"):
        session.send(message)
    session.resume(second, Received(2, 1), "name")
    assert second.got[1:] == [b"cd", "two", b"efgh", "three"]
    assert '"from_byte": 2' in str(second.got[0])
    third = Wire()
    session.resume(third, Received(4, None), "name")
    assert third.got[1:] == ["two", b"efgh", "three"], "events without a number: behind the byte"
    fourth = Wire()
    session.resume(fourth, Received(8, 3), "name")
    assert fourth.got[1:] == []
    session.send(b"more")
    assert fourth.got[1:] == [b"more"]
    assert (wire.is_broken, second.is_broken, third.is_broken) == (True, True, True)


def test_what_is_sent_while_the_client_is_away_waits_for_it() -> None:
    wire, second = Wire(), Wire()
    session = open_session(wire)
    session.send(b"ab")
    wire.is_broken = True
    session.send(b"cd")
    session.send("event")
    assert session.is_open
    assert not session.is_attached
    session.resume(second, Received(2, 0), "name")
    assert second.got[1:] == [b"cd", "event"]


def test_only_so_much_is_kept() -> None:
    session = open_session(Wire(), kept_bytes=1000)
    for number in range(100):
        session.send(f"event {number}")
        session.send(bytes(100))
    with pytest.raises(Gone) as expired:
        session.resume(Wire(), Received(0, 0), "name")
    assert expired.value.code == "resume_expired"
    wire = Wire()
    session.resume(wire, Received(9_500, 95), "name")
    assert sum(len(message) for message in wire.got if isinstance(message, bytes)) == 500
    with pytest.raises(InvalidRequest):
        session.resume(Wire(), Received(10_001, 0), "name")


def test_who_cannot_resume_leaves_the_connection_that_is_there_alone() -> None:
    wire, slots = Wire(), [TooManyRequests("Too many wait.")]

    def lay_aside() -> None:
        raise slots[0]

    session = Session(wire, resume_s=5, kept_bytes=100, lay_aside=lay_aside)
    session.begin()
    for _ in range(3):
        session.send(bytes(60))
    wrong = [(Received(1000, 0), InvalidRequest), (Received(0, 0), Gone)]
    for received, error in [*wrong, (Received(180, 0), TooManyRequests)]:
        with pytest.raises(error):
            session.resume(Wire(), received, "name")
    session.send(b"more")
    assert wire.got[-1] == b"more"
    assert not wire.is_broken


def test_a_session_ends_when_nobody_comes_back_in_time() -> None:
    wire = Wire()
    session = open_session(wire)
    wire.is_broken = True
    with pytest.raises(SocketClosed, match="not resumed"):
        session.receive(5)
    assert not session.is_open
    with pytest.raises(Gone):
        session.resume(Wire(), Received(0, 0), "name")


def test_a_break_is_the_end_where_it_cannot_be_waited_for() -> None:
    def refuse() -> None:
        raise TooManyRequests("Too many wait.")

    wires = [Wire(), Wire(), Wire()]
    full = Session(wires[0], resume_s=5, kept_bytes=1000, lay_aside=refuse)
    full.begin()
    not_begun = Session(wires[2], resume_s=5, kept_bytes=1000, lay_aside=lambda: None)
    for wire, session in zip(
        wires, (full, open_session(wires[1], resume_s=0), not_begun), strict=True
    ):
        wire.is_broken = True
        with pytest.raises(SocketClosed):
            session.send(b"ab")
        assert not session.is_open
