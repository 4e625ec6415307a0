"""Bringing the segments of one speech to one loudness, each by itself and in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mynah.audio.loudness import (
    MAX_GAIN_DB,
    SPEECH_LOUDNESS_LUFS,
    KWeighting,
    LoudnessMeter,
    Weighted,
    limit_peaks,
    to_linear,
)
from mynah.audio.waveform import Waveform

# A lossy encoder adds up to 1 dB (measured on speech: Opus 0.3, MP3 0.4, AAC 0.1 to 1.4), and
# the decoded file is to stay at -1 dBTP.
SPEECH_CEILING_DBTP = -2.0

_SHORT_S = 1.0
_PAUSE_S = 0.3  # as among others in a story
# The largest distances from the target; together less than 1 LU, also between two neighbours.
_MAX_LIFT_LU = 0.4
_MAX_EXPRESSION_LU = 0.3
_ACCEPTED_LOSS_LU = 0.1
_LIMITER_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class WeightedSpeech:
    """Mono speech and the same K-weighted, so that the filter runs once for all uses."""

    waveform: Waveform
    weighted: Weighted

    @staticmethod
    def of(waveform: Waveform) -> WeightedSpeech:
        """Weigh ``waveform`` (mono)."""
        weighting = KWeighting(waveform.sample_rate)
        return WeightedSpeech(waveform, weighting.process(waveform.samples))

    def loudness_lufs(self, silence_s: float = 0.0) -> float | None:
        """Integrated loudness, with so much silence before and after; None for silence."""
        meter = LoudnessMeter(self.waveform.sample_rate)
        silence = np.zeros((1, round(silence_s * self.waveform.sample_rate)))
        for part in (silence, self.weighted, silence):
            meter.add_weighted(part)
        return meter.loudness_lufs()

    def amplified(self, gain_db: float) -> WeightedSpeech:
        """This times a constant, with its peaks limited."""
        factor = to_linear(gain_db)
        rate = self.waveform.sample_rate
        louder = Waveform(self.waveform.samples * np.float32(factor), rate)
        limited = limit_peaks(louder, SPEECH_CEILING_DBTP)
        if limited is not louder:
            return WeightedSpeech.of(limited)
        return WeightedSpeech(louder, self.weighted * factor)


class SegmentLeveller:
    """Brings segments to the target loudness, one after the other.

    A segment of a second or more gets the gain that its own loudness asks for. The loudness of
    a shorter one says little ("No!" is one loud vowel), and it may be meant to be louder or
    softer: it gets the gain of the speech before it, as far as it then measures within 0.3 LU
    of its aim.

    The aim lies up to 0.4 LU above the target: a meter on the whole story averages a segment's
    edges with the pauses beside them, so a story of short segments at the target would measure
    0.5 to 1 LU below it (0.1 of segments of eight seconds). Half of that is made up for.
    """

    def __init__(self, target_lufs: float = SPEECH_LOUDNESS_LUFS) -> None:
        self._target_lufs = target_lufs
        self._gain_before_db: float | None = None

    def level(self, segment: WeightedSpeech) -> WeightedSpeech:
        """The segment with its gain, peaks below -2 dBTP; silence as it is."""
        own_lufs = segment.loudness_lufs()
        if own_lufs is None:
            return segment
        wished_lufs = self._wished_lufs(segment, own_lufs)
        gain_db = min(wished_lufs - own_lufs, MAX_GAIN_DB)
        if segment.waveform.duration_s >= _SHORT_S:
            self._gain_before_db = gain_db
        return _reach(segment, wished_lufs, gain_db)

    def _wished_lufs(self, segment: WeightedSpeech, own_lufs: float) -> float:
        among_pauses_lufs = segment.loudness_lufs(_PAUSE_S)
        lost = 0.0 if among_pauses_lufs is None else own_lufs - among_pauses_lufs
        aim_lufs = self._target_lufs + min(max(lost / 2, 0.0), _MAX_LIFT_LU)
        if segment.waveform.duration_s >= _SHORT_S or self._gain_before_db is None:
            return aim_lufs
        as_before = own_lufs + self._gain_before_db - aim_lufs
        return aim_lufs + max(-_MAX_EXPRESSION_LU, min(_MAX_EXPRESSION_LU, as_before))


def _reach(segment: WeightedSpeech, wished_lufs: float, gain_db: float) -> WeightedSpeech:
    """The segment at ``gain_db``, and higher where the limiter took some of the loudness."""
    levelled = segment.amplified(gain_db)
    for _ in range(_LIMITER_ROUNDS):
        reached = levelled.loudness_lufs()
        missing = 0.0 if reached is None else wished_lufs - reached
        if missing < _ACCEPTED_LOSS_LU or gain_db >= MAX_GAIN_DB:
            break
        gain_db = min(gain_db + missing, MAX_GAIN_DB)
        levelled = segment.amplified(gain_db)
    return levelled
