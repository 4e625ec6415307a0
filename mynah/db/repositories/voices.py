"""Voices."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from mynah.contracts.states import Visibility, VoiceState
from mynah.db.models import Sample, Voice, VoiceSample
from mynah.db.repositories.paging import Page, fetch_page

# Asked for every order and every piece, so made once: to make it anew takes longer than to ask.
_VISIBLE = select(Voice).where(
    Voice.id == bindparam("voice_id"),
    or_(Voice.user_id == bindparam("user_id"), Voice.visibility == Visibility.PUBLIC),
)


class VoiceRepository:
    """Voices, by owner; public ones are seen by all."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, voice: Voice, sample_ids: Sequence[UUID] = ()) -> None:
        """Add a voice and the recordings that it is made from."""
        self._session.add(voice)
        self._session.flush()
        self._session.add_all(
            VoiceSample(voice_id=voice.id, sample_id=sample_id, ordinal=ordinal)
            for ordinal, sample_id in enumerate(sample_ids)
        )

    def put(self, voice_id: UUID, columns: dict[str, object]) -> None:
        """Write a voice that nobody owns, whether it is there or not; others may do so too."""
        self._session.execute(
            insert(Voice)
            .values(id=voice_id, **columns)
            .on_conflict_do_update(
                index_elements=[Voice.id], set_={**columns, "updated_at": func.now()}
            )
        )

    def visible(self, user_id: UUID, voice_id: UUID) -> Voice | None:
        """A voice that the user may speak as: an own one or a public one."""
        return self._session.scalar(_VISIBLE, {"voice_id": voice_id, "user_id": user_id})

    def visible_by_name(self, user_id: UUID, name: str) -> Voice | None:
        """A voice of this name, whatever its case: the user's newest, else a public one."""
        return self._session.scalar(
            select(Voice)
            .where(
                func.lower(Voice.name) == name.lower(),
                or_(Voice.user_id == user_id, Voice.visibility == Visibility.PUBLIC),
            )
            .order_by((Voice.user_id == user_id).desc().nulls_last(), Voice.id.desc())
            .limit(1)
        )

    def owned(self, user_id: UUID, voice_id: UUID) -> Voice | None:
        """A voice that the user may change."""
        return self._session.scalar(
            select(Voice).where(Voice.id == voice_id, Voice.user_id == user_id)
        )

    def by_id(self, voice_id: UUID) -> Voice | None:
        """A voice for a worker, whoever owns it."""
        return self._session.get(Voice, voice_id)

    def existing_ids(self, voice_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these voices are still there."""
        return set(self._session.scalars(select(Voice.id).where(Voice.id.in_(voice_ids))))

    def page(
        self,
        user_id: UUID,
        *,
        filters: dict[str, object],
        name_contains: str | None,
        cursor: UUID | None,
        limit: int,
    ) -> Page[Voice]:
        """A page of the voices that a user sees. ``filters``: column name → exact value."""
        query = select(Voice).where(
            or_(Voice.user_id == user_id, Voice.visibility == Visibility.PUBLIC)
        )
        query = query.where(
            and_(True, *(getattr(Voice, name) == value for name, value in filters.items()))
        )
        if name_contains:
            query = query.where(Voice.name.icontains(name_contains, autoescape=True))
        return fetch_page(self._session, query, Voice.id, cursor, limit)

    def samples_of(self, voice_id: UUID) -> Sequence[Sample]:
        """The recordings of a voice, in order."""
        return self._session.scalars(
            select(Sample)
            .join(VoiceSample, VoiceSample.sample_id == Sample.id)
            .where(VoiceSample.voice_id == voice_id)
            .order_by(VoiceSample.ordinal)
        ).all()

    def samples_by_voice(self, voice_ids: Sequence[UUID]) -> dict[UUID, list[Sample]]:
        """The recordings of several voices, in order; voices without any are missing."""
        rows = self._session.execute(
            select(VoiceSample.voice_id, Sample)
            .join(Sample, Sample.id == VoiceSample.sample_id)
            .where(VoiceSample.voice_id.in_(voice_ids))
            .order_by(VoiceSample.voice_id, VoiceSample.ordinal)
        )
        found: dict[UUID, list[Sample]] = {}
        for voice_id, sample in rows:
            found.setdefault(voice_id, []).append(sample)
        return found

    def every(self, user_id: UUID, state: VoiceState) -> Sequence[Voice]:
        """All voices of a state that a user sees, newest first."""
        return self._session.scalars(
            select(Voice)
            .where(
                or_(Voice.user_id == user_id, Voice.visibility == Visibility.PUBLIC),
                Voice.state == state,
            )
            .order_by(Voice.id.desc())
        ).all()

    def count_own(self, user_id: UUID) -> int:
        """How many voices a user has made."""
        return self._session.scalar(select(func.count()).where(Voice.user_id == user_id)) or 0

    def delete(self, voice: Voice) -> None:
        """Remove the row; its jobs keep their outputs."""
        self._session.delete(voice)
