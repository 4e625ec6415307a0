"""A recogniser that hears what the test has written down before, and notes how much it got."""

from __future__ import annotations

import time
from pathlib import Path

from mynah.audio.waveform import Waveform
from mynah.recognition.base import Transcript
from mynah.recognition.registry import RecognizerInfo

WORDS, NOTES = "known-words.txt", "heard"
TOO_SLOW = "too slow"

INFO = RecognizerInfo(
    id="known",
    requires="numpy",
    weights=WORDS,
    factory="tests.integration.live_speech.known_words:KnownWords",
)


class KnownWords:
    """Knows English, and one sentence of it at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def supports(self, language: str) -> bool:
        return language.startswith("en")

    def transcribe(self, waveform: Waveform, language: str) -> Transcript:
        with (self._folder / NOTES).open("a") as notes:
            notes.write(f"{waveform.duration_s}\n")
        words = (self._folder / WORDS).read_text()
        if words == TOO_SLOW:
            time.sleep(3.5)  # longer than a gateway of these tests waits
        return Transcript(words)
