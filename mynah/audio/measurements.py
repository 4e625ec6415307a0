"""What is known of a recording: measurements, and the verdict on its use for a voice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Grade = Literal["excellent", "good", "fair", "poor", "unusable"]
Severity = Literal["info", "warning", "error"]


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
