"""Users, API keys and refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.orm import Session

from mynah.db.models import ApiKey, RefreshToken, User

# Asked with every request, so made once: to make it anew takes longer than to ask.
_KEY_WITH_USER = (
    select(ApiKey, User)
    .join(User, User.id == ApiKey.user_id)
    .where(ApiKey.key_hash == bindparam("key_hash"))
)


class UserRepository:
    """Accounts."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, user: User) -> None:
        """Add an account; its email must be in lower case."""
        self._session.add(user)

    def get(self, user_id: UUID) -> User | None:
        """The account by id."""
        return self._session.get(User, user_id)

    def lock(self, user_id: UUID) -> User | None:
        """The account, locked until the end of the transaction."""
        return self._session.scalar(
            select(User).where(User.id == user_id).with_for_update(key_share=True)
        )

    def by_email(self, email: str) -> User | None:
        """The account by email, whatever its case."""
        return self._session.scalar(select(User).where(User.email == email.lower()))

    def page(self, cursor: UUID | None, limit: int) -> Sequence[User]:
        """Accounts, newest first, for administrators."""
        query = select(User).order_by(User.id.desc()).limit(limit)
        if cursor is not None:
            query = query.where(User.id < cursor)
        return self._session.scalars(query).all()


class ApiKeyRepository:
    """API keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, key: ApiKey) -> None:
        """Add a key."""
        self._session.add(key)

    def with_user(self, key_hash: str) -> tuple[ApiKey, User] | None:
        """A key and its account by the key's hash."""
        row = self._session.execute(_KEY_WITH_USER, {"key_hash": key_hash}).first()
        return None if row is None else (row[0], row[1])

    def of_user(self, user_id: UUID) -> Sequence[ApiKey]:
        """All keys of an account, newest first."""
        return self._session.scalars(
            select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id.desc())
        ).all()

    def get(self, user_id: UUID, key_id: UUID) -> ApiKey | None:
        """One key of an account."""
        return self._session.scalar(
            select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id)
        )


class RefreshTokenRepository:
    """Refresh tokens."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, token: RefreshToken) -> None:
        """Record a token that was given out."""
        self._session.add(token)

    def use(self, token_id: UUID, now: datetime) -> RefreshToken | None:
        """Spend a token: it is returned once, then never again."""
        return self._session.scalar(
            update(RefreshToken)
            .where(
                RefreshToken.id == token_id,
                RefreshToken.revoked_at.is_(None),
                RefreshToken.expires_at > now,
            )
            .values(revoked_at=now)
            .returning(RefreshToken)
        )

    def revoke_family_of(self, token_id: UUID, now: datetime) -> int:
        """Revoke a token and all its relatives; returns how many could still be used."""
        family = select(RefreshToken.family_id).where(RefreshToken.id == token_id)
        return self._revoke(RefreshToken.family_id == family.scalar_subquery(), now)

    def revoke_all(self, user_id: UUID, now: datetime) -> None:
        """Revoke every token of an account."""
        self._revoke(RefreshToken.user_id == user_id, now)

    def _revoke(self, which: ColumnElement[bool], now: datetime) -> int:
        revoked = self._session.scalars(
            update(RefreshToken)
            .where(which, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(RefreshToken.id)
            .execution_options(synchronize_session=False)
        )
        return len(revoked.all())
