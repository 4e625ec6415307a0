"""ElevenLabs' own Python SDK, unmodified: voices, their settings and recordings, and models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from elevenlabs import ElevenLabs, UnprocessableEntityError, VoiceSettings
from elevenlabs.core.api_error import ApiError

from tests.integration.api.gateway import ADA, Account
from tests.integration.compat.conftest import Stack
from tests.integration.compat.test_openai import duration_of

TEXT = "Once upon a time there was a bird that could speak. It lived by the sea."


@pytest.fixture
def client(stack: Stack, account: Account) -> Iterator[ElevenLabs]:
    with stack.elevenlabs(account.key) as opened:
        yield opened


def test_a_voice_is_added_speaks_and_is_deleted(
    client: ElevenLabs, stack: Stack, account: Account, recording: bytes
) -> None:
    files = [("ann.wav", recording, "audio/wav")]
    added = client.voices.ivc.create(
        name="Ann", files=files, description="My own", labels={"accent": "American"}
    )
    assert added.requires_verification is False
    voice = client.voices.get(added.voice_id)
    assert (voice.name, voice.category, voice.is_owner) == ("Ann", "cloned", True)
    assert voice.labels is not None
    assert voice.labels["accent"] == "American"
    audio = b"".join(client.text_to_speech.convert(added.voice_id, text=TEXT))
    assert duration_of(audio) > 2.5

    noted = stack.gateway.client.get(f"/api/voices/{added.voice_id}", headers=account.auth)
    assert noted.get_json()["consent"]["given_by"] == account.email

    assert voice.samples is not None
    (sample,) = voice.samples
    assert (sample.file_name, sample.size_bytes) == ("ann.wav", len(recording))
    where = {"voice_id": added.voice_id, "sample_id": str(sample.sample_id)}
    assert b"".join(client.voices.samples.audio.get(**where)) == recording
    client.samples.delete(**where)
    with pytest.raises(ApiError):
        b"".join(client.voices.samples.audio.get(**where))

    client.voices.delete(added.voice_id)
    with pytest.raises(ApiError) as caught:
        client.voices.get(added.voice_id)
    body: Any = caught.value.body
    assert (caught.value.status_code, body["detail"]["status"]) == (404, "voice_not_found")


def test_what_holds_no_speech_makes_no_voice(client: ElevenLabs) -> None:
    before = len(client.voices.get_all().voices)
    with pytest.raises(UnprocessableEntityError):
        client.voices.ivc.create(name="Ann", files=[("a.wav", b"RIFF" + bytes(999), "audio/wav")])
    assert len(client.voices.get_all().voices) == before


def test_all_public_voices_are_listed(client: ElevenLabs) -> None:
    voices = {voice.voice_id: voice for voice in client.voices.get_all().voices}
    assert voices[str(ADA)].name == "Ada"
    assert voices[str(ADA)].category == "premade"
    assert all(voice.settings and voice.verified_languages for voice in voices.values())


def test_a_search_finds_filters_sorts_and_turns_pages(
    client: ElevenLabs, stack: Stack, account: Account
) -> None:
    own = stack.gateway.add_voice(account, name="Zoe")
    assert [voice.name for voice in client.voices.search(search="zoe").voices] == ["Zoe"]
    personal = client.voices.search(voice_type="personal")
    assert [voice.voice_id for voice in personal.voices] == [str(own.id)]
    assert client.voices.search(category="cloned").total_count == 1
    by_id = client.voices.search(voice_ids=[str(ADA), str(own.id)])
    assert {voice.name for voice in by_id.voices} == {"Ada", "Zoe"}

    names: list[str | None] = []
    token: str | None = None
    while True:
        page = client.voices.search(page_size=10, sort="name", next_page_token=token)
        names += [voice.name for voice in page.voices]
        token = page.next_page_token
        assert page.has_more == (token is not None)
        if token is None:
            break
    assert len(names) == page.total_count > 20
    assert names == sorted(names, key=lambda name: str(name).lower())


def test_a_vendors_id_shows_the_voice_that_it_stands_for(client: ElevenLabs) -> None:
    assert client.voices.get("21m00Tcm4TlvDq8ikWAM").name == "Ada"


def test_a_voice_is_renamed_and_keeps_its_settings(
    client: ElevenLabs, stack: Stack, account: Account
) -> None:
    voice_id = str(stack.gateway.add_voice(account).id)
    client.voices.update(voice_id, name="Anna", description="New", labels={"age": "young"})
    voice = client.voices.get(voice_id)
    assert (voice.name, voice.description) == ("Anna", "New")
    assert voice.labels is not None
    assert voice.labels["age"] == "young"
    assert client.voices.settings.get(voice_id) == client.voices.settings.get_default()
    client.voices.settings.update(voice_id, request=VoiceSettings(stability=0.9, speed=1.1))
    changed = client.voices.settings.get(voice_id)
    assert (changed.stability, changed.speed, changed.style) == (0.9, 1.1, 0.0)


def test_a_public_voice_cannot_be_changed(client: ElevenLabs) -> None:
    for change in (
        lambda: client.voices.update(str(ADA), name="Mine"),
        lambda: client.voices.delete(str(ADA)),
        lambda: client.voices.settings.update(str(ADA), request=VoiceSettings(stability=0.9)),
    ):
        with pytest.raises(ApiError) as caught:
            change()
        assert caught.value.status_code == 403


def test_another_users_voice_and_its_recordings_are_not_found(
    client: ElevenLabs, stack: Stack
) -> None:
    voice_id = str(stack.gateway.add_voice(stack.gateway.register()).id)
    for look in (
        lambda: client.voices.get(voice_id),
        lambda: client.voices.settings.get(voice_id),
        lambda: client.voices.update(voice_id, name="Mine"),
        lambda: b"".join(client.voices.samples.audio.get(voice_id, voice_id)),
    ):
        with pytest.raises(ApiError) as caught:
            look()
        assert caught.value.status_code == 404


def test_models_are_a_bare_list(client: ElevenLabs) -> None:
    models = {model.model_id: model for model in client.models.list()}
    assert {"eleven_multilingual_v2", "eleven_flash_v2_5", "espeak"} <= set(models)
    model = models["eleven_multilingual_v2"]
    assert model.can_do_text_to_speech
    assert model.languages
    assert model.maximum_text_length_per_request
