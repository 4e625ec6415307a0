"""Segments into one stream of speech: order, trimming, even loudness, pauses.

The stream is causal: each block follows from the segments so far. So what a listener hears while
a story is being made and what the finished file holds is the same sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mynah.audio.channels import remix
from mynah.audio.joining import Span, audible_frames, fade_edges
from mynah.audio.levelling import SegmentLeveller, WeightedSpeech
from mynah.audio.loudness import SPEECH_LOUDNESS_LUFS
from mynah.audio.quality import SpeechMeasures, SpeechMeter
from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform


@dataclass(frozen=True, slots=True)
class _Prepared:
    speech: WeightedSpeech
    lead_trimmed_s: float


class SpeechAssembler:
    """Makes one stream of segments: give them in order, take the next block each time.

    ``sample_rate`` None = the first segment's. Each segment loses its own silence, is brought to
    ``loudness_lufs`` as the finished stream measures it, and fades in and out over 5 ms, so that
    joins do not click. ``spans`` says where the segments lie.
    """

    def __init__(
        self,
        loudness_lufs: float = SPEECH_LOUDNESS_LUFS,
        sample_rate: int | None = None,
        channels: int = 1,
    ) -> None:
        self.spans: list[Span] = []
        self.sample_rate = sample_rate
        self._channels = channels
        # All work is on one channel; two of it measure higher than one.
        self._spread_lu = 10 * math.log10(channels)
        self._leveller = SegmentLeveller(loudness_lufs)
        self._meter: SpeechMeter | None = None
        self._frames = 0

    def add(self, segment: Waveform, pause_after_ms: int) -> Waveform:
        """The stream's next samples: the segment and its pause. A silent segment leaves none.

        ValueError for a negative pause.
        """
        if pause_after_ms < 0:
            raise ValueError("pause_after_ms must not be negative")
        sample_rate = self.sample_rate = self.sample_rate or segment.sample_rate
        prepared = _prepare(segment, sample_rate)
        levelled = self._leveller.level(prepared.speech)
        spoken = fade_edges(levelled.waveform)
        pause = round(sample_rate * pause_after_ms / 1000)
        block = Waveform(np.pad(spoken.samples, (0, pause)), sample_rate)
        self._measure(block, levelled, pause)
        start, end = self._frames / sample_rate, (self._frames + spoken.frames) / sample_rate
        self.spans.append(Span(start, end, prepared.lead_trimmed_s))
        self._frames += block.frames
        return remix(block, self._channels)

    def measures(self) -> SpeechMeasures:
        """Of all that was made so far. RuntimeError when no segment was added yet."""
        if self._meter is None:
            raise RuntimeError("no segment was joined yet")
        measures = self._meter.measures()
        if measures.peak_dbfs is None:
            return measures
        return replace(measures, peak_dbfs=measures.peak_dbfs - self._spread_lu)

    def _measure(self, block: Waveform, levelled: WeightedSpeech, pause: int) -> None:
        if self._meter is None:
            self._meter = SpeechMeter(block.sample_rate)
        self._meter.add_weighted(block, np.pad(levelled.weighted, ((0, 0), (0, pause))))


def _prepare(segment: Waveform, sample_rate: int) -> _Prepared:
    """The segment on one channel, at the stream's rate, without its own silence."""
    mono = resample(segment.to_mono(), sample_rate)
    start, end = audible_frames(mono)
    speech = WeightedSpeech.of(Waveform(mono.samples[start:end], sample_rate))
    return _Prepared(speech, start / sample_rate)
