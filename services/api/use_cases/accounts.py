"""Accounts: register, log in, stay logged in, change."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import structlog

from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import RefreshToken, User
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, NotAuthenticated, PermissionDenied
from mynah.settings import Settings
from services.api.auth.passwords import hash_password, is_password
from services.api.auth.tokens import issue_token, read_token

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login gives; ``expires_in`` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - the kind of token, not one


def create_user(uow: UnitOfWork, email: str, password: str, name: str, role: str = "user") -> User:
    """Make an account. Raises Conflict when the email is taken."""
    address = email.strip().lower()
    if uow.users.by_email(address) is not None:
        raise Conflict("There is an account with this email.", code="email_taken")
    user = User(
        id=new_id(), email=address, name=name, password_hash=hash_password(password), role=role
    )
    uow.users.add(user)
    return user


def register(uow: UnitOfWork, settings: Settings, email: str, password: str, name: str) -> User:
    """Make an account for a visitor. Raises PermissionDenied when that is closed, Conflict."""
    if not settings.registration_open:
        raise PermissionDenied("Registration is closed.", code="registration_closed")
    return create_user(uow, email, password, name)


def log_in(uow: UnitOfWork, settings: Settings, email: str, password: str) -> TokenPair:
    """Check a password and give tokens. One message for every refusal."""
    user = uow.users.by_email(email.strip())
    fits = is_password(user.password_hash if user else None, password)
    if user is None or not fits or not user.is_active:
        raise NotAuthenticated("Email or password is wrong.", code="wrong_credentials")
    return _give_tokens(uow, settings, user.id)


def refresh(uow: UnitOfWork, settings: Settings, refresh_token: str) -> TokenPair:
    """Spend a refresh token for new tokens.

    A token that was spent before was copied by somebody: whoever shows it, thief or owner, all
    tokens of its login are revoked, here and now. Raises NotAuthenticated.
    """
    token = read_token(settings, refresh_token, "refresh")
    # Locked: no token of the family is given out while the family is revoked, or the reverse.
    user = uow.users.lock(token.user_id)
    spent = uow.refresh_tokens.use(token.id, utc_now())
    if spent is None and uow.refresh_tokens.revoke_family_of(token.id, utc_now()):
        uow.commit()
        log.warning("refresh_token_reused", user_id=str(token.user_id))
    if spent is None or user is None or not user.is_active:
        raise NotAuthenticated("The refresh token is not valid.", code="invalid_token")
    return _give_tokens(uow, settings, user.id, spent.family_id)


def log_out(uow: UnitOfWork, user_id: UUID) -> None:
    """Revoke every refresh token; access tokens end by themselves."""
    uow.users.lock(user_id)
    uow.refresh_tokens.revoke_all(user_id, utc_now())


def change_password(uow: UnitOfWork, user_id: UUID, old: str, new: str) -> None:
    """Set a new password and end all logins. Raises NotAuthenticated for a wrong old one."""
    user = uow.users.get(user_id)
    if user is None or not is_password(user.password_hash, old):
        raise NotAuthenticated("The old password is wrong.", code="wrong_credentials")
    user.password_hash = hash_password(new)
    log_out(uow, user_id)


def _give_tokens(
    uow: UnitOfWork, settings: Settings, user_id: UUID, family_id: UUID | None = None
) -> TokenPair:
    """Tokens of a login that goes on (``family_id``) or begins (None)."""
    access, _ = issue_token(settings, user_id, "access")
    refresh_token, issued = issue_token(settings, user_id, "refresh")
    uow.refresh_tokens.add(
        RefreshToken(
            id=issued.id,
            user_id=user_id,
            family_id=family_id or issued.id,
            expires_at=issued.expires_at,
        )
    )
    return TokenPair(access, refresh_token, settings.access_token_ttl_s)
