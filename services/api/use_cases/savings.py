"""How much smaller an output is than what it is compared with."""

from __future__ import annotations


def saved_share(saved_bytes: float | None, size_bytes: float | None) -> float | None:
    """How much smaller something is than what it is compared with: 1 − size / (size + saved)."""
    if saved_bytes is None or not size_bytes:
        return None
    return round(saved_bytes / (saved_bytes + size_bytes), 4)


def saved_share_pcm(pcm_bytes: int | None, size_bytes: int | None) -> float | None:
    """How much smaller an output is than the engine's own PCM; 0 when it is not smaller."""
    if not pcm_bytes or size_bytes is None:
        return None
    return round(max(0.0, 1 - size_bytes / pcm_bytes), 4)
