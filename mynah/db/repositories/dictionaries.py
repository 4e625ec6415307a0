"""Pronunciation dictionaries and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from mynah.db.models import Dictionary, DictionaryVersion, Voice
from mynah.db.repositories.paging import Page, fetch_page


class DictionaryRepository:
    """Dictionaries, by owner."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._versions: dict[tuple[UUID, int], DictionaryVersion] = {}

    def add(self, dictionary: Dictionary) -> None:
        """Add a dictionary."""
        self._session.add(dictionary)
        self._session.flush()

    def add_version(self, version: DictionaryVersion) -> None:
        """Add a version of a dictionary that is there."""
        self._session.add(version)
        self._session.flush()

    def get(self, user_id: UUID, dictionary_id: UUID) -> Dictionary | None:
        """One dictionary of a user."""
        return self._session.scalar(
            select(Dictionary).where(Dictionary.id == dictionary_id, Dictionary.user_id == user_id)
        )

    def locked(self, user_id: UUID, dictionary_id: UUID) -> Dictionary | None:
        """One dictionary of a user, locked until the end of the transaction, read anew."""
        return self._session.scalar(
            select(Dictionary)
            .where(Dictionary.id == dictionary_id, Dictionary.user_id == user_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    def page(self, user_id: UUID, *, cursor: UUID | None, limit: int) -> Page[Dictionary]:
        """A page of a user's dictionaries."""
        query = select(Dictionary).where(Dictionary.user_id == user_id)
        return fetch_page(self._session, query, Dictionary.id, cursor, limit)

    def count(self, user_id: UUID) -> int:
        """How many dictionaries a user has."""
        query = select(func.count()).where(Dictionary.user_id == user_id)
        return self._session.scalar(query) or 0

    def version(self, dictionary_id: UUID, version: int) -> DictionaryVersion | None:
        """One version with its rules, which are read once: they never change, and are long."""
        key = (dictionary_id, version)
        if key not in self._versions:
            found = self._session.scalar(
                select(DictionaryVersion).where(
                    DictionaryVersion.dictionary_id == dictionary_id,
                    DictionaryVersion.version == version,
                )
            )
            if found is None:
                return None
            self._versions[key] = found
        return self._versions[key]

    def version_page(
        self, dictionary_id: UUID, *, cursor: UUID | None, limit: int
    ) -> Page[DictionaryVersion]:
        """A page of a dictionary's versions, without their rules."""
        query = (
            select(DictionaryVersion)
            .where(DictionaryVersion.dictionary_id == dictionary_id)
            .options(defer(DictionaryVersion.rules, raiseload=True))
        )
        return fetch_page(self._session, query, DictionaryVersion.id, cursor, limit)

    def rule_counts(self, dictionary_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many rules the latest versions have."""
        rows = self._session.execute(
            select(Dictionary.id, DictionaryVersion.rule_count)
            .join(DictionaryVersion, DictionaryVersion.dictionary_id == Dictionary.id)
            .where(
                Dictionary.id.in_(dictionary_ids),
                DictionaryVersion.version == Dictionary.latest_version,
            )
        )
        return {row[0]: row[1] for row in rows}

    def voices_that_use(self, user_id: UUID, dictionary_id: UUID) -> Sequence[Voice]:
        """A user's voices to which a dictionary applies, locked."""
        return self._session.scalars(
            select(Voice)
            .where(
                Voice.user_id == user_id,
                Voice.dictionaries.contains([{"dictionary_id": str(dictionary_id)}]),
            )
            .with_for_update()
        ).all()

    def delete(self, dictionary: Dictionary) -> None:
        """Remove a dictionary with its versions."""
        self._session.delete(dictionary)
