"""JSON Web Tokens: short access tokens, refresh tokens that are used once, links to streams."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import jwt

from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.errors import NotAuthenticated
from mynah.settings import Settings

ALGORITHM = "HS256"
ISSUER = "mynah"
TokenType = Literal["access", "refresh", "stream"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token's id, its account and its end."""

    id: UUID
    user_id: UUID
    expires_at: datetime


def issue_token(
    settings: Settings, user_id: UUID, kind: TokenType, lifetime_s: int | None = None
) -> tuple[str, Token]:
    """Sign a new token; returns it with what it says. It lives as its kind does by default."""
    if lifetime_s is None:
        lifetime_s = (
            settings.refresh_token_ttl_s if kind == "refresh" else settings.access_token_ttl_s
        )
    now = utc_now()
    token = Token(new_id(), user_id, now + timedelta(seconds=lifetime_s))
    claims = {
        "iss": ISSUER,
        "aud": kind,
        "sub": str(user_id),
        "jti": str(token.id),
        "iat": now,
        "exp": token.expires_at,
    }
    return jwt.encode(claims, _secret(settings), ALGORITHM), token


def read_token(settings: Settings, encoded: str, kind: TokenType) -> Token:
    """Check a token's signature, kind and end. Raises NotAuthenticated."""
    try:
        claims = jwt.decode(
            encoded,
            _secret(settings),
            algorithms=[ALGORITHM],
            audience=kind,
            issuer=ISSUER,
            options={"require": ["exp", "sub", "jti"]},
        )
        expires_at = datetime.fromtimestamp(claims["exp"], tz=utc_now().tzinfo)
        return Token(UUID(claims["jti"]), UUID(claims["sub"]), expires_at)
    except jwt.ExpiredSignatureError:
        raise NotAuthenticated("The token has expired.", code="token_expired") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
        raise NotAuthenticated("The token is not valid.", code="invalid_token") from None


def _secret(settings: Settings) -> str:
    return settings.jwt_secret.get_secret_value()
