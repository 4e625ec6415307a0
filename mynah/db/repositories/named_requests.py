"""Requests with an Idempotency-Key, by user and key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from mynah.db.models import NamedRequest


@dataclass(frozen=True, slots=True)
class RequestName:
    """A request as its caller named it, and what it asks for."""

    user_id: UUID
    key: str
    fingerprint: str


class NamedRequestRepository:
    """Who works on a named request, and what was answered."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(self, name: RequestName, lease: timedelta, kept: timedelta) -> UUID | None:
        """Take a name that is free, and get a token. None: somebody works on it, or has.

        Free is also a name that has expired, and one whose holder died: its lease is over.
        """
        token = uuid4()
        values = {
            "fingerprint": name.fingerprint,
            "token": token,
            "lease_until": func.now() + lease,
            "status": None,
            "headers": None,
            "sealed_body": None,
            "expires_at": func.now() + kept,
        }
        is_dead = NamedRequest.status.is_(None) & (NamedRequest.lease_until < func.now())
        taken = self._session.scalar(
            insert(NamedRequest)
            .values(user_id=name.user_id, key=name.key, **values)
            .on_conflict_do_update(
                index_elements=[NamedRequest.user_id, NamedRequest.key],
                set_=values,
                where=is_dead | (NamedRequest.expires_at < func.now()),
            )
            .returning(NamedRequest.token)
        )
        return token if taken == token else None

    def renew(self, token: UUID, name: RequestName, lease: timedelta) -> None:
        """Hold a name for longer; nothing happens when the token does not hold it any more."""
        self._session.execute(
            update(NamedRequest)
            .where(
                NamedRequest.user_id == name.user_id,
                NamedRequest.key == name.key,
                NamedRequest.token == token,
            )
            .values(lease_until=func.now() + lease)
        )

    def get(self, name: RequestName) -> NamedRequest | None:
        """What is known of a name."""
        return self._session.scalar(
            select(NamedRequest).where(
                NamedRequest.user_id == name.user_id, NamedRequest.key == name.key
            )
        )

    def keep(
        self,
        token: UUID,
        name: RequestName,
        status: int,
        headers: list[dict[str, str]],
        sealed_body: bytes | None,
    ) -> None:
        """Write the answer; nothing happens when the token does not hold the name any more."""
        self._session.execute(
            update(NamedRequest)
            .where(
                NamedRequest.user_id == name.user_id,
                NamedRequest.key == name.key,
                NamedRequest.token == token,
            )
            .values(status=status, headers=headers, sealed_body=sealed_body)
        )

    def release(self, token: UUID, name: RequestName) -> None:
        """Free the name, as if it had never been used."""
        self._session.execute(
            delete(NamedRequest).where(
                NamedRequest.user_id == name.user_id,
                NamedRequest.key == name.key,
                NamedRequest.token == token,
            )
        )

    def delete_expired(self, limit: int) -> int:
        """Forget names past their time."""
        key = tuple_(NamedRequest.user_id, NamedRequest.key)
        over = (
            select(NamedRequest.user_id, NamedRequest.key)
            .where(NamedRequest.expires_at < func.now())
            .limit(limit)
        )
        deleted = self._session.scalars(
            delete(NamedRequest)
            .where(key.in_(over))
            .returning(NamedRequest.key)
            .execution_options(synchronize_session=False)
        )
        return len(deleted.all())
