"""The forms in which a device may send what it hears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PCM16: Final = "pcm16"
#: Sample rates in Hz by form, the usual one first. 16-bit samples are little-endian, all is mono.
SOUND_RATES: Final = {
    PCM16: (16_000, 8_000, 24_000, 44_100, 48_000),
    "ulaw": (8_000,),
    "alaw": (8_000,),
}


@dataclass(frozen=True, slots=True)
class SoundForm:
    """A form and its sample rate."""

    name: str
    sample_rate: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.name == PCM16 else 1

    def duration_s(self, data: bytes) -> float:
        """How long so many bytes sound."""
        return len(data) / self.sample_bytes / self.sample_rate
