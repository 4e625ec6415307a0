"""Secrets that must be read again, as they lie in rows: sealed with a key out of the JWT secret.

A password or an API key is only ever compared, so a hash of it is stored. What is sent again
later (a stored answer, a webhook's secret) has to be there in full; sealed, a copy of the
database alone gives none of it away. The key comes from the JWT secret because every deployment
has that one already, outside the database. After a change of it nothing opens any more.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from Crypto.Cipher import AES
from pydantic import SecretStr

NONCE_BYTES = 12
TAG_BYTES = 16


class SealBroken(Exception):
    """The bytes were not sealed with this secret for this purpose."""


def seal(secret: SecretStr, purpose: str, plain: bytes) -> bytes:
    """Encrypt ``plain`` (AES-256-GCM): nonce, tag, ciphertext.

    ``purpose`` names the row: each has a key of its own, so that a sealed value is of no use in
    another place.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = AES.new(_key(secret, purpose), AES.MODE_GCM, nonce=nonce)
    ciphertext, tag = cipher.encrypt_and_digest(plain)
    return nonce + tag + ciphertext


def unseal(secret: SecretStr, purpose: str, sealed: bytes) -> bytes:
    """What was sealed. Raises SealBroken."""
    nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        cipher = AES.new(_key(secret, purpose), AES.MODE_GCM, nonce=nonce)
        return cipher.decrypt_and_verify(rest[TAG_BYTES:], rest[:TAG_BYTES])
    except ValueError:
        raise SealBroken(purpose) from None


def _key(secret: SecretStr, purpose: str) -> bytes:
    """A key by purpose: HMAC-SHA256, as HKDF expands (RFC 5869); the secret is random itself."""
    message = f"mynah sealing 1: {purpose}".encode()
    return hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).digest()
