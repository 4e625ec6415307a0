"""Password hashes: Argon2id with the library's current parameters."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """A salted hash to store."""
    return _hasher.hash(password)


def is_password(stored_hash: str | None, password: str) -> bool:
    """Whether the password fits; takes as long for an account that does not exist (None)."""
    try:
        fits = _hasher.verify(_hash_of_nobody() if stored_hash is None else stored_hash, password)
    except (VerificationError, InvalidHashError):
        return False
    return fits and stored_hash is not None


@cache
def _hash_of_nobody() -> str:
    """Checked for unknown accounts, so that they take as long to refuse as known ones.

    Made on first use: it takes longer than all else that the gateway does at its start.
    """
    return _hasher.hash("nobody has this password")
