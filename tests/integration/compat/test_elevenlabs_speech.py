"""ElevenLabs' own Python SDK, unmodified, speaks through the running gateway."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from elevenlabs import (
    DialogueInput,
    ElevenLabs,
    PronunciationDictionaryVersionLocator,
    UnprocessableEntityError,
    VoiceSettings,
)
from elevenlabs.core.api_error import ApiError

from mynah.contracts.states import ENDED_JOB_STATES, JobState
from services.api.live import slots
from tests.integration.api.gateway import ADA, Account
from tests.integration.compat.conftest import Stack
from tests.integration.compat.test_openai import (
    duration_of,
    hold_slots,
    jobs_of,
    served_here,
)
from tests.parts import wait_for

RACHEL = "21m00Tcm4TlvDq8ikWAM"
TEXT = "Once upon a time there was a bird that could speak. It lived by the sea, for 25 years."
LONG = " ".join([TEXT] * 6)


@pytest.fixture
def client(stack: Stack, account: Account) -> Iterator[ElevenLabs]:
    with stack.elevenlabs(account.key) as opened:
        yield opened


def lasts(data: bytes, name: str) -> float:
    """The length in seconds of audio in one of ElevenLabs' formats."""
    kind, rate = name.split("_")[:2]
    if kind == "pcm":
        return len(data) / 2 / int(rate)
    if kind in ("ulaw", "alaw"):
        return len(data) / int(rate)
    return duration_of(data)


@pytest.mark.parametrize(
    "name",
    [
        "mp3_22050_32",
        "mp3_24000_48",
        "mp3_44100_192",
        "opus_48000_64",
        "pcm_8000",
        "pcm_44100",
        "wav_32000",
        "ulaw_8000",
        "alaw_8000",
    ],
)
def test_each_format_is_what_it_says(client: ElevenLabs, name: str) -> None:
    whole = b"".join(client.text_to_speech.convert(RACHEL, text=TEXT, output_format=name, seed=1))
    streamed = b"".join(client.text_to_speech.stream(RACHEL, text=TEXT, output_format=name, seed=1))
    assert 3 < lasts(whole, name) < 15
    assert lasts(streamed, name) == pytest.approx(lasts(whole, name), abs=0.15)


def test_the_default_is_mp3_of_44_khz_with_the_headers_of_the_vendor(client: ElevenLabs) -> None:
    with client.text_to_speech.with_raw_response.convert(
        "rachel", text=TEXT, model_id="eleven_flash_v2_5"
    ) as answer:
        audio = b"".join(answer.data)
        headers = answer.headers
    assert headers["content-type"] == "audio/mpeg"
    assert headers["character-cost"] == str(len(TEXT))
    for name in ("request-id", "x-trace-id", "history-item-id", "maximum-concurrent-requests"):
        assert headers[name]
    assert duration_of(audio) > 3


def test_settings_reach_the_engine(client: ElevenLabs) -> None:
    slow, fast = (
        duration_of(
            b"".join(
                client.text_to_speech.convert(
                    str(ADA), text=TEXT, voice_settings=VoiceSettings(speed=speed, stability=0.3)
                )
            )
        )
        for speed in (0.7, 1.2)
    )
    assert fast < 0.75 * slow


def assert_aligned(alignment: Any, text: str, audio_s: float) -> None:
    starts = alignment.character_start_times_seconds
    ends = alignment.character_end_times_seconds
    assert "".join(alignment.characters) == text
    assert len(starts) == len(ends) == len(text)
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert all(start <= end for start, end in zip(starts, ends, strict=True))
    assert ends[-1] <= audio_s + 0.05


def test_times_cover_the_text_and_lie_in_the_audio(client: ElevenLabs) -> None:
    answer = client.text_to_speech.convert_with_timestamps(
        RACHEL, text=LONG, output_format="pcm_16000"
    )
    audio_s = len(base64.b64decode(answer.audio_base_64)) / 32000
    assert_aligned(answer.alignment, LONG, audio_s)
    assert_aligned(answer.normalized_alignment, LONG, audio_s)
    assert answer.alignment is not None
    # Evenly spoken: the middle of the text is heard in the middle of the audio.
    middle = answer.alignment.character_start_times_seconds[len(LONG) // 2]
    assert middle == pytest.approx(audio_s / 2, rel=0.15)


def test_lines_carry_the_pieces_with_their_times(client: ElevenLabs) -> None:
    lines = list(
        client.text_to_speech.stream_with_timestamps(RACHEL, text=LONG, output_format="pcm_16000")
    )
    audio_s = sum(len(base64.b64decode(line.audio_base_64)) for line in lines) / 32000
    timed = [line.alignment for line in lines if line.alignment is not None]
    assert len(timed) > 1
    characters = [c for alignment in timed for c in alignment.characters]
    starts = [s for alignment in timed for s in alignment.character_start_times_seconds]
    ends = [e for alignment in timed for e in alignment.character_end_times_seconds]
    assert "".join(characters) == LONG
    assert starts == sorted(starts)
    assert len(starts) == len(ends) == len(LONG)
    assert ends[-1] <= audio_s + 0.05


DIALOGUE = [
    DialogueInput(text="Who is there?", voice_id="rachel"),
    DialogueInput(text="It is only the wind & the rain.", voice_id="adam"),
    DialogueInput(text="Then good night!", voice_id="rachel"),
]


def test_a_dialogue_is_spoken_by_its_voices(client: ElevenLabs) -> None:
    whole = b"".join(client.text_to_dialogue.convert(inputs=DIALOGUE, seed=1))
    streamed = b"".join(client.text_to_dialogue.stream(inputs=DIALOGUE, seed=1))
    assert duration_of(whole) > 2.5
    assert duration_of(streamed) == pytest.approx(duration_of(whole), abs=0.15)


def test_a_dialogue_says_who_is_heard_when(client: ElevenLabs, stack: Stack) -> None:
    answer = client.text_to_dialogue.convert_with_timestamps(inputs=DIALOGUE)
    segments = answer.voice_segments
    assert answer.alignment is not None
    characters = answer.alignment.characters
    said = [
        "".join(characters[part.character_start_index : part.character_end_index])
        for part in segments
    ]
    assert said == [line.text for line in DIALOGUE]
    assert [part.dialogue_input_index for part in segments] == [0, 1, 2]
    assert segments[0].voice_id == segments[2].voice_id != segments[1].voice_id
    moments = [
        moment for part in segments for moment in (part.start_time_seconds, part.end_time_seconds)
    ]
    assert moments == sorted(moments)


def test_a_dialogue_streams_its_segments(client: ElevenLabs) -> None:
    lines = list(client.text_to_dialogue.stream_with_timestamps(inputs=DIALOGUE))
    heard = [part.dialogue_input_index for line in lines for part in line.voice_segments]
    assert heard == [0, 1, 2]


def test_a_dictionary_changes_what_is_spoken(
    client: ElevenLabs, stack: Stack, account: Account
) -> None:
    made = stack.gateway.add_dictionary(
        account, rules=[{"kind": "alias", "written": "UN", "spoken": "United Nations of the world"}]
    )
    locator = PronunciationDictionaryVersionLocator(
        pronunciation_dictionary_id=made["id"], version_id="1"
    )
    plain, changed = (
        duration_of(
            b"".join(
                client.text_to_speech.convert(
                    RACHEL, text="The UN.", pronunciation_dictionary_locators=locators
                )
            )
        )
        for locators in ([], [locator])
    )
    assert changed > 1.5 * plain


def test_a_listener_who_leaves_ends_the_job(stack: Stack, account: Account) -> None:
    with httpx.stream(
        "POST",
        f"{stack.url}/v1/text-to-speech/{ADA}/stream",
        json={"text": " ".join([TEXT] * 900)},
        headers={"xi-api-key": account.key},
        timeout=60,
    ) as answer:
        job_id = UUID(answer.headers["history-item-id"])
        next(answer.iter_bytes())

    def state() -> str:
        with stack.container.new_uow() as uow:
            return uow.jobs.by_id(job_id).state

    wait_for(lambda: state() in ENDED_JOB_STATES, 20, "the job goes on")
    assert state() == JobState.CANCELLED


def error_of(caught: pytest.ExceptionInfo[ApiError]) -> tuple[int | None, Any]:
    body: Any = caught.value.body
    return caught.value.status_code, body["detail"]["status"]


def test_wrong_credentials_are_401(stack: Stack) -> None:
    with stack.elevenlabs("wrong") as stranger, pytest.raises(ApiError) as caught:
        b"".join(stranger.text_to_speech.convert(RACHEL, text=TEXT))
    assert error_of(caught) == (401, "invalid_api_key")


def test_an_unknown_voice_is_404(client: ElevenLabs) -> None:
    with pytest.raises(ApiError) as caught:
        b"".join(client.text_to_speech.convert("nobody", text=TEXT))
    assert error_of(caught) == (404, "voice_not_found")


def test_a_long_text_is_400(client: ElevenLabs) -> None:
    with pytest.raises(ApiError) as caught:
        b"".join(client.text_to_speech.convert(RACHEL, text="a " * 60_000))
    assert error_of(caught) == (400, "max_character_limit_exceeded")


def test_a_used_up_quota_is_401(client: ElevenLabs, stack: Stack, account: Account) -> None:
    with stack.container.new_uow() as uow:
        user = uow.users.get(account.id)
        assert user is not None
        user.monthly_character_quota = 10
        uow.commit()
    with pytest.raises(ApiError) as caught:
        b"".join(client.text_to_speech.stream(RACHEL, text=TEXT))
    assert error_of(caught) == (401, "quota_exceeded")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"text": ""}, ["body", "text"]),
        ({"output_format": "mp3_1_1"}, ["body", "output_format"]),
        ({"seed": -1}, ["body", "seed"]),
        ({"voice_settings": {"stability": 2}}, ["body", "voice_settings", "stability"]),
        ({"language_code": "xx"}, ["body", "language"]),
    ],
)
def test_what_is_not_valid_is_named(
    client: ElevenLabs, change: dict[str, Any], place: list[str]
) -> None:
    with pytest.raises(UnprocessableEntityError) as caught:
        b"".join(client.text_to_speech.convert(RACHEL, **{"text": TEXT, **change}))
    body: Any = caught.value.body
    assert body["detail"][0]["loc"] == place


def test_a_refused_stream_says_when_to_come_back_and_makes_no_job(
    stack: Stack, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "RETRY_S", 1)
    held = hold_slots(stack, account)
    hooks = {"response": [held.free_one_at_a_refusal]}
    with served_here(stack) as url, httpx.Client(timeout=60, event_hooks=hooks) as connection:
        client = ElevenLabs(base_url=url, api_key=account.key, httpx_client=connection)
        with pytest.raises(ApiError) as caught:  # the SDK repeats no streams by itself
            b"".join(client.text_to_speech.stream(RACHEL, text=TEXT))
        assert error_of(caught) == (429, "too_many_concurrent_requests")
        assert (caught.value.headers or {})["retry-after"] == "1"
        assert jobs_of(stack, account) == 0
        audio = b"".join(client.text_to_speech.stream(RACHEL, text=TEXT))
    assert duration_of(audio) > 2.5
    assert jobs_of(stack, account) == 1


def test_an_unread_field_is_left_and_null_is_not_said(stack: Stack, account: Account) -> None:
    body = {"text": TEXT, "seed": None, "voice_settings": None, "previous_text": "So.", "x": 1}
    answer = httpx.post(
        f"{stack.url}/v1/text-to-speech/{ADA}", json=body, headers={"xi-api-key": account.key}
    )
    assert answer.status_code == 200
    assert duration_of(answer.content) > 3
