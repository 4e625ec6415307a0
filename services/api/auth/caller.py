"""The caller of a request: found from its credentials, checked for a scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar, cast
from uuid import UUID

import structlog
from flask import g, request

from mynah.contracts.object_keys import Origin
from mynah.db.clock import utc_now
from mynah.db.models import User
from mynah.errors import MynahError, NotAuthenticated, PermissionDenied
from services.api.auth.api_keys import KEY_START, hash_key
from services.api.auth.scopes import scopes_of_role
from services.api.auth.standing import Grant, ensure_key_stands
from services.api.auth.tokens import read_token
from services.api.bootstrap import Container, current_container
from services.api.compat.vendors import vendor_credential

LAST_USED_PRECISION = timedelta(minutes=1)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Caller:
    """An account in this request; ``key_id`` when it came with an API key.

    ``ends_at``: of the access token that it came with.
    """

    user_id: UUID
    role: str
    scopes: frozenset[str]
    origin: Origin
    key_id: UUID | None = None
    monthly_character_quota: int | None = None  # None = the platform's
    ends_at: datetime | None = None

    @property
    def grant(self) -> Grant:
        """On what they were let in."""
        return Grant(self.user_id, self.key_id, self.ends_at)


def requires(scope: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a resource's method run for callers with ``scope`` only."""

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @wraps(method)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if scope not in current_caller().scopes:
                raise PermissionDenied(f"This needs the scope {scope}.", code="missing_scope")
            return method(*args, **kwargs)

        return checked

    return decorate


def current_caller() -> Caller:
    """The caller, looked up once per request, found or not. Raises NotAuthenticated."""
    if "caller" not in g:
        g.caller = _find_caller()
    if isinstance(g.caller, MynahError):
        raise g.caller
    return cast(Caller, g.caller)


def _find_caller() -> Caller | MynahError:
    try:
        caller = _authenticate(current_container())
    except MynahError as error:
        return error
    structlog.contextvars.bind_contextvars(user_id=str(caller.user_id))
    return caller


def _authenticate(container: Container) -> Caller:
    key = request.headers.get("X-API-Key", "")
    credential = key or vendor_credential() or _bearer()
    if not credential:
        raise NotAuthenticated("Send an access token or an API key.")
    return _caller_of_key(container, key) if key else caller_of(container, credential)


def caller_of(container: Container, credential: str) -> Caller:
    """The caller who shows an access token or an API key. Raises NotAuthenticated."""
    if credential.startswith(KEY_START):
        return _caller_of_key(container, credential)
    return _caller_of_token(container, credential)


def _bearer() -> str:
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _caller_of_token(container: Container, encoded: str) -> Caller:
    token = read_token(container.settings, encoded, "access")
    with container.new_uow() as uow:
        user = uow.each_by_itself().users.get(token.user_id)
    if user is None or not user.is_active:
        raise NotAuthenticated("The account is not active.", code="account_inactive")
    scopes = scopes_of_role(user.role)
    quota = user.monthly_character_quota
    return Caller(
        *(user.id, user.role, scopes, "user"),
        monthly_character_quota=quota,
        ends_at=token.expires_at,
    )


def _caller_of_key(container: Container, key: str) -> Caller:
    now = utc_now()
    with container.new_uow() as uow:
        found = uow.each_by_itself().api_keys.with_user(hash_key(key))
        if found is None:
            raise NotAuthenticated("The API key is not valid.", code="invalid_api_key")
        api_key, user = found
        ensure_key_stands(api_key, user)
        if api_key.last_used_at is None or now - api_key.last_used_at > LAST_USED_PRECISION:
            api_key.last_used_at = now
            uow.commit()
        return _caller_with_key(user, api_key.id, api_key.scopes)


def _caller_with_key(user: User, key_id: UUID, scopes: list[str]) -> Caller:
    allowed = scopes_of_role(user.role) & frozenset(scopes)
    return Caller(user.id, user.role, allowed, "app", key_id, user.monthly_character_quota)
