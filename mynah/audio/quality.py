"""How good a piece of finished speech looks from outside: a score of 0–1 for each job.

A plausibility check by signal measures, not a judgement of voice or pronunciation: it finds
speech that is clipped, too quiet, mostly silent, or far too long or short for its text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mynah.audio.loudness import LoudnessMeter, Weighted, sample_peak, to_db
from mynah.audio.waveform import Waveform

_FRAME_S = 0.02
_SILENCE_RMS = 10 ** (-50 / 20)
_FULL_SCALE = 0.999


@dataclass(frozen=True, slots=True)
class SpeechMeasures:
    """Of finished speech. Shares are 0–1 of the samples; None where there is only silence."""

    duration_s: float
    loudness_lufs: float | None
    peak_dbfs: float | None
    clipping_share: float
    silence_share: float


class SpeechMeter:
    """Measures mono speech block by block, in bounded memory."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._loudness = LoudnessMeter(sample_rate)
        self._frames = 0
        self._clipped = 0
        self._silent = 0
        self._peak = 0.0

    def add(self, block: Waveform) -> None:
        """Take the next samples."""
        self._loudness.add(block)
        self._add_levels(block)

    def add_weighted(self, block: Waveform, weighted: Weighted) -> None:
        """Take the next samples together with what ``KWeighting`` made of them."""
        self._loudness.add_weighted(weighted)
        self._add_levels(block)

    def measures(self) -> SpeechMeasures:
        """What was heard so far."""
        frames = max(self._frames, 1)
        return SpeechMeasures(
            duration_s=self._frames / self._sample_rate,
            loudness_lufs=self._loudness.loudness_lufs(),
            peak_dbfs=to_db(self._peak),
            clipping_share=self._clipped / frames,
            silence_share=self._silent / frames,
        )

    def _add_levels(self, block: Waveform) -> None:
        if block.frames == 0:
            return
        peak = sample_peak(block.samples)
        self._frames += block.frames
        self._peak = max(self._peak, peak)
        if peak >= _FULL_SCALE:
            self._clipped += int(np.count_nonzero(np.abs(block.samples) >= _FULL_SCALE))
        self._silent += self._count_silent(block)

    def _count_silent(self, block: Waveform) -> int:
        """Samples in silent frames; a block's odd rest counts with its last frame's length."""
        frame = round(self._sample_rate * _FRAME_S)
        whole = block.frames // frame * frame
        by_frame = block.samples[:whole].reshape(-1, frame)
        energies = np.einsum("nf,nf->n", by_frame, by_frame)
        silent = int(np.count_nonzero(energies < frame * _SILENCE_RMS**2)) * frame
        rest = block.samples[whole:]
        if len(rest) and float(np.dot(rest, rest)) < len(rest) * _SILENCE_RMS**2:
            silent += len(rest)
        return silent


def score_speech(
    measures: SpeechMeasures, text_characters: int, characters_per_second: float = 14.0
) -> float:
    """The score: the product of four factors of 0–1, so that one bad fault is enough.

    - clipping: 1 without, falling to 0 at 1 % of the samples;
    - level: 1 from -26 to -12 LUFS, falling to 0 over 14 dB on either side;
    - silence: 1 up to 40 % (pauses are part of speech), falling to 0 at 95 %;
    - pace: 1 while the text's length over the duration is within a factor of 1.6 of
      ``characters_per_second`` (the engine's, at its rate), falling to 0 at a factor of 5.
    """
    if measures.loudness_lufs is None or measures.duration_s <= 0:
        return 0.0
    too_quiet = -26.0 - measures.loudness_lufs
    too_loud = measures.loudness_lufs + 12.0
    pace = max(text_characters, 1) / measures.duration_s / characters_per_second
    factors = (
        _falling(measures.clipping_share, 0.0, 0.01),
        _falling(max(too_quiet, too_loud), 0.0, 14.0),
        _falling(measures.silence_share, 0.40, 0.95),
        _falling(abs(math.log(pace)), math.log(1.6), math.log(5.0)),
    )
    return round(math.prod(factors), 3)


def _falling(value: float, start: float, end: float) -> float:
    """1 up to ``start``, 0 from ``end`` on, linear between."""
    return min(1.0, max(0.0, (end - value) / (end - start)))
