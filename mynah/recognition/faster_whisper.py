"""Whisper by faster-whisper: CTranslate2 on the CPU or a GPU, no torch.

A. Radford et al., "Robust speech recognition via large-scale weak supervision" (2022). The
folder holds a converted model: ``model.bin``, ``tokenizer.json`` and what lies beside them.
"""

from __future__ import annotations

import math
from pathlib import Path

from faster_whisper import WhisperModel

from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from mynah.recognition.base import RecognizedWord, Transcript

_RATE = 16_000  # Hz, what Whisper hears
# Whisper's names for languages, where they are not the tag's first part.
_NAMES = {"cmn": "zh", "nb": "no", "jv": "jw", "fil": "tl", "iw": "he", "in": "id"}


class FasterWhisperRecognizer:
    """A Whisper model from a folder. Nothing is fetched."""

    def __init__(self, folder: Path) -> None:
        self._model = WhisperModel(str(folder), device="auto", local_files_only=True)
        self._languages = frozenset(self._model.supported_languages)

    def supports(self, language: str) -> bool:
        """Whether the model knows a language; English models know only that."""
        return _name(language) in self._languages

    def transcribe(self, waveform: Waveform, language: str) -> Transcript:
        """What is said, greedily decoded, without a language model's own guesses across pauses."""
        heard = resample(waveform.to_mono(), _RATE).samples
        segments, _ = self._model.transcribe(
            heard,
            language=_name(language),
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        found = list(segments)
        words = tuple(
            RecognizedWord(word.word.strip(), float(word.start), float(word.end))
            for segment in found
            for word in segment.words or ()
            if math.isfinite(word.end)
        )
        return Transcript(" ".join(segment.text.strip() for segment in found).strip(), words)


def _name(language: str) -> str:
    primary = language.lower().replace("_", "-").partition("-")[0]
    return _NAMES.get(primary, primary)
