"""Every object key, built here and nowhere else (bucket ``audio``).

``voices/{language}/[kids/]…`` and ``stories/{language}/{user|app}/…`` are what people keep,
``batches/…`` archives of it; ``uploads/…`` the untouched originals; ``work/{job_id}/…`` is swept
when its job ends, and ``audio/…``, what the audio service made, after its retention.
"""

from __future__ import annotations

import re
from typing import Literal
from uuid import UUID

Origin = Literal["user", "app"]

_LANGUAGE = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")


def _checked(language: str) -> str:
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(f"not a language tag: {language!r}")
    return language


def _voice_folder(language: str, kids: bool, folder: str) -> str:
    return f"voices/{_checked(language)}/{'kids/' if kids else ''}{folder}"


def reference_audio(voice_id: UUID, language: str, kids: bool) -> str:
    """The voice's reference audio as ``.npy``."""
    return f"{_voice_folder(language, kids, 'profiles')}/{voice_id}.npy"


def engine_profile(voice_id: UUID, language: str, kids: bool, engine: str) -> str:
    """One engine's own file of the voice."""
    return f"{_voice_folder(language, kids, 'profiles')}/{voice_id}.{engine}.safetensors"


def recorded(voice_id: UUID, language: str, kids: bool) -> str:
    """The recording as 160 kbit/s MP3."""
    return f"{_voice_folder(language, kids, 'recorded')}/{voice_id}.mp3"


def spoken_sample(voice_id: UUID, language: str, kids: bool) -> str:
    """The spoken sample of the voice as 96 kbit/s MP3."""
    return f"{_voice_folder(language, kids, 'samples')}/{voice_id}.mp3"


def story(job_id: UUID, language: str, origin: Origin, extension: str) -> str:
    """The finished speech of a job."""
    return f"stories/{_checked(language)}/{origin}/{job_id}.{extension}"


def rendition(
    job_id: UUID, rendition_id: UUID, language: str, origin: Origin, extension: str
) -> str:
    """The finished speech of a job in another format."""
    return f"stories/{_checked(language)}/{origin}/{job_id}.{rendition_id}.{extension}"


def batch_archive(job_id: UUID, origin: Origin) -> str:
    """The zip with all speech of a batch."""
    return f"batches/{origin}/{job_id}.zip"


def upload(user_id: UUID, sample_id: UUID) -> str:
    """The untouched original of an uploaded recording."""
    return f"uploads/{user_id}/{sample_id}"


def work_folder(job_id: UUID) -> str:
    """The prefix of all work files of a job."""
    return f"work/{job_id}/"


def segment(job_id: UUID, ordinal: int, claim_token: UUID) -> str:
    """One spoken piece; the attempt's token in it, so that attempts never meet."""
    return f"{work_folder(job_id)}{ordinal:06d}.{claim_token}.flac"


def audio_input(job_id: UUID, number: int) -> str:
    """A file that was uploaded with an audio job."""
    return f"{work_folder(job_id)}input/{number}"


def audio_folder(user_id: UUID, job_id: UUID) -> str:
    """The prefix of all files that an audio job made."""
    return f"audio/{user_id}/{job_id}/"


def audio_output(user_id: UUID, job_id: UUID, claim_token: UUID, name: str) -> str:
    """One file of an audio job; the attempt's token in it, so that attempts never meet."""
    return f"{audio_folder(user_id, job_id)}{claim_token}/{name}"
