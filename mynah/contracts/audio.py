"""The documents of a job of the audio service: what was asked for, in the job's row."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mynah.contracts.speech import OutputFormat


class AudioOperation(StrEnum):
    """What is done with each file of a job."""

    ANALYZE = "analyze"
    ENHANCE = "enhance"
    CONVERT = "convert"


class AudioInput(BaseModel):
    """One file of a job: uploaded with it, or one of the owner's samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    object_key: str
    size_bytes: int
    sample_id: UUID | None = None


class AnalyzeOptions(BaseModel):
    """How the pictures and the peaks of an analysis are made; sizes in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: bool = True
    width: int = Field(1200, ge=100, le=4000)
    height: int = Field(300, ge=50, le=1000)
    peaks_per_second: int = Field(20, ge=1, le=200)


class FileOptions(BaseModel):
    """What a file of the audio service is to be; None: as the input is, where that is allowed.

    ``bitrate_kbps`` None: the format's usual one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    output_format: OutputFormat
    bitrate_kbps: int | None = None
    sample_rate: int | None = Field(None, ge=8000, le=192_000)
    channels: int | None = Field(None, ge=1, le=2)


class EnhanceOptions(BaseModel):
    """What is done to a recording.

    ``highpass_hz`` and ``denoise_db`` 0: not at all; ``denoise_db`` is the most by which noise
    is turned down. ``loudness_lufs`` None: the level stays as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    highpass_hz: float = Field(70.0, ge=0, le=400)
    declick: bool = True
    denoise_db: float = Field(18.0, ge=0, le=40)
    loudness_lufs: float | None = Field(-18.0, ge=-40, le=-8)


class AudioRequest(BaseModel):
    """An audio job's request as it is stored. ``analyze`` and so on: those of the operation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: AudioOperation
    inputs: tuple[AudioInput, ...]
    analyze: AnalyzeOptions | None = None
    enhance: EnhanceOptions | None = None
    file: FileOptions | None = None


class AudioFile(BaseModel):
    """A file that a job made. ``name`` is its name in downloads, ``object_key`` where it lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    object_key: str
    content_type: str
    size_bytes: int


class AudioItem(BaseModel):
    """What became of one input: its result and its files, or its error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    result: dict[str, Any] | None = None
    files: tuple[AudioFile, ...] = ()
    error_code: str | None = None
    error_message: str | None = None


class AudioResult(BaseModel):
    """A job's result as it grows: items by their input's number, and the bundle of a batch.

    ``bundle_error`` says why a batch has no bundle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: dict[int, AudioItem] = Field(default_factory=dict)
    bundle: AudioFile | None = None
    bundle_error: str | None = None
