"""Sending a delivery once: of the answer only the first bytes are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mynah.webhooks.addresses import Resolver, Target
from mynah.webhooks.connection import SendFailed, open_connection, refusal

EXCERPT_BYTES = 1000


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of one attempt. ``error``: a code, None when the receiver took it (2xx)."""

    error: str | None
    status: int | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookClient:
    """Sends requests of webhooks. ``timeout_s``: for all of an attempt after the name is known."""

    timeout_s: float
    resolve: Resolver
    allow_private: bool = False

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """POST once. Never raises: every failure is a result."""
        try:
            with (
                open_connection(
                    target, self.resolve, self.timeout_s, allow_private=self.allow_private
                ) as connection,
                connection.post(body, headers) as response,
            ):
                read = response.read(EXCERPT_BYTES)
                connection.ensure_goes_on()
        except SendFailed as failure:
            return SendResult(failure.code)
        excerpt = read.decode("utf-8", "replace").replace("\x00", "")
        return SendResult(refusal(response.status), response.status, excerpt)
