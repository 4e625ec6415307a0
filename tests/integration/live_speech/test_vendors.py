"""The vendors' streams are live speech: heard in the first sentence, ended by leaving."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mynah.audio.mp3_format import iter_frames
from mynah.contracts.states import JobState
from tests.integration.api.gateway import Account
from tests.integration.live_speech.conftest import Stage, assert_same_sound
from tests.integration.live_speech.test_http import (
    QUICK,
    SLOW,
    completed,
    id3_length,
    slowly_read,
    state_of,
)
from tests.parts import wait_for

Request = tuple[str, dict[str, Any]]


@pytest.fixture
def listen(stage: Stage, ann: Account) -> Iterator[httpx.Client]:
    with stage.client(ann) as client:
        yield client


def openai_speech(stage: Stage, text: str, **body: Any) -> Request:
    order = {"model": "tts-1", "voice": str(stage.voice_id), "input": text}
    return "/v1/audio/speech", {**order, "response_format": "pcm", **body}


def openai_events(stage: Stage, text: str) -> Request:
    return openai_speech(stage, text, stream_format="sse")


def openai_flac(stage: Stage, text: str) -> Request:
    return openai_speech(stage, text, response_format="flac")


def openai_aac(stage: Stage, text: str) -> Request:
    return openai_speech(stage, text, response_format="aac")


def elevenlabs_stream(stage: Stage, text: str) -> Request:
    return f"/v1/text-to-speech/{stage.voice_id}/stream?output_format=pcm_16000", {"text": text}


def elevenlabs_lines(stage: Stage, text: str) -> Request:
    path = f"/v1/text-to-speech/{stage.voice_id}/stream/with-timestamps?output_format=pcm_16000"
    return path, {"text": text}


def elevenlabs_dialogue(stage: Stage, text: str) -> Request:
    lines = [{"voice_id": str(stage.voice_id), "text": text}]
    return "/v1/text-to-dialogue/stream?output_format=ulaw_8000", {"inputs": lines}


ROUTES = [
    openai_speech,
    openai_events,
    openai_flac,
    openai_aac,
    elevenlabs_stream,
    elevenlabs_lines,
    elevenlabs_dialogue,
]


@pytest.mark.parametrize("route", ROUTES)
def test_leaving_in_mid_sentence_stops_the_engine_within_a_second_and_frees_the_slot(
    stage: Stage, listen: httpx.Client, route: Callable[[Stage, str], Request]
) -> None:
    text = f"{SLOW} {SLOW} {route.__name__}."
    path, body = route(stage, text)
    begun = len(stage.notes())
    with listen.stream("POST", path, json=body) as answer:
        chunks = answer.iter_raw()  # kept: httpx closes the answer with it
        assert next(chunks)
        spoken = [said for _, said in stage.notes()[begun:] if said in text]
        assert len(spoken) * 0.05 < len(text) / 14 / 3, "the first sound waited for the others"
    left_at = time.time()
    wait_for(lambda: stage.listeners() == 0, 1, "the slot was not freed")
    wait_for(lambda: state_of(stage, answer) == JobState.CANCELLED, 3, "the job goes on")
    wait_for(lambda: time.time() - stage.notes()[-1][0] > 1, 5, "the engine goes on")
    assert stage.notes()[-1][0] - left_at < 1


def test_a_stream_is_every_sample_and_stays_in_the_history(
    stage: Stage, listen: httpx.Client
) -> None:
    path, body = elevenlabs_stream(stage, QUICK)
    answer = listen.post(path, json=body)
    job_id = answer.headers["history-item-id"]
    assert_same_sound(answer.content, stage.expected(job_id))
    wait_for(lambda: completed(stage, job_id), 20, "a stream is an ordinary job")
    assert listen.get(f"/v1/history/{job_id}/audio").status_code == 200


def test_lines_have_the_sound_at_once_and_the_times_at_a_pieces_end(
    stage: Stage, listen: httpx.Client
) -> None:
    path, body = elevenlabs_lines(stage, QUICK)
    answer = listen.post(path, json=body)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    sound = b"".join(base64.b64decode(line["audio_base64"]) for line in lines)
    assert_same_sound(sound, stage.expected(answer.headers["history-item-id"]))
    assert lines[0]["alignment"] is None
    timed = [line["alignment"] for line in lines if line["alignment"]]
    assert "".join(c for one in timed for c in one["characters"]) == QUICK
    moments = [m for one in timed for m in one["character_end_times_seconds"]]
    assert moments == sorted(moments)
    assert moments[-1] == pytest.approx(len(sound) / 32000, abs=0.001)


@pytest.mark.parametrize(("repeats", "is_story"), [(12, False), (30, True)])
def test_a_slow_connection_is_given_less_where_the_format_names_no_bitrate(
    stage: Stage, ann: Account, repeats: int, *, is_story: bool
) -> None:
    path, body = openai_speech(stage, QUICK * repeats, response_format="mp3")
    assert (len(body["input"]) > 2000) is is_story
    _, data = slowly_read(stage, ann, body, ((56, 5),), path)
    found = [header.bitrate_kbps for _, header in iter_frames(data[id3_length(data) :])]
    assert found[0] == 128
    assert found.count(48) > 20


def test_a_bitrate_that_the_format_names_is_kept(stage: Stage, ann: Account) -> None:
    path = f"/v1/text-to-speech/{stage.voice_id}/stream?output_format=mp3_44100_96"
    _, data = slowly_read(stage, ann, {"text": QUICK * 12}, ((56, 5),), path)
    frames = iter_frames(data[id3_length(data) :])
    assert {header.bitrate_kbps for _, header in frames} == {96}


def test_what_cannot_be_spoken_is_the_vendors_error_and_takes_no_slot(
    stage: Stage, listen: httpx.Client
) -> None:
    path, body = elevenlabs_stream(stage, "...")
    refused = listen.post(path, json=body)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["type"] == "nothing_to_speak"
    wait_for(lambda: stage.listeners() == 0, 1, "the slot was not freed")
