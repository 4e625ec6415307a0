"""Whether somebody who was let in may stay: looked up again while they listen or talk."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from mynah.db.clock import utc_now
from mynah.db.models import ApiKey, User
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import NotAuthenticated, Unavailable

log = structlog.get_logger(__name__)

#: Before each utterance; several that follow each other at once cost one look.
UTTERANCE_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Grant:
    """On what somebody was let in: their account, its key if they showed one, and an end.

    ``ends_at``: of an access token; None: as long as account and key are valid.
    """

    user_id: UUID
    key_id: UUID | None = None
    ends_at: datetime | None = None


def ensure_key_stands(key: ApiKey, user: User) -> None:
    """Raises NotAuthenticated when a key was revoked or has ended, or its account was disabled."""
    is_over = key.expires_at is not None and key.expires_at <= utc_now()
    if key.revoked_at is not None or is_over or not user.is_active:
        raise NotAuthenticated("The API key is not valid any more.", code="invalid_api_key")


def ensure_stands(uow: UnitOfWork, grant: Grant) -> User:
    """The account of a grant. Raises NotAuthenticated when the grant is worth nothing any more."""
    if grant.ends_at is not None and grant.ends_at <= utc_now():
        raise NotAuthenticated("The token has expired.", code="token_expired")
    user = uow.users.get(grant.user_id)
    if user is None or not user.is_active:
        raise NotAuthenticated("The account is not active.", code="account_inactive")
    if grant.key_id is not None:
        key = uow.api_keys.get(grant.user_id, grant.key_id)
        if key is None:
            raise NotAuthenticated("The API key is not valid any more.", code="invalid_api_key")
        ensure_key_stands(key, user)
    return user


class Standing:
    """One listener's or talker's grant, looked at again as often as asked. Threads may share it."""

    def __init__(self, new_uow: UnitOfWorkFactory, grant: Grant) -> None:
        self._new_uow = new_uow
        self._grant = grant
        self._looked_at = time.monotonic()  # they were let in just now
        self._is_looking = False
        # Why not, and its code: an error of its own would hold all that its callers hold.
        self._refusal: tuple[str, str] | None = None

    @property
    def user_id(self) -> UUID:
        """Whose it is."""
        return self._grant.user_id

    def renew(self, grant: Grant) -> None:
        """The same account was let in on another grant just now."""
        self._grant = grant
        self._looked_at = time.monotonic()

    def ensure(self, within_s: float) -> None:
        """Look, unless that was done within so many seconds.

        Raises NotAuthenticated, from then on always. While the database is away all stay.
        """
        if self._is_due(within_s):
            self._look()
        self._ensure_not_refused()

    def ensure_beside(self, within_s: float) -> None:
        """The same, without waiting: what a thread beside finds is raised by one of the next calls.

        A database that hangs must not hold up what is being heard.
        """
        if not self._is_looking and self._is_due(within_s):
            self._is_looking = True
            threading.Thread(target=self._look, name="standing", daemon=True).start()
        self._ensure_not_refused()

    def _is_due(self, within_s: float) -> bool:
        """Whether it is time to look, which is noted."""
        now = time.monotonic()
        if self._refusal is not None or now - self._looked_at < within_s:
            return False
        self._looked_at = now
        return True

    def _ensure_not_refused(self) -> None:
        if self._refusal is not None:
            message, code = self._refusal
            raise NotAuthenticated(message, code=code)

    def _look(self) -> None:
        grant = self._grant
        try:
            with self._new_uow() as uow:
                ensure_stands(uow.each_by_itself(), grant)
        except NotAuthenticated as refusal:
            if grant is self._grant:  # else another one counts since
                self._refusal = (refusal.message, refusal.code)
        except Unavailable as error:
            log.warning("credentials_not_looked_up", error_code=error.code)
        finally:
            self._is_looking = False
