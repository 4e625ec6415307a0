"""Tokens that open one WebSocket: an app gives them to a browser, which must not have its key.

What is kept of one is its hash. It is an account's, speaks and does nothing else, and is worth
nothing once the key is revoked that asked for it.
"""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

from mynah.errors import NotAuthenticated
from services.api.auth.caller import Caller
from services.api.auth.standing import Grant, ensure_stands
from services.api.bootstrap import Container

LIFETIME_S = 15 * 60
SCOPES = frozenset({"speech:write"})
_START = "sutkn_"
_SECRET_BYTES = 32


def issue_single_use_token(container: Container, caller: Caller) -> str:
    """A new token of a caller. Raises BrokerUnavailable."""
    token = _START + secrets.token_urlsafe(_SECRET_BYTES)
    document = {
        "user_id": str(caller.user_id),
        "key_id": None if caller.key_id is None else str(caller.key_id),
        "origin": caller.origin,
    }
    container.single_use_tokens.keep(_hash(token), document, LIFETIME_S)
    return token


def spend_single_use_token(container: Container, token: str) -> Caller:
    """Who may speak for a token; it is spent then, whoever showed it.

    Raises NotAuthenticated (used before, expired, never issued, its key or account has ended);
    BrokerUnavailable and DatabaseUnavailable, which do not spend it.
    """
    kept, name = container.single_use_tokens, _hash(token)
    found = kept.find(name)
    if found is None:
        raise _not_valid()
    key_id = None if found["key_id"] is None else UUID(found["key_id"])
    with container.new_uow() as uow:
        user = ensure_stands(uow.each_by_itself(), Grant(UUID(found["user_id"]), key_id))
    if kept.take(name) is None:  # somebody was quicker
        raise _not_valid()
    return Caller(
        *(user.id, user.role, SCOPES, found["origin"], key_id),
        monthly_character_quota=user.monthly_character_quota,
    )


def _not_valid() -> NotAuthenticated:
    message = "The single-use token is not valid, has expired or was used before."
    return NotAuthenticated(message, code="invalid_token")


def _hash(token: str) -> str:
    """SHA-256: a random 256-bit secret needs no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
