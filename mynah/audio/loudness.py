"""Loudness and peaks: measuring a stream, bringing segments to one level without clipping.

The meter follows ITU-R BS.1770-4 (K-weighting, 400 ms blocks overlapping by 75 %, gates at
-70 LUFS and 10 LU below the mean). It is our own because it takes a stream in bounded memory,
where the library at hand wants the whole recording at once; the tests hold it to that library.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter1d
from scipy.signal import firwin, lfilter, oaconvolve, resample_poly

from mynah.audio.waveform import Samples, Waveform

Weighted = npt.NDArray[np.float64]

SPEECH_LOUDNESS_LUFS = -18.0  # mono speech, as podcasts and audio books have it
TRUE_PEAK_CEILING_DBTP = -1.0  # room for what a lossy encoder adds

_HOP_S = 0.1
_HOPS_PER_BLOCK = 4
_HOPS_PER_SHORT_TERM = 30
_RANGE_GATE_LU = -20.0
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_LUFS = -0.691  # BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01
_OVERSAMPLING = 4
_PHASE_REACH = 10  # samples on either side
MAX_GAIN_DB = 30.0  # more would only lift noise
_LIMITER_REACH_S = 0.005
_NEAR_CEILING = 10 ** (-4 / 20)
_BETWEEN_SAMPLES = 10 ** (-3 / 20)
_PEAK_BLOCK_FRAMES = 1024
_PEAK_CONTEXT_FRAMES = 64  # for the interpolation filter at a block's borders


class KWeighting:
    """The K-weighting filter over a stream of blocks of one layout."""

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        self._numerator, self._denominator = _k_weighting(sample_rate)
        self._state = np.zeros((channels, len(self._denominator) - 1))

    def process(self, samples: Samples) -> Weighted:
        """The next samples weighted, shape ``(channels, frames)``."""
        if samples.shape[-1] == 0:
            return np.zeros((len(self._state), 0))
        weighted, self._state = lfilter(
            self._numerator,
            self._denominator,
            np.atleast_2d(samples).astype(np.float64),
            axis=-1,
            zi=self._state,
        )
        return np.asarray(weighted, np.float64)


class LoudnessMeter:
    """Integrated loudness of a stream of blocks of one layout."""

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        self._weighting = KWeighting(sample_rate, channels)
        self._hop_frames = max(1, round(sample_rate * _HOP_S))
        self._hop_powers: list[npt.NDArray[np.float64]] = []
        self._pending = np.zeros((channels, 0))

    def add(self, block: Waveform) -> None:
        """Take the next samples of the stream."""
        if block.frames:
            self.add_weighted(self._weighting.process(block.samples))

    def add_weighted(self, weighted: Weighted) -> None:
        """Take the next samples as ``KWeighting`` gave them, for callers that have them."""
        pending = np.concatenate([self._pending, weighted], axis=-1)
        hops = pending.shape[-1] // self._hop_frames
        whole = pending[:, : hops * self._hop_frames]
        self._pending = pending[:, hops * self._hop_frames :].copy()
        # The power of a hop is the sum over channels of their mean squares.
        by_hop = whole.reshape(len(whole), hops, self._hop_frames)
        self._hop_powers.append(np.einsum("chf,chf->h", by_hop, by_hop) / self._hop_frames)

    def loudness_lufs(self) -> float | None:
        """The loudness so far; None when everything lies below the absolute gate.

        Audio shorter than one block of 400 ms counts as one block.
        """
        hops = np.concatenate([np.zeros(0), *self._hop_powers])
        if len(hops) >= _HOPS_PER_BLOCK:
            window = np.full(_HOPS_PER_BLOCK, 1 / _HOPS_PER_BLOCK)
            return _gated_loudness(np.convolve(hops, window, mode="valid"))
        rest = self._pending.shape[-1]
        frames = len(hops) * self._hop_frames + rest
        if frames == 0:
            return None
        energy = hops.sum() * self._hop_frames + float(np.square(self._pending).sum())
        return _gated_loudness(np.array([energy / frames]))

    def loudness_range_lu(self) -> float | None:
        """How far loud and soft passages lie apart, in LU; None for less than 3 s of sound.

        EBU Tech 3342: the distance of the 10th from the 95th percentile of the loudness in
        windows of 3 s, those below -70 LUFS or 20 LU below the mean left out.
        """
        hops = np.concatenate([np.zeros(0), *self._hop_powers])
        if len(hops) < _HOPS_PER_SHORT_TERM:
            return None
        sums = np.concatenate([[0.0], np.cumsum(hops)])
        powers = (sums[_HOPS_PER_SHORT_TERM:] - sums[:-_HOPS_PER_SHORT_TERM]) / _HOPS_PER_SHORT_TERM
        heard = powers[powers > 10 ** ((_ABSOLUTE_GATE_LUFS - _OFFSET_LUFS) / 10)]
        if len(heard) == 0:
            return None
        heard = heard[heard > heard.mean() * 10 ** (_RANGE_GATE_LU / 10)]
        low, high = np.percentile(heard, [10, 95])
        return 10.0 * math.log10(high / low)


def measure_loudness(waveform: Waveform) -> float | None:
    """Integrated loudness in LUFS; None for silence and for no audio."""
    meter = LoudnessMeter(waveform.sample_rate, waveform.channels)
    meter.add(waveform)
    return meter.loudness_lufs()


def true_peak(samples: Samples) -> float:
    """The largest magnitude of the signal between its samples too, linear (BS.1770 annex 2)."""
    highest = float(np.abs(samples).max(initial=0.0))
    return float(_magnitude_near_peaks(samples, highest).max(initial=0.0))


class TruePeakMeter:
    """The true peak of a stream, linear, at little more than the cost of its sample peak.

    Speech rises a dB or so between its samples: only around samples that come within 3 dB of
    the highest peak so far is the signal interpolated.
    """

    def __init__(self) -> None:
        self.sample_peak = 0.0
        self.true_peak = 0.0
        self._context: Samples | None = None  # what the interpolation at a block's start needs

    def add(self, samples: Samples) -> None:
        """Take the next samples, shape ``(frames,)`` or ``(channels, frames)``."""
        block = np.atleast_2d(samples)
        self.sample_peak = max(self.sample_peak, sample_peak(block))
        self.true_peak = max(self.true_peak, self.sample_peak)
        known = block if self._context is None else np.concatenate([self._context, block], axis=1)
        for channel in known:
            high = np.flatnonzero(np.abs(channel) > self.true_peak * _BETWEEN_SAMPLES)
            if len(high):
                between = np.abs(_interpolate_around(channel, high))
                self.true_peak = max(self.true_peak, float(between.max(initial=0.0)))
        self._context = known[:, -2 * _PHASE_REACH :].copy()


def sample_peak(samples: Samples) -> float:
    """The largest magnitude of the samples themselves, linear; 0 for none."""
    if samples.size == 0:
        return 0.0
    return max(float(samples.max()), -float(samples.min()))


def limit_peaks(waveform: Waveform, ceiling_dbtp: float = TRUE_PEAK_CEILING_DBTP) -> Waveform:
    """Turn the gain down around peaks above the ceiling, smoothly within 5 ms on both sides.

    The same object when nothing lies above. The gain at each sample is the least that any
    sample within reach needs, averaged over the same reach, so it is nowhere too high.
    """
    ceiling = to_linear(ceiling_dbtp)
    if sample_peak(waveform.samples) <= ceiling * _NEAR_CEILING:
        return waveform
    magnitude = _magnitude_near_peaks(waveform.samples, ceiling)
    if float(magnitude.max(initial=0.0)) <= ceiling:
        return waveform
    needed = np.minimum(1.0, ceiling / np.maximum(magnitude, ceiling))
    width = 2 * max(1, round(waveform.sample_rate * _LIMITER_REACH_S)) + 1
    least = minimum_filter1d(needed, width, mode="nearest")
    window = np.hanning(width + 2)[1:-1]
    # In float64, so that the gain is exactly 1 where nothing is turned down.
    padded = np.pad(least.astype(np.float64), width // 2, mode="edge")
    gain = oaconvolve(padded, window / window.sum(), mode="valid")
    return Waveform(waveform.samples * gain.astype(np.float32), waveform.sample_rate)


def apply_gain(waveform: Waveform, gain_db: float) -> Waveform:
    """``waveform`` times a constant, peaks kept below the true-peak ceiling."""
    scaled = waveform.samples * np.float32(to_linear(gain_db))
    return limit_peaks(Waveform(scaled, waveform.sample_rate))


def normalize_loudness(waveform: Waveform, target_lufs: float = SPEECH_LOUDNESS_LUFS) -> Waveform:
    """``waveform`` at the target loudness; silence stays as it is."""
    loudness = measure_loudness(waveform)
    if loudness is None:
        return waveform
    return apply_gain(waveform, min(target_lufs - loudness, MAX_GAIN_DB))


def to_db(linear: float) -> float | None:
    """An amplitude in dB; None for zero."""
    return 20.0 * math.log10(linear) if linear > 0 else None


def to_linear(gain_db: float) -> float:
    """An amplitude's factor from dB."""
    return float(10.0 ** (gain_db / 20.0))


def _magnitude_near_peaks(samples: Samples, ceiling: float) -> npt.NDArray[np.float32]:
    """For each frame the magnitude over all channels, between samples too where it matters.

    Between its samples speech rises a dB or so above them, so only blocks that come within 4 dB
    of the ceiling are oversampled; that is most of the limiter's time saved.
    """
    magnitude: npt.NDArray[np.float32] = np.abs(np.atleast_2d(samples)).max(axis=0)
    frames = len(magnitude)
    if frames == 0:
        return magnitude
    starts = np.arange(0, frames, _PEAK_BLOCK_FRAMES)
    block_peaks = np.maximum.reduceat(magnitude, starts)
    for start in starts[block_peaks > ceiling * _NEAR_CEILING].tolist():
        begin, end = max(0, start - _PEAK_CONTEXT_FRAMES), start + _PEAK_BLOCK_FRAMES
        dense = _oversampled_magnitude(samples[..., begin : end + _PEAK_CONTEXT_FRAMES])
        inner = dense[start - begin : end - begin]
        magnitude[start : start + len(inner)] = inner
    return magnitude


def _oversampled_magnitude(samples: Samples) -> npt.NDArray[np.float32]:
    """For each frame the largest magnitude at and after it, over all channels."""
    if samples.shape[-1] == 0:
        return np.zeros(0, np.float32)
    dense = np.abs(resample_poly(samples, _OVERSAMPLING, 1, axis=-1)).astype(np.float32)
    by_frame = dense.reshape(*samples.shape, _OVERSAMPLING).max(axis=-1)
    at_samples = np.maximum(by_frame, np.abs(samples))
    peaks: npt.NDArray[np.float32] = np.atleast_2d(at_samples).max(axis=0)
    return peaks


def _interpolate_around(channel: Samples, places: npt.NDArray[np.intp]) -> Samples:
    """The signal at a quarter, a half and three quarters before and after each place.

    Left out where it takes samples beyond the ends.
    """
    phases = _interpolation_phases()
    before = np.concatenate([places - 1, places])  # the sample in front of the gap
    before = before[(before >= _PHASE_REACH - 1) & (before < len(channel) - _PHASE_REACH)]
    window = before[:, None] + np.arange(-_PHASE_REACH + 1, _PHASE_REACH + 1)
    return channel[window] @ phases.T


@lru_cache(maxsize=1)
def _interpolation_phases() -> npt.NDArray[np.float32]:
    """Taps for the three points between two samples, shape ``(3, taps)``: the filter that
    ``resample_poly`` takes for four times the rate.
    """
    taps = _OVERSAMPLING * firwin(
        2 * _PHASE_REACH * _OVERSAMPLING + 1, 1 / _OVERSAMPLING, window=("kaiser", 5.0)
    )
    centre = _PHASE_REACH * _OVERSAMPLING
    offsets = np.arange(-_PHASE_REACH + 1, _PHASE_REACH + 1) * _OVERSAMPLING
    rows = [taps[centre + point - offsets] for point in range(1, _OVERSAMPLING)]
    return np.array(rows, np.float32)


def _gated_loudness(block_powers: npt.NDArray[np.float64]) -> float | None:
    loud = block_powers[block_powers > 10 ** ((_ABSOLUTE_GATE_LUFS - _OFFSET_LUFS) / 10)]
    if len(loud) == 0:
        return None
    loud = loud[loud > loud.mean() * 10 ** (_RELATIVE_GATE_LU / 10)]
    return _OFFSET_LUFS + 10.0 * math.log10(float(loud.mean()))


def _k_weighting(
    sample_rate: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Numerator and denominator of K-weighting at any rate: a shelf, then a high-pass.

    Source: BS.1770-4 gives coefficients at 48 kHz only; the analogue prototypes behind them
    are those of libebur128. The two biquads are multiplied out: scipy runs one filter of
    fourth order seven times as fast as two sections of second order (measured), and in
    float64 the result is the same to 1e-12.
    """
    # Below 4.2 kHz there is no room for the shelf; unchecked, the filter would be unstable.
    shelf = math.tan(math.pi * min(1681.974450955533 / sample_rate, 0.4))
    shelf_q = 0.7071752369554196
    high_gain = 10 ** (3.999843853973347 / 20)
    band_gain = high_gain**0.4996667741545416
    norm = 1 + shelf / shelf_q + shelf**2
    shelf_numerator = (
        (high_gain + band_gain * shelf / shelf_q + shelf**2) / norm,
        2 * (shelf**2 - high_gain) / norm,
        (high_gain - band_gain * shelf / shelf_q + shelf**2) / norm,
    )
    shelf_denominator = (1.0, 2 * (shelf**2 - 1) / norm, (1 - shelf / shelf_q + shelf**2) / norm)
    rumble = math.tan(math.pi * 38.13547087602444 / sample_rate)
    rumble_q = 0.5003270373238773
    norm = 1 + rumble / rumble_q + rumble**2
    rumble_denominator = (
        1.0,
        2 * (rumble**2 - 1) / norm,
        (1 - rumble / rumble_q + rumble**2) / norm,
    )
    numerator = np.convolve(shelf_numerator, (1.0, -2.0, 1.0))
    return numerator, np.convolve(shelf_denominator, rumble_denominator)
