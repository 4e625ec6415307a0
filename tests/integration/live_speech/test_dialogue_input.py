"""ElevenLabs' WebSocket for dialogues, read with the types of ElevenLabs' own SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from elevenlabs import (
    TextToDialogueWebsocketAudioChunk,
    TextToDialogueWebsocketClientMessage,
    TextToDialogueWebsocketError,
    TextToDialogueWebsocketVoiceInput,
)
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import Stage, add_voice, assert_same_sound
from tests.integration.live_speech.test_standing import assert_silent
from tests.integration.live_speech.test_stream_input import FIRST, PCM, SECOND, jobs_of
from tests.parts import wait_for


@dataclass
class Writer:
    """A client that writes a dialogue, and keeps what it is told."""

    connection: ClientConnection
    messages: list[dict[str, Any]] = field(default_factory=list)

    def say(self, *lines: tuple[Any, str] | tuple[Any, str, bool], **values: Any) -> None:
        inputs = [
            TextToDialogueWebsocketVoiceInput(
                voice_id=str(line[0]), text=line[1], new_turn=line[2] if len(line) > 2 else None
            )
            for line in lines
        ]
        said = TextToDialogueWebsocketClientMessage(inputs=inputs or None, **values)
        self.connection.send(said.json(exclude_none=True))

    def until_closed(self) -> tuple[int, str]:
        try:
            while True:
                self.messages.append(json.loads(self.connection.recv(timeout=20)))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code, closed.rcvd.reason

    @property
    def chunks(self) -> list[TextToDialogueWebsocketAudioChunk]:
        return [
            TextToDialogueWebsocketAudioChunk(**message)
            for message in self.messages
            if "audio" in message
        ]

    @property
    def turns(self) -> list[bytes]:
        """The sound of each turn."""
        found = [b""]
        for message in self.messages:
            found[-1] += base64.b64decode(message.get("audio", ""))
            if message.get("is_final_audio_for_turn"):
                found.append(b"")
        assert found.pop() == b"", "sound follows the last turn"
        return found


@contextmanager
def writing(stage: Stage, who: Account | None, query: str = PCM) -> Iterator[Writer]:
    url = f"ws{stage.url.removeprefix('http')}/v1/text-to-dialogue/stream-input{query}"
    headers = {"xi-api-key": who.key} if who else {}
    with connect(url, additional_headers=headers) as connection:
        yield Writer(connection)
    wait_for(lambda: stage.listeners() == 0, 2, "the slot was not freed")


@pytest.fixture(scope="module")
def voices(stage: Stage) -> list[str]:
    return [str(stage.voice_id), str(add_voice(stage.gateway))]


def test_lines_are_heard_in_turn_to_the_sample_with_times_that_cover_them(
    stage: Stage, ann: Account, voices: list[str]
) -> None:
    one, two = voices
    with writing(stage, ann, f"{PCM}&sync_alignment=true") as writer:
        writer.say(voices=voices, voice_settings={"stability": 0.4})
        writer.say((one, FIRST[:9]), (one, FIRST[9:]), (two, SECOND))
        writer.say((two, FIRST, True))
        writer.say((one, SECOND))
        writer.say(close_socket=True)
        assert writer.until_closed() == (1000, "done")
    jobs = jobs_of(stage, ann)
    assert_same_sound(b"".join(writer.turns), stage.expected(*jobs))
    assert [len(turn) for turn in writer.turns] == [len(stage.expected(job)) for job in jobs]
    spoken_by = [stage.pieces(job)[0].speech["voice_id"] for job in jobs]
    assert spoken_by == [one, two, two, one]
    alignments = [chunk.alignment for chunk in writer.chunks if chunk.alignment]
    assert "".join("".join(found.chars or []) for found in alignments) == (FIRST + SECOND) * 2
    for found in alignments:
        starts, durations = found.char_start_times_ms, found.char_durations_ms
        assert starts is not None
        assert durations is not None
        assert len(starts) == len(durations) == len(found.chars or [])
        assert starts == sorted(starts)
    assert writer.messages[-1] == {"is_final": True}


def test_a_flush_ends_a_turn_and_the_dialogue_goes_on(
    stage: Stage, ann: Account, voices: list[str]
) -> None:
    with writing(stage, ann) as writer:
        writer.say((voices[1], FIRST), voices=voices, flush=True)
        while not writer.messages or "is_final_audio_for_turn" not in writer.messages[-1]:
            writer.messages.append(json.loads(writer.connection.recv(timeout=20)))
        assert all(chunk.alignment is None for chunk in writer.chunks)
        writer.say(keep_alive=True)
        writer.say((voices[0], SECOND), close_socket=True)
        assert writer.until_closed() == (1000, "done")
    assert len(writer.turns) == 2


def test_leaving_stops_the_engine(stage: Stage, ann: Account, voices: list[str]) -> None:
    with writing(stage, ann) as writer:
        writer.say((voices[0], "One slowly told tale. " * 8), voices=voices, flush=True)
        assert "audio" in json.loads(writer.connection.recv(timeout=20))
    assert_silent(stage, ann)


def test_credentials_may_come_in_the_first_message(
    stage: Stage, ann: Account, voices: list[str]
) -> None:
    with writing(stage, None) as writer:
        writer.say((voices[0], FIRST), voices=voices, xi_api_key=ann.key, close_socket=True)
        assert writer.until_closed() == (1000, "done")
    assert len(writer.turns) == 1


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, "invalid_request"),
        ({"voices": []}, "invalid_request"),
        ({"voices": ["mine"] * 11}, "invalid_request"),
        ({"voices": ["nobody"]}, "voice_not_found"),
        ({"voices": ["mine"], "inputs": [{"voice_id": "other", "text": "a"}]}, "invalid_request"),
        ({"voices": ["mine"], "inputs": [{"text": "a"}]}, "invalid_request"),
        (
            {
                "voices": ["mine"],
                "inputs": [{"voice_id": "mine", "text": "a", "new_turn": True}] * 200,
            },
            "too_much_waiting",
        ),
    ],
)
def test_what_is_wrong_is_told_in_the_vendors_words_and_ends_it(
    stage: Stage, ann: Account, said: dict[str, Any], status: str
) -> None:
    with writing(stage, ann) as writer:
        writer.connection.send(json.dumps(said).replace("mine", str(stage.voice_id)))
        assert writer.until_closed() == (1008, status)
    told = TextToDialogueWebsocketError(**writer.messages[-1])
    assert (told.error, told.code) == (status, 1008)
