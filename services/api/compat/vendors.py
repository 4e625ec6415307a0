"""Whose API a request speaks; its path tells, and for what both have, its credentials."""

from __future__ import annotations

from enum import StrEnum

from flask import request


class Vendor(StrEnum):
    """Whose shapes are served beside our own."""

    OPENAI = "openai"
    ELEVENLABS = "elevenlabs"


_ELEVENLABS_KEY = "xi-api-key"
# Where a vendor's clients put their key, if not in Authorization; OpenAI's for Azure do.
_KEY_HEADERS = {Vendor.OPENAI: "api-key", Vendor.ELEVENLABS: _ELEVENLABS_KEY}
_ELEVENLABS_PATHS = (
    "/v1/history",
    "/v1/pronunciation-dictionaries",
    "/v1/single-use-token",
    "/v1/text-to-dialogue",
    "/v1/text-to-speech",
    "/v1/usage",
    "/v1/user",
    "/v1/voices",
    "/v2/",
)
_OPENAI_PATHS = ("/v1/audio/", "/openai/")


def current_vendor() -> Vendor | None:
    """The vendor whose API this request speaks; None for our own.

    Both have ``/v1/models``: who shows ElevenLabs' header gets ElevenLabs' shape there, and
    ElevenLabs' errors for paths that neither has.
    """
    path = request.path
    if path.startswith(_ELEVENLABS_PATHS):
        return Vendor.ELEVENLABS
    if path.startswith(_OPENAI_PATHS):
        return Vendor.OPENAI
    if path.startswith("/v1/"):
        return Vendor.ELEVENLABS if _ELEVENLABS_KEY in request.headers else Vendor.OPENAI
    return None


def without_scheme(authorization: str) -> str:
    """The credential of an Authorization header's value, with or without its scheme."""
    return authorization.rpartition(" ")[2]


def vendor_credential() -> str:
    """The key in the vendor's own header, on the vendor's paths; else empty."""
    vendor = current_vendor()
    return "" if vendor is None else request.headers.get(_KEY_HEADERS[vendor], "").strip()
