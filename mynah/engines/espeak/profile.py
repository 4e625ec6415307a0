"""From a person's recordings to a profile: the nearest variant, and how to shape its speech."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile
from mynah.engines.catalog import ESPEAK
from mynah.engines.espeak import library
from mynah.engines.espeak.languages import LANGUAGES
from mynah.engines.espeak.shaping import CLASSES, Shape, Timbre, measure_f0, measure_shape
from mynah.engines.espeak.world import Array, Speech, analyze, pitch_and_envelope
from mynah.errors import InvalidAudio

MAX_ANALYZED_S = 60.0
MIN_VOICED_S = 1.0
# Variants of different build; a person is compared with each.
VARIANTS = ("", "f1", "f2", "f3", "f4", "m1", "m3", "m7", "Annie", "linda")
_F0_WEIGHT = 1.0  # nepers of spectral difference per neper of pitch
_BAND_EDGE = 0.92  # of half the recording's rate: resamplers roll off above
_BAND_BELOW_PEAK_NEPERS = 16.0  # of log power, about 70 dB
_MARGIN_BINS = (12, 2)

# Read by every variant to learn how it speaks. English serves for all languages: what counts
# is a spread of sounds, and the same ones for every variant.
_STUDY_TEXT = (
    "The little bird sat upon the highest branch and sang of summers long ago. When the wind "
    "came, it folded its wings and waited, for it knew that every storm must end. Can you hear "
    "the quiet river? Seven brave foxes jumped over the old stone wall."
)


def build_profile(samples: Sequence[Waveform], language: str) -> Profile:
    """Measure recordings; ``language`` is the engine's tag. Raises InvalidAudio."""
    target = _analyze_recordings(samples)
    edge_hz = _band_edge(samples, target)
    best = _nearest_variant(target, edge_hz)
    source = analyze(study(best))
    shape = measure_shape(source, extend_band(target, source, edge_hz))
    return Profile(
        engine=ESPEAK.id,
        version=ESPEAK.version,
        language=language,
        arrays=_dump_shape(shape),
        meta={"variant": best, "band_edge_hz": str(edge_hz)},
    )


def is_shaped(profile: Profile) -> bool:
    """Whether the profile comes from recordings and not from a built-in voice."""
    return bool(profile.arrays)


def load_shape(profile: Profile) -> Shape:
    """The shape of a profile that ``build_profile`` made."""
    arrays = {name: np.asarray(array, np.float64) for name, array in profile.arrays.items()}

    def timbres(role: str) -> dict[str, Timbre]:
        return {
            name: Timbre(arrays[f"{role}.{name}.mean"], arrays[f"{role}.{name}.deviation"])
            for name in CLASSES
        }

    codebook = {name: arrays[f"codebook.{name}"] for name in CLASSES}
    return Shape(
        timbres("source"), timbres("target"), codebook, arrays["f0"], arrays["aperiodicity"]
    )


@lru_cache(maxsize=len(VARIANTS))
def study(variant: str) -> Waveform:
    """How a variant reads the study text; kept, since eSpeak's noise differs from run to run."""
    voice, _ = LANGUAGES["en-us"]
    name = f"{voice}+{variant}" if variant else voice
    blocks = library.iter_blocks(library.Utterance(_STUDY_TEXT, name))
    samples = np.concatenate([block.samples for block in blocks])
    return Waveform.from_int16(samples, library.SAMPLE_RATE)


def extend_band(target: Speech, source: Speech, edge_hz: int) -> Speech:
    """Give a band-limited recording eSpeak's mean spectrum above its edge.

    Without this, the emptiness above the edge would count as the person's timbre.
    """
    bins = target.envelope.shape[1]
    edge = int(edge_hz / (target.sample_rate / 2) * (bins - 1))
    if edge >= bins - 1:
        return target
    start, end = edge - _MARGIN_BINS[0], edge - _MARGIN_BINS[1]
    logs = np.log(target.envelope)
    mean = np.log(source.envelope[source.is_speech()]).mean(axis=0)
    level = logs[:, start:end].mean(axis=1, keepdims=True)
    logs[:, end:] = level + (mean[end:] - mean[start:end].mean())
    return Speech(target.f0, np.exp(logs), target.aperiodicity, target.sample_rate)


def _analyze_recordings(samples: Sequence[Waveform]) -> Speech:
    rate = library.SAMPLE_RATE
    joined = np.concatenate([resample(sample.to_mono(), rate).samples for sample in samples])
    if joined.size == 0:
        raise InvalidAudio("The recording is empty.", code="empty_audio")
    # Quiet noise keeps digital silence from becoming minus infinity.
    noise = np.random.default_rng(0).normal(0.0, 1e-5, joined.size).astype(np.float32)
    speech = analyze(Waveform((joined + noise)[: int(MAX_ANALYZED_S * rate)], rate))
    voiced_s = float((speech.voiced & speech.is_speech()).sum()) * 0.005
    if voiced_s < MIN_VOICED_S:
        raise InvalidAudio(
            f"The recording has {voiced_s:.1f} s of voiced speech; {MIN_VOICED_S:g} s are needed.",
            code="too_little_speech",
        )
    return speech


def _band_edge(samples: Sequence[Waveform], target: Speech) -> int:
    """The highest frequency in Hz at which the recordings have speech."""
    nyquist = target.sample_rate / 2
    edge_hz = min(nyquist, min(sample.sample_rate for sample in samples) / 2 * _BAND_EDGE)
    mean = np.log(target.envelope[target.is_speech()]).mean(axis=0)
    loud = np.flatnonzero(mean > mean.max() - _BAND_BELOW_PEAK_NEPERS)
    highest = loud[-1] / (mean.size - 1) * nyquist
    return int(min(edge_hz, max(highest, 3000.0)))


def _nearest_variant(target: Speech, edge_hz: int) -> str:
    """The variant whose mean spectrum, within the band, and pitch are nearest to the person's."""
    voiced = target.is_speech() & target.voiced
    spectrum = np.log(target.envelope[voiced]).mean(axis=0)
    edge = int(edge_hz / (target.sample_rate / 2) * (spectrum.size - 1))
    pitch = float(measure_f0(target)[0])

    def distance(variant: str) -> float:
        variant_spectrum, variant_pitch = _measure_variant(variant)
        # The level says nothing: compare the shapes.
        difference = (spectrum - variant_spectrum)[:edge]
        return float(difference.std()) + _F0_WEIGHT * abs(variant_pitch - pitch)

    return min(VARIANTS, key=distance)


@lru_cache(maxsize=len(VARIANTS))
def _measure_variant(variant: str) -> tuple[Array, float]:
    """A variant's mean log spectrum over voiced speech, shape (bins,), and mean log-F0."""
    f0, envelope, _ = pitch_and_envelope(study(variant))
    voiced = f0 > 0
    return np.log(envelope[voiced]).mean(axis=0), float(np.log(f0[voiced]).mean())


def _dump_shape(shape: Shape) -> dict[str, np.ndarray]:
    arrays = {"f0": shape.f0, "aperiodicity": shape.aperiodicity}
    for name in CLASSES:
        arrays[f"codebook.{name}"] = shape.codebook[name]
        for role, timbres in (("source", shape.source), ("target", shape.target)):
            arrays[f"{role}.{name}.mean"] = timbres[name].mean
            arrays[f"{role}.{name}.deviation"] = timbres[name].deviation
    return {name: array.astype(np.float32) for name, array in arrays.items()}
