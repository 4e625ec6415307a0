"""OpenAI's own Python SDK, unmodified, against the running gateway."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import httpx
import openai
import pytest
from sqlalchemy import func, select
from werkzeug.serving import make_server

from mynah.contracts.states import JobKind
from mynah.db.models import Job
from services.api.live import slots
from tests.integration.api.gateway import ADA, Account
from tests.integration.compat.conftest import Stack

TEXT = "Once upon a time there was a bird that could speak. It lived by the sea."


@pytest.fixture
def client(stack: Stack, account: Account) -> Iterator[openai.OpenAI]:
    with stack.openai(account) as opened:
        yield opened


def duration_of(data: bytes) -> float:
    """Decode all of it; its length in seconds."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate


def jobs_of(stack: Stack, account: Account) -> int:
    with stack.container.new_uow() as uow:
        query = select(func.count()).where(Job.user_id == account.id, Job.kind == JobKind.SPEECH)
        return uow.session.scalar(query) or 0


@pytest.mark.parametrize(
    ("name", "start", "content_type"),
    [
        ("mp3", b"ID3", "audio/mpeg"),
        ("opus", b"OggS", "audio/ogg"),
        ("aac", b"\xff\xf1", "audio/aac"),
        ("flac", b"fLaC", "audio/flac"),
        ("wav", b"RIFF", "audio/wav"),
    ],
)
def test_each_format_is_what_it_says_and_decodes(
    client: openai.OpenAI, name: str, start: bytes, content_type: str
) -> None:
    answer = client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format=name
    )
    assert answer.content.startswith(start)
    assert answer.response.headers["content-type"] == content_type
    assert 2.5 < duration_of(answer.content) < 12


def test_pcm_is_24_khz_without_a_header(client: openai.OpenAI) -> None:
    pcm, wav = (
        client.audio.speech.create(
            model="gpt-4o-mini-tts", voice="nova", input=TEXT, response_format=name
        ).content
        for name in ("pcm", "wav")
    )
    assert len(pcm) / 48000 == pytest.approx(duration_of(wav), abs=0.1)


def test_mp3_is_what_is_made_when_nothing_is_said(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(model="tts-1-hd", voice="onyx", input=TEXT)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert answer.response.headers["x-request-id"]


def test_speed_makes_it_shorter(client: openai.OpenAI) -> None:
    slow, fast = (
        duration_of(
            client.audio.speech.create(
                model="tts-1", voice="alloy", input=TEXT, speed=speed, response_format="wav"
            ).content
        )
        for speed in (1.0, 4.0)
    )
    assert fast < 0.75 * slow


def test_a_stream_comes_in_chunks(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=" ".join([TEXT] * 6)
    ) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert duration_of(b"".join(answer.iter_bytes())) > 15


@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_events_carry_the_audio_and_the_usage(client: openai.OpenAI, name: str) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, stream_format="sse", response_format=name
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    assert set(events[-1]["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert duration_of(audio) > 2.5


def test_a_voice_may_be_an_object_and_unknown_keys_pass(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(
        model="espeak",
        voice={"id": str(ADA)},  # type: ignore[arg-type]
        input=TEXT,
        instructions="Speak like a pirate.",
        extra_body={"lang_code": "a", "normalization_options": {"normalize": True}},
    )
    assert answer.content


def test_our_own_voices_names_are_known(client: openai.OpenAI) -> None:
    assert client.audio.speech.create(model="tts-1", voice="Grace", input=TEXT).content


def test_models_are_listed_and_shown(client: openai.OpenAI) -> None:
    models = [model.id for model in client.models.list()]
    assert {"tts-1", "tts-1-hd", "gpt-4o-mini-tts", "espeak"} <= set(models)
    assert client.models.retrieve("gpt-4o-mini-tts-2025-12-15").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


def test_wrong_credentials_are_an_authentication_error(stack: Stack) -> None:
    with (
        openai.OpenAI(base_url=f"{stack.url}/v1", api_key="sk-wrong") as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


@pytest.mark.parametrize(
    "wrong", [{"voice": "nobody"}, {"model": "whisper-1"}], ids=["voice", "model"]
)
def test_what_is_not_there_is_a_not_found_error(
    client: openai.OpenAI, wrong: dict[str, str]
) -> None:
    order = {"model": "tts-1", "voice": "alloy", "input": TEXT, **wrong}
    with pytest.raises(openai.NotFoundError):
        client.audio.speech.create(**order)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", "a" * 4097),
        ("input", ""),
        ("input", "..."),
        ("speed", 9.0),
        ("response_format", "aiff"),
        ("voice", {"name": "alloy"}),
        ("instructions", "a" * 4097),
    ],
)
def test_a_wrong_field_is_named(
    client: openai.OpenAI, stack: Stack, account: Account, name: str, value: object
) -> None:
    order = {"model": "tts-1", "voice": "alloy", "input": TEXT, name: value}
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.audio.speech.create(**order)  # type: ignore[arg-type]
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param == (None if value == "..." else name)
    assert jobs_of(stack, account) == 0


def test_a_used_up_quota_is_a_rate_limit_error_that_is_not_tried_again(
    stack: Stack, account: Account
) -> None:
    with stack.container.new_uow() as uow:
        user = uow.users.get(account.id)
        assert user is not None
        user.monthly_character_quota = 10
        uow.commit()
    with (
        stack.openai(account, max_retries=2) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert jobs_of(stack, account) == 0


def test_the_sdk_comes_back_after_a_refusal_and_makes_one_job(
    stack: Stack, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "RETRY_S", 1)
    held = hold_slots(stack, account)
    with (
        served_here(stack) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=account.key, max_retries=1) as client,
    ):
        client._client.event_hooks["response"].append(held.free_one_at_a_refusal)
        answer = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert held.refusals == 1
    assert duration_of(answer.content) > 2.5
    assert jobs_of(stack, account) == 1


@dataclass
class HeldSlots:
    """All of a user's slots, of which each refused request frees one."""

    give_back: list[Callable[[], None]]
    refusals: int = 0

    def free_one_at_a_refusal(self, answer: httpx.Response) -> None:
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"
            self.refusals += 1
            self.give_back.pop()()


def hold_slots(stack: Stack, account: Account) -> HeldSlots:
    limit, taken = stack.container.settings.max_streams_per_user, stack.container.slots
    return HeldSlots([taken.take(account.id) for _ in range(limit)])


@contextmanager
def served_here(stack: Stack) -> Iterator[str]:
    """The same gateway in this process, whose slots a test can take."""
    server = make_server("127.0.0.1", 0, stack.gateway.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_azures_client_finds_its_path_and_shows_its_key(stack: Stack, account: Account) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=stack.url, api_key=account.key, api_version="2025-04-01-preview"
    ) as client:
        answer = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
        assert answer.response.request.url.path == "/openai/deployments/tts-1/audio/speech"
        assert duration_of(answer.content) > 2.5


def test_a_custom_voice_is_made_with_a_recorded_consent_and_speaks(
    client: openai.OpenAI, stack: Stack, account: Account, recording: bytes
) -> None:
    file = ("ann.wav", recording, "audio/wav")
    consent = client.audio.voice_consents.create(name="Ann Example", language="en", recording=file)
    voice = client.audio.voices.create(name="Ann", audio_sample=file, consent=consent.id)
    speech = client.audio.speech.create(
        model="tts-1",
        voice={"id": voice.id},  # type: ignore[arg-type]
        input=TEXT,
        response_format="wav",
    )
    assert duration_of(speech.content) > 2.5
    noted = stack.gateway.client.get(f"/api/voices/{voice.id}", headers=account.auth).get_json()
    assert noted["consent"]["given_by"] == "Ann Example"
    assert consent.id in noted["consent"]["statement"]
    listed = httpx.get(f"{stack.url}/v1/audio/voices", headers=account.auth).json()["voices"]
    assert {"id": voice.id, "name": "Ann"} in listed
    assert {"id": "alloy", "name": "alloy"} in listed
    assert client.audio.voices.delete(voice.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.audio.voices.delete(voice.id)


def test_a_voice_needs_a_consent(client: openai.OpenAI, recording: bytes) -> None:
    file = ("ann.wav", recording, "audio/wav")
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.voices.create(name="Ann", audio_sample=file, consent="cons_nothing")
    assert caught.value.code == "consent_not_found"


def test_a_recording_without_speech_makes_no_voice(
    client: openai.OpenAI, stack: Stack, account: Account, recording: bytes
) -> None:
    file = ("ann.wav", recording, "audio/wav")
    consent = client.audio.voice_consents.create(name="Ann", language="en", recording=file)
    noise = ("noise.wav", b"RIFF" + bytes(1000), "audio/wav")
    with pytest.raises(openai.UnprocessableEntityError):
        client.audio.voices.create(name="Ann", audio_sample=noise, consent=consent.id)
    own = stack.gateway.client.get("/api/voices?mine=true", headers=account.auth).get_json()
    assert own["items"] == []


def test_consents_are_paged_renamed_and_deleted(client: openai.OpenAI, recording: bytes) -> None:
    file = ("ann.wav", recording, "audio/wav")
    made = [
        client.audio.voice_consents.create(name=name, language="en-US", recording=file).id
        for name in ("one", "two", "three")
    ]
    page = client.audio.voice_consents.list(limit=2)
    assert page.has_more
    assert [consent.id for consent in page] == made[::-1]  # the SDK turns the pages
    renamed = client.audio.voice_consents.update(made[0], name="uno")
    assert (renamed.name, renamed.language) == ("uno", "en-US")
    assert client.audio.voice_consents.retrieve(made[0]).name == "uno"
    assert client.audio.voice_consents.delete(made[0]).deleted
    with pytest.raises(openai.NotFoundError):
        client.audio.voice_consents.retrieve(made[0])


def test_another_users_consents_and_voices_are_not_found(
    client: openai.OpenAI, stack: Stack, recording: bytes
) -> None:
    file = ("ann.wav", recording, "audio/wav")
    consent = client.audio.voice_consents.create(name="Ann", language="en", recording=file)
    with (
        stack.openai(stack.gateway.register()) as stranger,
        pytest.raises(openai.NotFoundError),
    ):
        stranger.audio.voice_consents.retrieve(consent.id)


def test_a_public_voice_cannot_be_deleted(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client.audio.voices.delete(str(ADA))


def test_an_access_token_is_as_good_as_a_key(stack: Stack, account: Account) -> None:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=account.token) as client:
        assert client.models.list().data
