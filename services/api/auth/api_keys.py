"""API keys: ``mynah_<prefix>_<secret>``, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

KEY_START = "mynah_"
PREFIX_BYTES = 4
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as its owner sees it once, and what is stored of it."""

    key: str
    prefix: str
    key_hash: str


def generate_key() -> NewKey:
    """A new key with 256 random bits."""
    prefix = f"{KEY_START}{secrets.token_hex(PREFIX_BYTES)}"
    key = f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return NewKey(key, prefix, hash_key(key))


def hash_key(key: str) -> str:
    """SHA-256 in hex: a random 256-bit secret needs no slow hash."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
