"""How long the silence after a piece is."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from mynah.contracts.speech import Pacing
from mynah.text.boundaries import Boundary

MAX_PAUSE_MS: Final = 60_000  # of one that the text asks for

# In milliseconds, before the job's scale.
PAUSES_MS: Final = MappingProxyType(
    {
        Pacing.NORMAL: MappingProxyType(
            {
                Boundary.WORD: 0,
                Boundary.CLAUSE: 150,
                Boundary.SENTENCE: 350,
                Boundary.PARAGRAPH: 700,
                Boundary.HEADING: 1200,
            }
        ),
        Pacing.BEDTIME: MappingProxyType(
            {
                Boundary.WORD: 0,
                Boundary.CLAUSE: 280,
                Boundary.SENTENCE: 650,
                Boundary.PARAGRAPH: 1400,
                Boundary.HEADING: 2400,
            }
        ),
    }
)


def pause_ms(boundary: Boundary, pacing: Pacing, scale: float) -> int:
    """The pause after a piece that ends with ``boundary``; ``scale`` 0–5."""
    return round(PAUSES_MS[pacing][boundary] * scale)
