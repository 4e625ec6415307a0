"""What is known of a recording: measurements, and the verdict on its use for a voice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Grade = Literal["excellent", "good", "fair", "poor", "unusable"]
Severity = Literal["info", "warning", "error"]
Speakers = Literal["1", "2 or more"]


@dataclass(frozen=True, slots=True)
class RecordingMeasurements:
    """Measured on the samples, at the recording's own rate.

    ``None`` stands for what the recording does not let one say: loudness, peak and SNR of
    silence, SNR and bandwidth without speech. Shares are 0–1: ``clipping_share`` of samples,
    ``speech_share`` and ``silence_share`` (quieter than -60 dBFS) of the duration.
    ``bandwidth_hz`` is the highest frequency at which speech stands out.
    """

    duration_s: float
    sample_rate: int
    channels: int
    loudness_lufs: float | None
    peak_dbfs: float | None
    snr_db: float | None
    noise_floor_dbfs: float | None
    clipping_share: float
    speech_s: float
    speech_share: float
    silence_share: float
    bandwidth_hz: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BandLevel:
    """The long-term level of one third of an octave around ``hz``, mean square, in dBFS."""

    hz: int
    level_dbfs: float


@dataclass(frozen=True, slots=True)
class DepthMeasurements:
    """What takes longer to measure than ``RecordingMeasurements``, and goes beyond them.

    ``true_peak_dbtp`` and ``loudness_range_lu`` (EBU Tech 3342) are None without sound,
    ``rt60_s`` where too few sounds die away to tell, ``speakers`` where there is too little
    speech or the voices are too near to tell. ``bands``: the spectrum of the speech, or of
    everything where nobody speaks.
    """

    true_peak_dbtp: float | None
    loudness_range_lu: float | None
    rt60_s: float | None
    speakers: Speakers | None
    bands: tuple[BandLevel, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "bands": [asdict(band) for band in self.bands]}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing to say about a recording, in words."""

    code: str
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether and how well a recording serves to make or train a voice."""

    is_usable: bool
    score: float  # 0-1
    grade: Grade
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
