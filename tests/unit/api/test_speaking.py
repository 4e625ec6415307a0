"""What becomes of a text's job that nobody will hear: it is ended, wherever the end finds it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mynah.db.ids import new_id
from services.api.auth.caller import Caller
from services.api.live.sockets import conversation, speaking
from services.api.live.sockets.conversation import Conversation
from services.api.live.sockets.device_profiles import DEVICE_PROFILES
from services.api.live.sockets.speaking import SpokenJob, Voicing
from services.api.live.sockets.websocket import SocketClosed
from services.api.use_cases.speech_order import SpeechOrder
from tests.parts import wait_for


class ClosedSocket:
    """The session of a client that has left."""

    is_open = False

    def send(self, message: str | bytes) -> None:
        raise SocketClosed("closed")


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that were ended."""
    jobs: list[Any] = []
    monkeypatch.setattr(speaking, "leave", lambda _, job, heard: jobs.append(job))
    return jobs


@pytest.fixture
def voicing(left: list[Any]) -> Iterator[Voicing]:
    container: Any = SimpleNamespace(settings=SimpleNamespace(sync_timeout_s=1.0))
    socket: Any = ClosedSocket()
    profile = DEVICE_PROFILES["esp32-pcm16"]
    opened = Voicing(container, socket, profile, is_adaptive=False)
    yield opened
    opened.stop()


def spoken(utterance: int = 1) -> SpokenJob:
    job: Any = SimpleNamespace(loudness_lufs=-18.0, text="Yes.")
    return SpokenJob(utterance, job)


def test_what_is_added_behind_the_end_is_ended(voicing: Voicing, left: list[Any]) -> None:
    voicing.stop()
    late = spoken()
    voicing.add(late)
    assert left == [late.job]
    assert not voicing.is_full


def test_a_client_that_left_before_the_first_sound_leaves_no_job(
    voicing: Voicing, left: list[Any]
) -> None:
    first = spoken()
    voicing.add(first)
    wait_for(lambda: left == [first.job], 5, "the job goes on")


def test_an_interruption_that_cannot_be_told_ends_what_waits(
    voicing: Voicing, left: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def speak(_: SpokenJob) -> None:
        begun.set()
        may_end.wait(20)

    monkeypatch.setattr(voicing, "_speak", speak)
    voicing.add(spoken())
    assert begun.wait(5)
    waiting = [spoken(2), spoken(3)]
    for item in waiting:
        voicing.add(item)
    with pytest.raises(SocketClosed):
        voicing.interrupt()
    assert sorted(map(id, left)) == sorted(id(item.job) for item in waiting)
    may_end.set()


def test_a_text_whose_client_leaves_while_it_is_ordered_is_handed_to_who_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, added = SimpleNamespace(id=new_id(), text="Yes."), []
    monkeypatch.setattr(conversation, "order_utterance", lambda *_: job)
    caller = Caller(new_id(), "user", frozenset(), "user")
    container: Any = SimpleNamespace()
    socket: Any = ClosedSocket()
    talk = Conversation(container, socket, "", caller, lambda _: None)
    talk._order = SpeechOrder("", new_id())
    talk._voicing = SimpleNamespace(is_full=False, add=added.append)  # type: ignore[assignment]
    with pytest.raises(SocketClosed):
        talk._say("Yes.")
    assert [item.job for item in added] == [job]
