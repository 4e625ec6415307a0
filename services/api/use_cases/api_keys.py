"""API keys of an account: create, list, revoke."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import ApiKey
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest, NotFound, PermissionDenied
from services.api.auth.api_keys import generate_key


def create_key(
    uow: UnitOfWork,
    user_id: UUID,
    allowed: frozenset[str],
    name: str,
    *,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is never seen again.

    Raises PermissionDenied for a scope that its maker lacks, InvalidRequest for a past end.
    """
    if missing := sorted(set(scopes) - allowed):
        raise PermissionDenied(f"You lack {', '.join(missing)}.", code="missing_scope")
    if expires_at is not None and expires_at <= utc_now():
        raise InvalidRequest("The end must lie in the future.", code="invalid_expiry")
    new = generate_key()
    row = ApiKey(
        id=new_id(),
        user_id=user_id,
        name=name,
        prefix=new.prefix,
        key_hash=new.key_hash,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        created_at=utc_now(),
    )
    uow.api_keys.add(row)
    return row, new.key


def revoke_key(uow: UnitOfWork, user_id: UUID, key_id: UUID) -> None:
    """End a key at once; revoking twice is no error. Raises NotFound."""
    key = uow.api_keys.get(user_id, key_id)
    if key is None:
        raise NotFound("There is no such key.", code="api_key_not_found")
    key.revoked_at = key.revoked_at or utc_now()
