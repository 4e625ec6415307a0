"""The signature of a delivery, and the secret that makes it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from uuid import UUID

from pydantic import SecretStr

from mynah.contracts.webhooks import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from mynah.db.sealing import seal, unseal

SECRET_START = "whsec_"  # noqa: S105 - how every secret begins
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret of 256 random bits, as its owner sees it once."""
    return SECRET_START + secrets.token_urlsafe(SECRET_BYTES)


def seal_secret(jwt_secret: SecretStr, webhook_id: UUID, secret: str) -> bytes:
    """A webhook's secret as its row keeps it."""
    return seal(jwt_secret, f"webhook {webhook_id}", secret.encode())


def unseal_secret(jwt_secret: SecretStr, webhook_id: UUID, sealed: bytes) -> str:
    """A webhook's secret out of its row. Raises SealBroken."""
    return unseal(jwt_secret, f"webhook {webhook_id}", sealed).decode()


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """``t=<unix>,v1=<hex HMAC-SHA256 of "t.body">``: the time is signed with the body."""
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def signed_headers(secret: str, event: str, message_id: UUID, body: bytes) -> dict[str, str]:
    """What stands above a JSON ``body`` that is sent now. ``message_id``: as the log names it."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Mynah-Webhooks/1",
        EVENT_HEADER: event,
        DELIVERY_HEADER: str(message_id),
        SIGNATURE_HEADER: sign(secret, body, int(time.time())),
    }
