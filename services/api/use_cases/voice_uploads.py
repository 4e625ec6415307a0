"""Voices from recordings that come in the same request."""

from __future__ import annotations

from collections.abc import Sequence

from mynah.contracts.states import VoiceState
from mynah.db.models import Voice
from mynah.errors import InvalidAudio, SpeechTimeout
from mynah.observability.metrics import UPLOAD_BYTES
from services.api.bootstrap import Container
from services.api.live.waiting import wait_until_ended
from services.api.use_cases import samples, voices


def clone_from_files(
    container: Container,
    owner: voices.VoiceOwner,
    order: voices.VoiceOrder,
    uploads: Sequence[samples.Upload],
    max_bytes: int,
) -> Voice:
    """Store recordings and have a voice made from them.

    Nothing stays behind when it is refused. Raises what ``clone_voice`` does, InvalidAudio
    (empty), PayloadTooLarge, StorageUnavailable.
    """
    with container.new_uow() as uow:  # refused before anything is stored
        voices.new_voice(uow, container.settings, owner, order)
    with (
        samples.keeping_files(container.store, uploads, owner.user_id, max_bytes) as kept,
        container.new_uow() as uow,
    ):
        for sample in kept:
            samples.record_sample(uow, sample, owner.request_id)
        ids = [sample.id for sample in kept]
        voice = voices.clone_voice(uow, container.settings, owner, order, ids)
        uow.commit()
    UPLOAD_BYTES.inc(sum(sample.size_bytes for sample in kept))
    return voice


def finished_voice(container: Container, owner: voices.VoiceOwner, voice: Voice) -> Voice:
    """Wait for a voice of ``clone_from_files``, for callers who speak as it at once.

    When that takes longer than a request may, the voice is returned as it is then. One that
    cannot be made is removed with its recordings. Raises InvalidAudio.
    """
    if voice.job_id is not None:
        try:
            wait_until_ended(container, voice.job_id)
        except SpeechTimeout:
            return voice
    with container.new_uow() as uow:
        made = voices.owned_voice(uow, owner.user_id, voice.id)
        if made.state == VoiceState.READY:
            return made
        failure = InvalidAudio(made.error_message or "", code=made.error_code)
        recordings = [sample.id for sample in uow.voices.samples_of(voice.id)]
        voices.delete_voice(uow, container.store, owner.user_id, voice.id)
        for sample_id in recordings:
            samples.delete_sample(uow, container.store, owner.user_id, sample_id)
        uow.commit()
    raise failure
