"""Joining spoken segments in order: silence trimmed, edges faded, pauses in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform

GUARD_MS = 40  # what stays of the silence around a segment: soft onsets and tails live there
FADE_MS = 5

_FRAME_S = 0.01
_ABSOLUTE_FLOOR = 10 ** (-60 / 20)
_RELATIVE_FLOOR = 10 ** (-45 / 20)  # below the loud parts of the segment
_LOUD_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class Span:
    """Where a segment lies in the joined audio, in seconds."""

    start_s: float
    end_s: float


def trim_silence(waveform: Waveform, guard_ms: int = GUARD_MS) -> Waveform:
    """``waveform`` (mono) without leading and trailing silence, up to a guard.

    Silent is what lies below -60 dBFS or 45 dB below the segment's loud parts (RMS of 10 ms).
    A silent waveform becomes empty.
    """
    frame = max(1, round(waveform.sample_rate * _FRAME_S))
    count = -(-waveform.frames // frame)
    padded = np.zeros(count * frame, np.float32)
    padded[: waveform.frames] = waveform.samples
    levels = np.sqrt(np.square(padded.reshape(count, frame)).mean(axis=1))
    if count == 0 or levels.max() < _ABSOLUTE_FLOOR:
        return Waveform(waveform.samples[:0], waveform.sample_rate)
    loud = float(np.percentile(levels, _LOUD_PERCENTILE))
    audible = np.flatnonzero(levels >= max(_ABSOLUTE_FLOOR, loud * _RELATIVE_FLOOR))
    guard = round(waveform.sample_rate * guard_ms / 1000)
    start = max(0, int(audible[0]) * frame - guard)
    end = min(waveform.frames, (int(audible[-1]) + 1) * frame + guard)
    return Waveform(waveform.samples[start:end], waveform.sample_rate)


def fade_edges(waveform: Waveform, fade_ms: int = FADE_MS) -> Waveform:
    """``waveform`` with a raised-cosine fade at both ends, so that joins do not click."""
    length = min(round(waveform.sample_rate * fade_ms / 1000), waveform.frames // 2)
    if length == 0:
        return waveform
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)
    samples = waveform.samples.copy()
    samples[..., :length] *= ramp
    samples[..., -length:] *= ramp[::-1]
    return Waveform(samples, waveform.sample_rate)


class SegmentJoiner:
    """Makes one stream of segments. The first one sets the sample rate; all become mono."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._sample_rate: int | None = None
        self._frames = 0

    def join(self, segment: Waveform, pause_after_ms: int) -> Waveform:
        """The stream's next samples: the trimmed and faded segment, then its pause.

        ValueError for a negative pause.
        """
        if pause_after_ms < 0:
            raise ValueError("pause_after_ms must not be negative")
        self._sample_rate = self._sample_rate or segment.sample_rate
        spoken = fade_edges(trim_silence(resample(segment.to_mono(), self._sample_rate)))
        pause = np.zeros(round(self._sample_rate * pause_after_ms / 1000), np.float32)
        start = self._frames
        self.spans.append(
            Span(start / self._sample_rate, (start + spoken.frames) / self._sample_rate)
        )
        self._frames += spoken.frames + len(pause)
        joined: Samples = np.concatenate([spoken.samples, pause])
        return Waveform(joined, self._sample_rate)


def join_segments(segments: Iterable[tuple[Waveform, int]]) -> Iterator[Waveform]:
    """Segments with their pauses in ms as one stream; holds one segment at a time.

    The last segment's pause is kept too: pass 0 for none.
    """
    joiner = SegmentJoiner()
    for segment, pause_after_ms in segments:
        yield joiner.join(segment, pause_after_ms)
