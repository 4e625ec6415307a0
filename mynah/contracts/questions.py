"""What a question is on its way: from a listener's gateway to a recogniser, and to a responder."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

QUESTION_RATE = 16_000  # Hz, of the 16-bit mono PCM in which a question is carried


class RecognizedQuestion(BaseModel):
    """What a recogniser made of a question: its text, or why there is none."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    error_code: str | None = None
    error_message: str = ""
