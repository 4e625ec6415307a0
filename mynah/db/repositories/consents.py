"""Recorded consents."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from mynah.db.models import VoiceConsent
from mynah.db.repositories.paging import Page, fetch_page


class ConsentRepository:
    """Recorded consents, by owner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, consent: VoiceConsent) -> None:
        """Add a consent whose sample is there."""
        self._session.add(consent)
        self._session.flush()

    def get(self, user_id: UUID, consent_id: UUID) -> VoiceConsent | None:
        """One consent of a user."""
        return self._session.scalar(
            select(VoiceConsent).where(
                VoiceConsent.id == consent_id, VoiceConsent.user_id == user_id
            )
        )

    def page(self, user_id: UUID, *, cursor: UUID | None, limit: int) -> Page[VoiceConsent]:
        """A page of a user's consents."""
        query = select(VoiceConsent).where(VoiceConsent.user_id == user_id)
        return fetch_page(self._session, query, VoiceConsent.id, cursor, limit)
