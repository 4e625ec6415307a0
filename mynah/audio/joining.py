"""The edges of spoken segments: silence trimmed, ends faded, and where they lie when joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mynah.audio.waveform import Waveform

GUARD_MS = 40  # what stays of the silence around a segment: soft onsets and tails live there
FADE_MS = 5

_FRAME_S = 0.01
_SILENCE = 10 ** (-60 / 20)  # a segment that is nowhere louder holds no speech
_LOWEST_FLOOR = 10 ** (-75 / 20)  # softer than any sound of speech beside its vowels
_RELATIVE_FLOOR = 10 ** (-45 / 20)  # below the loud parts of the segment
_LOUD_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class Span:
    """Where a segment lies in the joined audio, in seconds.

    ``lead_trimmed_s``: how much of its own start was cut off. A moment of the segment lies in
    the joined audio at ``start_s + moment - lead_trimmed_s``.
    """

    start_s: float
    end_s: float
    lead_trimmed_s: float


def trim_silence(waveform: Waveform, guard_ms: int = GUARD_MS) -> Waveform:
    """``waveform`` (mono) without leading and trailing silence, up to a guard.

    Silent is what lies 45 dB below the segment's loud parts (RMS of 10 ms): a soft "f" or "th"
    lies 35 dB below a vowel at most. A waveform that is nowhere above -60 dBFS becomes empty.
    """
    start, end = audible_frames(waveform, guard_ms)
    return Waveform(waveform.samples[start:end], waveform.sample_rate)


def audible_frames(waveform: Waveform, guard_ms: int = GUARD_MS) -> tuple[int, int]:
    """The first frame of ``trim_silence`` and the one after its last; equal for silence."""
    frame = max(1, round(waveform.sample_rate * _FRAME_S))
    count = -(-waveform.frames // frame)
    padded = np.zeros(count * frame, np.float32)
    padded[: waveform.frames] = waveform.samples
    by_frame = padded.reshape(count, frame)
    levels = np.sqrt(np.einsum("nf,nf->n", by_frame, by_frame) / frame)
    if count == 0 or levels.max() < _SILENCE:
        return 0, 0
    loud = float(np.percentile(levels, _LOUD_PERCENTILE))
    audible = np.flatnonzero(levels >= max(_LOWEST_FLOOR, loud * _RELATIVE_FLOOR))
    guard = round(waveform.sample_rate * guard_ms / 1000)
    start = max(0, int(audible[0]) * frame - guard)
    return start, min(waveform.frames, (int(audible[-1]) + 1) * frame + guard)


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
