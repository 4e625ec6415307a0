"""The protocol that every recogniser implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mynah.audio.waveform import Waveform


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word as it was heard, in seconds from the first sample."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard."""

    text: str
    words: tuple[RecognizedWord, ...] = ()


class Recognizer(Protocol):
    """One recogniser with its weights loaded. Safe to call from several threads."""

    def supports(self, language: str) -> bool:
        """Whether it understands a language, given as a BCP-47 tag."""
        ...

    def transcribe(self, waveform: Waveform, language: str) -> Transcript:
        """What is said in a mono waveform of any rate, in a language that it supports."""
        ...
