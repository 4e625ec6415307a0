"""The documents of a speech job: what was asked for, in the job's row."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mynah.contracts.object_keys import Origin


class OutputFormat(StrEnum):
    """The formats of finished speech; each one's name is also its files' extension.

    ``aac`` is read as ``m4a``. What each allows: ``mynah.audio.formats``.
    """

    MP3 = "mp3"
    WAV = "wav"
    OGG = "ogg"
    FLAC = "flac"
    OPUS = "opus"
    M4A = "m4a"
    M4B = "m4b"
    PCM = "pcm"
    ULAW = "ulaw"
    ALAW = "alaw"

    @classmethod
    def _missing_(cls, value: object) -> OutputFormat | None:
        return cls.M4A if value == "aac" else None


CONTENT_TYPES = {
    OutputFormat.MP3: "audio/mpeg",
    OutputFormat.WAV: "audio/wav",
    OutputFormat.OGG: "audio/ogg",
    OutputFormat.FLAC: "audio/flac",
    OutputFormat.OPUS: "audio/ogg",  # RFC 7845
    OutputFormat.M4A: "audio/mp4",
    OutputFormat.M4B: "audio/mp4",
    OutputFormat.PCM: "audio/pcm",  # not registered, but what others call it
    OutputFormat.ULAW: "audio/PCMU",  # RFC 4856
    OutputFormat.ALAW: "audio/PCMA",
}


class Markup(StrEnum):
    """How marks in a text are read: not at all, ``[pause 1s]`` and the like, or as SSML."""

    PLAIN = "plain"
    BRACKETS = "brackets"
    SSML = "ssml"


class Pacing(StrEnum):
    """Named lengths of the pauses in a story."""

    NORMAL = "normal"
    BEDTIME = "bedtime"


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


class ScriptLine(BaseModel):
    """What one speaker says in a script of several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice_id: UUID
    text: str


class DictionaryRef(BaseModel):
    """A pronunciation dictionary in one of its versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dictionary_id: UUID
    version: int = Field(ge=1)


class SpeechRequest(BaseModel):
    """A speech job's request as it is stored.

    ``text`` is what subtitles show and pieces point into; with a ``script`` it is the lines'
    texts joined by line feeds. ``vbr_quality`` 0 (best) to 9 makes an MP3's bitrate variable.
    ``sample_rate`` None = the voice's own. ``loudness_lufs`` None = the platform's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    voice_id: UUID
    language: str
    engine: str
    script: tuple[ScriptLine, ...] = ()
    markup: Markup = Markup.PLAIN
    output_format: OutputFormat = OutputFormat.MP3
    bitrate_kbps: int = 96
    vbr_quality: int | None = Field(None, ge=0, le=9)
    sample_rate: int | None = None
    channels: int = Field(1, ge=1, le=2)
    voice_settings: VoiceSettings = VoiceSettings()
    pacing: Pacing = Pacing.NORMAL
    pause_scale: float = Field(1.0, ge=0, le=5)
    loudness_lufs: float | None = Field(None, ge=-40, le=-8)
    dictionaries: tuple[DictionaryRef, ...] = ()
    title: str | None = None
    seed: int = 0
    origin: Origin = "user"


class PhonemeSpan(BaseModel):
    """Characters of a piece's text that are to be pronounced as ``ipa`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int
    end: int
    ipa: str


class WordSpan(BaseModel):
    """Which characters of the request a stretch of a piece's text stands for.

    ``start``, ``end``: in the piece's text. ``source_start``, ``source_end``: in the request's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int
    end: int
    source_start: int
    source_end: int


class PieceSpeech(BaseModel):
    """How one piece is spoken, where that differs from its neighbours.

    ``rate`` and ``volume`` are factors on the job's settings, ``pitch_semitones`` is added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice_id: UUID
    engine: str
    language: str
    rate: float = 1.0
    pitch_semitones: float = 0.0
    volume: float = 1.0
    phonemes: tuple[PhonemeSpan, ...] = ()
    words: tuple[WordSpan, ...] = ()


class SpokenWord(BaseModel):
    """A word in its segment: ``start_s``, ``end_s`` from the segment's first sample.

    ``source_start``, ``source_end``: its characters in the request's text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_s: float
    end_s: float
    source_start: int
    source_end: int


class RenditionRequest(BaseModel):
    """A rendition job's request as it is stored: a finished speech job in another format."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speech_job_id: UUID
    rendition_id: UUID
    output_format: OutputFormat
    bitrate_kbps: int | None
    vbr_quality: int | None
    sample_rate: int
    channels: int


class SegmentMeasures(BaseModel):
    """What was measured on a segment.

    Seconds from the first audible sample to the last where not said otherwise:
    ``speech_s`` all of it, ``expected_s`` what its text should take, ``silence_share`` and
    ``longest_silence_s`` of the silence inside, ``repeated_s`` what says the same three times or
    more in succession, ``trailing_noise_s`` steady sound behind the speech. ``clipping_share``
    0-1 of all samples, ``level_dbfs`` RMS of what is audible. Error rates come from a
    recogniser: edits per word and per character of the text; None without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration_s: float
    is_finite: bool
    speech_s: float
    expected_s: float
    silence_share: float
    longest_silence_s: float
    clipping_share: float
    level_dbfs: float | None
    repeated_s: float
    trailing_noise_s: float
    word_error_rate: float | None = None
    character_error_rate: float | None = None


class SpokenAttempt(BaseModel):
    """One reading of a piece: its seed, measures, and what is wrong with it (stable codes)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    measures: SegmentMeasures
    reasons: tuple[str, ...]
    score: float = Field(ge=0, le=1)


class PieceReport(BaseModel):
    """How a piece's segment came about: every attempt, and which one was kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: tuple[SpokenAttempt, ...] = Field(min_length=1)
    chosen: int = Field(ge=0)

    @property
    def kept(self) -> SpokenAttempt:
        """The attempt whose audio is the segment."""
        return self.attempts[self.chosen]

    @property
    def verdict(self) -> Literal["good", "poor"]:
        """``poor``: no attempt was without fault."""
        return "poor" if self.kept.reasons else "good"


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
