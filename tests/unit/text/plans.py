"""Plans as tests make them."""

from __future__ import annotations

from typing import Any

from mynah.contracts.speech import Markup
from mynah.text.planning import PlannedPiece, PlanOptions, VoiceContext, plan_speech


def plan(
    source: str, markup: str = "plain", *, language: str = "en-us", limit: int = 600, **options: Any
) -> list[PlannedPiece]:
    context = VoiceContext(language, limit)
    return plan_speech(
        source,
        PlanOptions(voice_context=lambda _: context, markup=Markup(markup), **options),
    )


def texts(pieces: list[PlannedPiece]) -> list[str]:
    return [piece.text for piece in pieces]
