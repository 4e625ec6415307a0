"""ElevenLabs' WebSockets message by message: when is spoken what, its times, and bad manners."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from mynah.db.models import Job
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import MAX_STREAMS_PER_USER, Stage, assert_same_sound
from tests.integration.live_speech.test_socket import is_cancelled
from tests.parts import wait_for

FIRST, SECOND = "The fox ran over the hill.", "Then it drank from the river there."
PCM = "?output_format=pcm_16000"


@dataclass
class Writer:
    """A client that writes, and keeps what it is told."""

    connection: ClientConnection
    messages: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str | None = None, **values: Any) -> None:
        said = values if text is None else {"text": text, **values}
        self.connection.send(json.dumps(said))

    def take(self, timeout_s: float = 20) -> dict[str, Any]:
        self.messages.append(json.loads(self.connection.recv(timeout=timeout_s)))
        return self.messages[-1]

    def until(self, found: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        while not found(message := self.take()):
            pass
        return message

    def until_closed(self) -> tuple[int, str]:
        try:
            self.until(lambda _: False)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason
        raise AssertionError

    def sound(self, context: str | None = None) -> bytes:
        return b"".join(
            base64.b64decode(message["audio"])
            for message in self.messages
            if message.get("audio") and message.get("contextId") == context
        )

    def alignments(self, context: str | None = None) -> list[dict[str, Any]]:
        return [
            message["alignment"]
            for message in self.messages
            if message.get("alignment") and message.get("contextId") == context
        ]

    def said(self, context: str | None = None) -> str:
        return "".join("".join(one["chars"]) for one in self.alignments(context))


@contextmanager
def writing(
    stage: Stage,
    who: Account | None,
    query: str = PCM,
    route: str = "stream-input",
    *,
    listeners: int | None = 0,
) -> Iterator[Writer]:
    """A client; ``listeners``: others that are there behind its end, None: who knows."""
    url = f"ws{stage.url.removeprefix('http')}/v1/text-to-speech/{stage.voice_id}/{route}{query}"
    headers = {"xi-api-key": who.key} if who else {}
    with connect(url, additional_headers=headers) as connection:
        yield Writer(connection)
    if listeners is not None:
        wait_for(lambda: stage.listeners() == listeners, 1, "the slot was not freed")


def jobs_of(stage: Stage, account: Account) -> list[str]:
    with stage.gateway.container.new_uow() as uow:
        query = select(Job.id).where(Job.user_id == account.id).order_by(Job.id)
        return [str(job_id) for job_id in uow.session.scalars(query)]


def test_increments_are_heard_to_the_sample_with_times_that_cover_them(
    stage: Stage, ann: Account
) -> None:
    text = f"{FIRST} {SECOND} {FIRST}"
    with writing(stage, ann) as writer:
        writer.say(" ", generation_config={"chunk_length_schedule": [50]})
        for start in range(0, len(text), 7):
            writer.say(text[start : start + 7], try_trigger_generation=True)
        writer.say("")
        assert writer.until_closed() == (1000, "done")
    assert_same_sound(writer.sound(), stage.expected(*jobs_of(stage, ann)))
    final = writer.messages[-1]
    assert (final["audio"], final["isFinal"]) == (None, True)
    assert writer.said() == text
    for one in writer.alignments():
        starts, durations = one["charStartTimesMs"], one["charDurationsMs"]
        assert len(starts) == len(durations) == len(one["chars"])
        assert starts == sorted(starts)
        assert starts[0] == 0, "the times are those from the piece's start"
        assert durations == one["charsDurationsMs"]
        assert min(durations) >= 0
    total_ms = sum(
        one["charStartTimesMs"][-1] + one["charDurationsMs"][-1] for one in writer.alignments()
    )
    assert total_ms == pytest.approx(len(writer.sound()) / 32, abs=5)


def test_the_first_sound_comes_while_the_first_sentence_is_spoken(
    stage: Stage, ann: Account
) -> None:
    text = "One slowly told tale of a fox on a hill far away. "
    with writing(stage, ann) as writer:
        writer.say(" ")
        writer.say(text, flush=True)
        begun = len(stage.notes())
        writer.until(lambda message: message["audio"])
        assert (len(stage.notes()) - begun) * 0.05 < len(text) / 14 / 2
        asked_at = time.time()
    (job,) = jobs_of(stage, ann)
    wait_for(lambda: is_cancelled(stage, job), 2, "the job goes on")
    wait_for(lambda: time.time() - stage.notes()[-1][0] > 1, 5, "the engine goes on")
    assert stage.notes()[-1][0] - asked_at < 1


def test_what_waits_is_spoken_by_schedule_flush_mode_or_silence(stage: Stage, ann: Account) -> None:
    with writing(stage, ann) as writer:  # below the default of 120 nothing is spoken
        writer.say(f"{FIRST} {SECOND} ")
        with pytest.raises(TimeoutError):
            writer.take(timeout_s=0.5)
        writer.say(flush=True)
        writer.until(lambda _: writer.said() == f"{FIRST} {SECOND} ")
        writer.say(f"{FIRST} {SECOND} {FIRST} {SECOND} {FIRST} {SECOND} And th")
        writer.until(lambda _: writer.said().count(SECOND) == 4)
        assert writer.said().endswith(SECOND), "whole sentences of what is enough"
    with writing(stage, ann, f"{PCM}&auto_mode=true") as writer:
        writer.say(FIRST)
        writer.until(lambda _: writer.said() == FIRST)
    with writing(stage, ann, f"{PCM}&enable_ssml_parsing=true") as writer:
        writer.say('The fox ran over the hill, and then <break time="0.2s"')
        writer.say("/> it drank from the river there. It slept.")
        with pytest.raises(TimeoutError):
            writer.take(timeout_s=0.5)
        writer.say("")
        writer.until(lambda message: message["isFinal"])
        assert writer.said().endswith("It slept.")
    with writing(stage, ann) as writer:  # who waits for speech gets the words there are
        writer.say(" ", generation_config={"chunk_length_schedule": [50]})
        writer.say("a text without any mark that goes on and on and on and o")
        writer.until(
            lambda _: writer.said() == "a text without any mark that goes on and on and on and "
        )


def test_sound_and_times_go_together_when_asked(stage: Stage, ann: Account) -> None:
    with writing(stage, ann, f"{PCM}&sync_alignment=true") as writer:
        writer.say(f"{FIRST} {SECOND}")
        writer.say("")
        writer.until_closed()
    assert all(message["alignment"] for message in writer.messages[:-1] if message["audio"])
    assert_same_sound(writer.sound(), stage.expected(*jobs_of(stage, ann)))


@pytest.mark.parametrize("way", ["query", "bearer", "key in a message", "token in a message"])
def test_credentials_come_where_the_vendor_takes_them(stage: Stage, ann: Account, way: str) -> None:
    query = {"query": f"{PCM}&authorization={ann.key}", "bearer": PCM}.get(way, PCM)
    said = {
        "key in a message": {"xi-api-key": ann.key},
        "token in a message": {"authorization": f"Bearer {ann.token}"},
    }.get(way, {})
    with writing(stage, ann if way == "bearer" else None, query) as writer:
        writer.say(" ", **said)
        writer.say(FIRST)
        writer.say("")
        assert writer.until_closed()[0] == 1000
    assert writer.said() == FIRST


@pytest.mark.parametrize(
    ("said", "query", "status"),
    [
        (b"\x00", PCM, "binary_not_taken"),
        ("{", PCM, "invalid_json"),
        ("[]", PCM, "unknown_message"),
        ('{"text": 5}', PCM, "invalid_request"),
        ('{"text": " ", "voice_settings": {"stability": 7}}', PCM, "invalid_request"),
        (
            '{"text": " ", "generation_config": {"chunk_length_schedule": [5]}}',
            PCM,
            "invalid_request",
        ),
        ('{"text": " "}', "?output_format=mp3_1_1", "invalid_request"),
        ('{"text": " "}', "?model_id=nothing", "model_not_found"),
        ('{"text": " "}', "?inactivity_timeout=1", "input_timeout_exceeded"),
        ('{"text": "Hello. ", "flush": true}', "?language_code=xx", "unsupported_language"),
        ('{"text": "They choke slowly on this. ", "flush": true}', PCM, "engine_failed"),
    ],
)
def test_what_is_wrong_is_told_in_the_vendors_words_and_ends_it(
    stage: Stage, ann: Account, said: str | bytes, query: str, status: str
) -> None:
    with writing(stage, ann, query) as writer:
        with suppress(ConnectionClosed):  # what is wrong with the address is told at once
            writer.connection.send(said)
        assert writer.until_closed() == (1008, status)
    told = writer.messages[-1]
    assert set(told) == {"message", "error", "code"}
    assert (told["error"], told["code"]) == (status, 1008)


@pytest.mark.parametrize("said", [{}, {"xi-api-key": "wrong"}])
def test_nobody_speaks_without_credentials(
    stage: Stage, ann: Account, said: dict[str, str]
) -> None:
    with writing(stage, None) as writer:
        writer.say(" ", **said)
        assert writer.until_closed() == (1008, "invalid_api_key")


def test_who_is_known_needs_no_slot_of_those_who_are_not(stage: Stage, ann: Account) -> None:
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS_PER_USER):
            opened.enter_context(connect(f"ws{stage.url.removeprefix('http')}/ws/tts"))
        with writing(stage, ann, listeners=MAX_STREAMS_PER_USER) as writer:
            writer.say(FIRST, flush=True)
            writer.say("")
            assert writer.until_closed() == (1000, "done")
    wait_for(lambda: stage.listeners() == 0, 5, "a slot was not freed")


def test_a_text_without_end_is_cut_off(stage: Stage, ann: Account) -> None:
    with writing(stage, ann) as writer:
        for _ in range(200):
            writer.say("word " * 1000)
        assert writer.until_closed() == (1008, "too_much_waiting")


def test_contexts_have_a_sound_and_an_end_of_their_own(stage: Stage, ann: Account) -> None:
    with writing(stage, ann, route="multi-stream-input") as writer:
        writer.say(" ", context_id="one")
        writer.say(" ", contextId="two")
        writer.say(FIRST, context_id="one")
        writer.say(SECOND, context_id="two", flush=True)
        writer.until(lambda message: message["contextId"] == "two" and message["alignment"])
        writer.say("", context_id="two")  # keeps it alive
        writer.say(context_id="two", close_context=True)
        writer.until(lambda message: message["contextId"] == "two" and message["isFinal"])
        writer.say(SECOND * 3, context_id="three", flush=True)
        writer.say(context_id="three", close_context=True)
        writer.say(FIRST, context_id="three")  # is another one, without a link to that before
        writer.say(close_socket=True)
        assert writer.until_closed() == (1000, "done")
    assert writer.said("one") == FIRST
    assert writer.said("two") == SECOND
    assert writer.said("three").endswith(FIRST)
    finals = [message["contextId"] for message in writer.messages if message["isFinal"]]
    assert sorted(finals) == ["one", "three", "three", "two"]


def test_a_closed_context_is_silent_at_once(stage: Stage, ann: Account) -> None:
    text = "One slowly told tale of a fox. " * 4
    with writing(stage, ann, route="multi-stream-input") as writer:
        writer.say(text, context_id="one", try_trigger_generation=True)
        writer.until(lambda message: message["audio"])
        writer.say(context_id="one", close_context=True)
        writer.until(lambda message: message["isFinal"])
        assert len(writer.sound("one")) / 32000 < 2
        for _ in range(6):
            for number in range(6):
                writer.say(" ", context_id=f"context {number}")
        assert writer.until_closed() == (1008, "max_contexts_exceeded")
