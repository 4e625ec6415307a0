"""Requests with an Idempotency-Key through the vendors' SDKs: done once, answered alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from elevenlabs import ElevenLabs
from elevenlabs.core.api_error import ApiError

from tests.integration.api.gateway import ADA, Account
from tests.integration.compat.conftest import Stack
from tests.integration.compat.test_elevenlabs_records import alias
from tests.integration.compat.test_openai import TEXT, duration_of, jobs_of

KEY = {"Idempotency-Key": "one"}
OPTIONS: Any = {"additional_headers": KEY}


@pytest.fixture
def client(stack: Stack, account: Account) -> Iterator[openai.OpenAI]:
    with stack.openai(account) as opened:
        yield opened


@pytest.fixture
def eleven(stack: Stack, account: Account) -> Iterator[ElevenLabs]:
    with stack.elevenlabs(account.key) as opened:
        yield opened


@pytest.mark.parametrize("name", ["mp3", "aac"])
def test_speech_is_spoken_once(
    client: openai.OpenAI, stack: Stack, account: Account, name: str
) -> None:
    order = {"model": "tts-1", "voice": "alloy", "response_format": name}
    first, again = (
        client.audio.speech.create(input=TEXT, extra_headers=KEY, **order)  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert first.content == again.content
    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert duration_of(first.content) > 2.5
    assert jobs_of(stack, account) == 1
    with pytest.raises(openai.ConflictError) as caught:
        client.audio.speech.create(input="Other.", extra_headers=KEY, **order)  # type: ignore[arg-type]
    assert caught.value.code == "idempotency_conflict"


def test_speech_with_times_is_spoken_once(
    eleven: ElevenLabs, stack: Stack, account: Account
) -> None:
    for ask in (
        lambda: b"".join(
            eleven.text_to_speech.convert(str(ADA), text=TEXT, request_options=OPTIONS)
        ),
        lambda: eleven.text_to_speech.convert_with_timestamps(
            str(ADA), text=TEXT, request_options={"additional_headers": {"Idempotency-Key": "two"}}
        ),
    ):
        assert ask() == ask()
    assert jobs_of(stack, account) == 2
    with pytest.raises(ApiError) as caught:
        b"".join(eleven.text_to_speech.convert(str(ADA), text="Other.", request_options=OPTIONS))
    assert caught.value.status_code == 409


def test_what_is_made_is_made_once(
    client: openai.OpenAI, eleven: ElevenLabs, recording: bytes
) -> None:
    made = [
        eleven.pronunciation_dictionaries.create_from_rules(
            name="Names",
            rules=[alias("UN", "United Nations")],
            request_options=OPTIONS,
        ).id
        for _ in range(2)
    ]
    assert made[0] == made[1]
    consents = [
        client.audio.voice_consents.create(
            name="Ann",
            language="en",
            recording=("ann.wav", recording, "audio/wav"),
            extra_headers={"Idempotency-Key": "two"},
        ).id
        for _ in range(2)
    ]
    assert consents[0] == consents[1]
    assert len(list(client.audio.voice_consents.list())) == 1
