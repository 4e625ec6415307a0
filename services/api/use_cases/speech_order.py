"""What a caller asks to be spoken."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from mynah.contracts.speech import (
    Markup,
    OutputFormat,
    Pacing,
    QualityTier,
    ScriptLine,
    VoiceSettings,
)
from mynah.text.brackets import UnknownTags
from services.api.use_cases.dictionaries import DictionaryChoice


@dataclass(frozen=True, slots=True)
class SpeechOrder:
    """A text, or a ``script`` of several speakers, and how it is to be spoken and stored.

    ``language`` None = the voice's own, "auto" = as the text seems to be.
    """

    text: str
    voice_id: UUID
    language: str | None = None
    script: tuple[ScriptLine, ...] = ()
    markup: Markup = Markup.PLAIN
    unknown_tags: UnknownTags = "error"
    output_format: OutputFormat = OutputFormat.MP3
    quality: QualityTier = QualityTier.STANDARD
    bitrate_kbps: int | None = None
    vbr_quality: int | None = None
    sample_rate: int | None = None
    channels: int = 1
    voice_settings: VoiceSettings = field(default_factory=VoiceSettings)
    pacing: Pacing = Pacing.NORMAL
    pause_scale: float = 1.0
    loudness_lufs: float | None = None
    dictionaries: tuple[DictionaryChoice, ...] = ()
    title: str | None = None
    seed: int | None = None
