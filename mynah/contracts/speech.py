"""The documents of a speech job: what was asked for, in the job's row."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mynah.contracts.object_keys import Origin


class OutputFormat(StrEnum):
    """The formats of a finished job."""

    MP3 = "mp3"
    WAV = "wav"
    OGG = "ogg"


CONTENT_TYPES = {
    OutputFormat.MP3: "audio/mpeg",
    OutputFormat.WAV: "audio/wav",
    OutputFormat.OGG: "audio/ogg",
}


class QualityTier(StrEnum):
    """Names for bitrates."""

    COMPRESSED = "compressed"
    STANDARD = "standard"
    PREMIUM = "premium"


TIER_BITRATE_KBPS = {
    QualityTier.COMPRESSED: 64,
    QualityTier.STANDARD: 96,
    QualityTier.PREMIUM: 128,
}

# What an uploaded recording and a voice's spoken sample are kept as (spec V3).
RECORDED_BITRATE_KBPS = 160
SPOKEN_SAMPLE_BITRATE_KBPS = 96


class VoiceSettings(BaseModel):
    """How to speak; every engine maps what it can."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stability: float = Field(0.5, ge=0, le=1)
    similarity_boost: float = Field(1.0, ge=0, le=1)
    style: float = Field(0.0, ge=0, le=1)
    speed: float = Field(1.0, ge=0.5, le=2.0)
    pitch: float = Field(0.0, ge=-12, le=12)
    volume: float = Field(1.0, ge=0.1, le=2.0)


class SpeechRequest(BaseModel):
    """A speech job's request as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    voice_id: UUID
    language: str
    engine: str
    output_format: OutputFormat = OutputFormat.MP3
    bitrate_kbps: int = 96
    voice_settings: VoiceSettings = VoiceSettings()
    title: str | None = None
    seed: int = 0
    origin: Origin = "user"


class SegmentResult(BaseModel):
    """What speaking one piece gave."""

    model_config = ConfigDict(frozen=True)

    object_key: str
    duration_s: float
    synthesis_s: float
    sample_rate: int


class CloneRequest(BaseModel):
    """A clone job's request as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice_id: UUID
    engine: str
    sample_text: str


class AnalysisRequest(BaseModel):
    """An analysis job's request as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_id: UUID
