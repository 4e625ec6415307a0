"""Ids: UUIDv7, so that they sort by time."""

from __future__ import annotations

from uuid import UUID

import uuid6


def new_id() -> UUID:
    """A new UUIDv7."""
    return UUID(int=uuid6.uuid7().int)
