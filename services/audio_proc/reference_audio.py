"""From a voice's recordings to its reference audio: the best of them, joined, nothing lossy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from mynah.audio.joining import trim_silence
from mynah.audio.measurements import RecordingMeasurements, Verdict
from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform
from mynah.errors import InvalidAudio
from services.audio_proc.analysis import analyze_recording
from services.audio_proc.suitability import judge_recording

MAX_REFERENCE_S = 180.0
MAX_REFERENCE_RATE = 48_000
MIN_SPEECH_S = 3.0
GAP_S = 0.2

# Several short recordings can make a voice where one of them could not, if they hold any speech.
MIN_SPEECH_PER_RECORDING_S = 0.5
SHORTNESS = frozenset({"too_short"})


@dataclass(frozen=True, slots=True)
class Recording:
    """One decoded recording of a voice."""

    sample_id: UUID
    name: str
    waveform: Waveform


@dataclass(frozen=True, slots=True)
class ReferenceAudio:
    """A voice's reference audio, mono, and what became of each recording."""

    waveform: Waveform
    measurements: RecordingMeasurements
    recordings: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class _Candidate:
    sample_id: UUID
    name: str
    verdict: Verdict
    speech: Waveform | None  # mono, trimmed, as much as could be used; None when it cannot be

    @property
    def rank(self) -> tuple[bool, float]:
        return (self.verdict.is_usable, self.verdict.score)

    def describe(self) -> dict[str, Any]:
        return {
            "sample_id": str(self.sample_id),
            "name": self.name,
            "score": self.verdict.score,
            "is_used": self.speech is not None,
            "reasons": [reason.message for reason in self.verdict.reasons],
        }


class ReferenceBuilder:
    """Takes recordings one by one and keeps no more audio than the reference can hold."""

    def __init__(self) -> None:
        self._candidates: list[_Candidate] = []
        self._refusals: list[str] = []

    def add(self, recording: Recording) -> None:
        """Judge a recording and keep of it what may be used."""
        measurements = analyze_recording(recording.waveform)
        verdict = judge_recording(measurements)
        is_fit = _is_fit(measurements, verdict)
        speech = _usable_part(recording.waveform) if is_fit else None
        self._candidates.append(_Candidate(recording.sample_id, recording.name, verdict, speech))
        if not is_fit:
            words = " ".join(reason.message for reason in verdict.reasons)
            self._refusals.append(f"{recording.name}: {words}")
        self._drop_surplus()

    def refuse(self, name: str, error: InvalidAudio) -> None:
        """Note a recording that does not decode."""
        self._refusals.append(f"{name}: {error.message}")

    def build(self) -> ReferenceAudio:
        """The reference audio: the best recordings first, with short gaps between them.

        Raises InvalidAudio: ``no_usable_sample`` with every reason, ``too_little_speech``.
        """
        speeches = [found.speech for found in self._ranked() if found.speech is not None]
        if not speeches:
            reasons = " ".join(["No sample can be used.", *self._refusals])
            raise InvalidAudio(reasons, code="no_usable_sample")
        waveform = _join(speeches)
        measurements = analyze_recording(waveform)
        if measurements.speech_s < MIN_SPEECH_S:
            raise InvalidAudio(
                f"The samples hold {measurements.speech_s:.1f} s of speech together; "
                f"{MIN_SPEECH_S:g} s are needed.",
                code="too_little_speech",
            )
        described = tuple(found.describe() for found in self._candidates)
        return ReferenceAudio(waveform, measurements, described)

    def _ranked(self) -> Sequence[_Candidate]:
        return sorted(self._candidates, key=lambda found: found.rank, reverse=True)

    def _drop_surplus(self) -> None:
        room_s = MAX_REFERENCE_S
        for found in self._ranked():
            if found.speech is None:
                continue
            if room_s <= 0:
                found.speech = None
            else:
                room_s -= found.speech.duration_s + GAP_S


def _is_fit(measurements: RecordingMeasurements, verdict: Verdict) -> bool:
    """Whether a recording may go into a reference, alone or beside others."""
    errors = {reason.code for reason in verdict.reasons if reason.severity == "error"}
    return measurements.speech_s >= MIN_SPEECH_PER_RECORDING_S and errors <= SHORTNESS


def _usable_part(waveform: Waveform) -> Waveform:
    mono = waveform.to_mono()
    trimmed = trim_silence(resample(mono, min(mono.sample_rate, MAX_REFERENCE_RATE)))
    # A copy, so that a long recording is not kept alive by its first minutes.
    kept = trimmed.samples[: int(MAX_REFERENCE_S * trimmed.sample_rate)].copy()
    return Waveform(kept, trimmed.sample_rate)


def _join(speeches: Iterable[Waveform]) -> Waveform:
    parts = list(speeches)
    rate = max(part.sample_rate for part in parts)
    gap = np.zeros(int(GAP_S * rate), np.float32)
    joined: list[Samples] = []
    for part in parts:
        joined.extend((resample(part, rate).samples, gap))
    return Waveform(np.concatenate(joined[:-1])[: int(MAX_REFERENCE_S * rate)], rate)
