"""Recorded consents: somebody says that their voice may be cloned."""

from __future__ import annotations

from uuid import UUID

from mynah.db.ids import new_id
from mynah.db.models import VoiceConsent
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import NotFound
from mynah.observability.metrics import UPLOAD_BYTES
from mynah.storage.base import ObjectStore
from services.api.bootstrap import Container
from services.api.use_cases import samples, voices


def record_consent(
    container: Container,
    owner: voices.VoiceOwner,
    recording: samples.Upload,
    *,
    language: str,
    max_bytes: int,
) -> VoiceConsent:
    """Keep a recorded consent under the recording's name.

    Raises InvalidAudio (empty), PayloadTooLarge, StorageUnavailable.
    """
    with (
        samples.keeping_files(container.store, [recording], owner.user_id, max_bytes) as (sample,),
        container.new_uow() as uow,
    ):
        samples.record_sample(uow, sample, owner.request_id)
        consent = VoiceConsent(
            id=new_id(),
            user_id=owner.user_id,
            name=recording.name,
            language=language,
            sample_id=sample.id,
        )
        uow.consents.add(consent)
        uow.session.refresh(consent)
        uow.commit()
    UPLOAD_BYTES.inc(sample.size_bytes)
    return consent


def find_consent(uow: UnitOfWork, user_id: UUID, consent_id: UUID) -> VoiceConsent:
    """A user's recorded consent. Raises NotFound."""
    consent = uow.consents.get(user_id, consent_id)
    if consent is None:
        raise NotFound("There is no such consent.", code="consent_not_found")
    return consent


def delete_consent(uow: UnitOfWork, store: ObjectStore, user_id: UUID, consent_id: UUID) -> None:
    """Remove a consent with its recording. The caller commits.

    Voices keep what they noted of it. Raises NotFound, StorageUnavailable.
    """
    consent = find_consent(uow, user_id, consent_id)
    samples.delete_sample(uow, store, user_id, consent.sample_id)
