"""The main job through real workers: a recording becomes a voice, the voice speaks."""

from __future__ import annotations

import io
from uuid import UUID

import numpy as np

from mynah.audio.flac import encode_flac
from mynah.audio.waveform import Waveform
from mynah.contracts.states import SampleState, VoiceState
from mynah.engines.base import SynthesisSettings
from mynah.engines.registry import load_engine
from mynah.errors import NotFound
from services.api.use_cases.samples import Stored, Upload, store_sample
from services.api.use_cases.speech import Requester, order_speech
from services.api.use_cases.speech_order import SpeechOrder
from services.api.use_cases.voices import (
    Consent,
    VoiceOrder,
    VoiceOwner,
    clone_voice,
    delete_voice,
)
from tests.integration.recovery.conftest import Workers
from tests.parts import wait_for

READ_ALOUD = (
    "We walked along the beach and looked for shells. My sister found a blue one, which she gave "
    "to me. In the evening our mother made soup, and outside the wind blew hard."
)


def recording() -> bytes:
    engine = load_engine("espeak")
    profile = engine.builtin_profile("en-gb+f2", "en-gb")
    blocks = engine.synthesize(READ_ALOUD, profile, SynthesisSettings())
    samples = np.concatenate([block.waveform.samples for block in blocks])
    return encode_flac(Waveform(samples, engine.info.sample_rate))


def upload(workers: Workers, user_id: UUID, data: bytes, name: str) -> Stored:
    received = Upload(io.BytesIO(data), name, "audio/flac", "")
    return store_sample(
        workers.new_uow,
        workers.store,
        received,
        user_id=user_id,
        request_id="r",
        max_bytes=10_000_000,
    )


def sample_state(workers: Workers, sample_id: UUID) -> str:
    with workers.new_uow() as uow:
        sample = uow.samples.by_id(sample_id)
        assert sample is not None
        return sample.state


def test_a_recording_becomes_a_voice_that_speaks_and_leaves_nothing_when_deleted(
    workers: Workers, user_id: UUID
) -> None:
    data = recording()
    sample = upload(workers, user_id, data, "me.flac").sample
    wait_for(lambda: sample_state(workers, sample.id) == SampleState.ANALYZED, 60, "not analyzed")
    assert workers.store.get(sample.object_key) == data, "the original must stay untouched"
    order = VoiceOrder("Me", "en", Consent("I agree to this, truly.", "Me"), kids=True)
    with workers.new_uow() as uow:
        owner = VoiceOwner(user_id, "r")
        voice = clone_voice(uow, workers.settings, owner, order, [sample.id])
        uow.commit()
    assert voice.job_id is not None
    workers.wait_completed(voice.job_id, 120)
    with workers.new_uow() as uow:
        ready = uow.voices.by_id(voice.id)
        assert ready is not None
    assert ready.state == VoiceState.READY
    assert ready.consent is not None
    assert ready.consent["given_by"] == "Me"
    assert sorted(workers.store.list("voices/en-us/")) == [
        f"voices/en-us/kids/profiles/{voice.id}.espeak.safetensors",
        f"voices/en-us/kids/profiles/{voice.id}.npy",
        f"voices/en-us/kids/recorded/{voice.id}.mp3",
        f"voices/en-us/kids/samples/{voice.id}.mp3",
    ]
    with workers.new_uow() as uow:
        speech = SpeechOrder("Good night, sleep well.", voice.id, title="Good night")
        job = order_speech(uow, workers.settings, Requester(user_id, "app", "r"), speech)
        uow.commit()
    spoken = workers.wait_completed(job.id, 60)
    assert spoken.output_key == f"stories/en-us/app/{job.id}.mp3"
    with workers.new_uow() as uow:
        delete_voice(uow, workers.store, user_id, voice.id)
        uow.commit()
    assert list(workers.store.list("voices/en-us/")) == []


def test_a_text_file_named_mp3_is_rejected_with_the_reason(workers: Workers, user_id: UUID) -> None:
    sample = upload(workers, user_id, b"This is no music at all. " * 50, "song.mp3").sample
    wait_for(lambda: sample_state(workers, sample.id) == SampleState.REJECTED, 60, "not rejected")
    with workers.new_uow() as uow:
        rejected = uow.samples.get(user_id, sample.id)
    assert rejected is not None
    assert rejected.error_code == "not_audio"
    assert rejected.error_message


def test_a_voice_of_another_user_cannot_be_spoken(workers: Workers, user_id: UUID) -> None:
    with workers.new_uow() as uow:
        order = SpeechOrder("Hello.", UUID(int=1))
        try:
            order_speech(uow, workers.settings, Requester(user_id, "user", "r"), order)
        except NotFound as error:
            assert error.code == "voice_not_found"
        else:
            raise AssertionError("an unknown voice was accepted")
