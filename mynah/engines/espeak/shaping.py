"""Shape eSpeak's speech after a person: pitch, timbre and breathiness of the recordings.

Pitch: log-F0 is moved to the person's mean and deviation. Timbre: each frame's mel-cepstrum is
normalised by eSpeak's own statistics, replaced by the mean of the nearest normalised frames of
the person (k-nearest-neighbour conversion, after M. Baas et al., "Voice conversion with just
nearest neighbors", Interspeech 2023), brought back to the person's statistics, smoothed over
time, and given the person's variance back (T. Toda et al., "Voice conversion based on
maximum-likelihood estimation of spectral parameter trajectory", 2007: global variance). Voiced
and unvoiced frames are treated apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from mynah.engines.espeak.world import Array, Speech, to_cepstra, to_envelope

CODEBOOK_FRAMES = 4000
NEIGHBOURS = 4
SMOOTHING_FRAMES = 1.6
MATCHED_COEFFICIENTS = 20
_MIN_FRAMES = 50
_EPSILON = 1e-6

Classes = tuple[str, str]
CLASSES: Classes = ("voiced", "unvoiced")


@dataclass(frozen=True, slots=True)
class Timbre:
    """Statistics of one class of frames. ``mean``, ``deviation``: (CEPSTRUM_SIZE - 1,)."""

    mean: Array
    deviation: Array


@dataclass(frozen=True, slots=True)
class Shape:
    """How to get from eSpeak's speech to a person's.

    ``source``, ``target``: per class. ``codebook``: the person's normalised frames per class,
    (frames, CEPSTRUM_SIZE - 1). ``f0``: log-F0 mean and deviation of eSpeak, then the person's.
    ``aperiodicity``: the person's mean over voiced frames less eSpeak's, (bins,).
    """

    source: dict[str, Timbre]
    target: dict[str, Timbre]
    codebook: dict[str, Array]
    f0: Array
    aperiodicity: Array


def measure_timbre(cepstra: Array) -> Timbre:
    """Statistics of frames, without the level."""
    shape = cepstra[:, 1:]
    return Timbre(shape.mean(axis=0), shape.std(axis=0) + _EPSILON)


def class_masks(speech: Speech) -> dict[str, npt.NDArray[np.bool_]]:
    """The frames of each class, pauses left out; a class with too few takes all speech."""
    spoken = speech.is_speech()
    masks = {"voiced": spoken & speech.voiced, "unvoiced": spoken & ~speech.voiced}
    return {name: mask if mask.sum() >= _MIN_FRAMES else spoken for name, mask in masks.items()}


def measure_f0(speech: Speech) -> Array:
    """Mean and deviation of log-F0 over voiced speech, outliers cut: shape (2,)."""
    logs = np.log(speech.f0[class_masks(speech)["voiced"] & speech.voiced])
    low, high = np.percentile(logs, [3, 97])
    kept = logs[(logs >= low) & (logs <= high)]
    return np.array([kept.mean(), kept.std() + 0.02])


def measure_shape(source: Speech, target: Speech) -> Shape:
    """Learn a shape from eSpeak's speech and the person's; texts need not be the same."""
    source_cepstra = to_cepstra(source.envelope, source.sample_rate)
    target_cepstra = to_cepstra(target.envelope, target.sample_rate)
    source_masks, target_masks = class_masks(source), class_masks(target)
    sources = {name: measure_timbre(source_cepstra[source_masks[name]]) for name in CLASSES}
    targets = {name: measure_timbre(target_cepstra[target_masks[name]]) for name in CLASSES}
    codebook = {
        name: _thinned(
            (target_cepstra[target_masks[name], 1:] - targets[name].mean) / targets[name].deviation
        )
        for name in CLASSES
    }
    breath = _mean_log_aperiodicity(target) - _mean_log_aperiodicity(source)
    f0 = np.concatenate([measure_f0(source), measure_f0(target)])
    return Shape(sources, targets, codebook, f0, breath)


def shape_speech(speech: Speech, shape: Shape, strength: float) -> Speech:
    """``speech`` of eSpeak after the person; ``strength`` 0 leaves it as it is, 1 is all."""
    if strength <= 0:
        return speech
    cepstra = to_cepstra(speech.envelope, speech.sample_rate)
    converted = cepstra.copy()
    masks = {"voiced": speech.voiced, "unvoiced": ~speech.voiced}
    for name in CLASSES:
        converted[masks[name], 1:] = _convert(cepstra[masks[name], 1:], shape, name)
    smooth = gaussian_filter1d(converted[:, 1:], SMOOTHING_FRAMES, axis=0)
    spoken = speech.is_speech()
    for name in CLASSES:
        chosen = masks[name] & spoken
        if chosen.sum() >= _MIN_FRAMES:
            smooth[chosen] = _restore_variance(smooth[chosen], shape.target[name])
    mixed = cepstra.copy()
    mixed[:, 1:] += strength * (smooth - cepstra[:, 1:])
    bins = speech.envelope.shape[1]
    envelope = to_envelope(mixed, speech.sample_rate, bins)
    return Speech(
        _shape_f0(speech.f0, shape.f0, strength),
        envelope * _level_correction(speech.envelope, envelope),
        _shape_aperiodicity(speech, shape.aperiodicity * strength),
        speech.sample_rate,
    )


def _convert(frames: Array, shape: Shape, name: str) -> Array:
    if not len(frames):
        return frames
    source, target, book = shape.source[name], shape.target[name], shape.codebook[name]
    normalised = (frames - source.mean) / source.deviation
    count = min(NEIGHBOURS, len(book))
    tree = cKDTree(book[:, :MATCHED_COEFFICIENTS])
    _, nearest = tree.query(normalised[:, :MATCHED_COEFFICIENTS], k=count)
    matched = book[nearest.reshape(len(frames), count)].mean(axis=1)
    return np.asarray(matched * target.deviation + target.mean)


def _restore_variance(frames: Array, target: Timbre) -> Array:
    """Averaging and smoothing flatten; stretch to the person's mean and deviation."""
    deviation = frames.std(axis=0) + _EPSILON
    factor = np.clip(target.deviation / deviation, 0.5, 2.0)
    return np.asarray((frames - frames.mean(axis=0)) * factor + target.mean)


def _level_correction(before: Array, after: Array) -> Array:
    """What keeps each frame's power as eSpeak had it, shape (frames, 1)."""
    return np.asarray((before.sum(axis=1) / after.sum(axis=1))[:, None])


def _shape_f0(f0: Array, statistics: Array, strength: float) -> Array:
    source_mean, source_deviation, target_mean, target_deviation = statistics
    shaped = f0.copy()
    voiced = f0 > 0
    logs = np.log(f0[voiced])
    moved = (logs - source_mean) / source_deviation * target_deviation + target_mean
    shaped[voiced] = np.exp(logs + strength * (moved - logs))
    return shaped


def _mean_log_aperiodicity(speech: Speech) -> Array:
    chosen = class_masks(speech)["voiced"]
    return np.asarray(np.log(np.clip(speech.aperiodicity[chosen], 1e-3, 1.0)).mean(axis=0))


def _shape_aperiodicity(speech: Speech, difference: Array) -> Array:
    shaped = speech.aperiodicity.copy()
    voiced = speech.voiced
    shaped[voiced] = np.clip(shaped[voiced] * np.exp(difference), 1e-3, 1.0)
    return shaped


def _thinned(frames: Array) -> Array:
    """At most CODEBOOK_FRAMES frames, evenly chosen."""
    step = max(1, -(-len(frames) // CODEBOOK_FRAMES))
    return np.ascontiguousarray(frames[::step])
