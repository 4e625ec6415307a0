"""The output formats of the vendors' APIs, by the vendors' names, in terms of ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mynah.contracts.speech import CONTENT_TYPES, OutputFormat

_OPENAI_RATE = 24000


@dataclass(frozen=True, slots=True)
class VendorFormat:
    """A format as a vendor has it. ``bitrate_kbps`` None where there is none to choose.

    ``is_adaptive``: its name says no bitrate, so an MP3's may follow its listener's connection.
    """

    output_format: OutputFormat
    sample_rate: int
    bitrate_kbps: int | None
    content_type: str
    is_adaptive: bool = False

    @property
    def is_adts(self) -> bool:
        """Whether it is AAC without a container, which no stored file is."""
        return self.content_type == "audio/aac"

    @property
    def stream_format(self) -> str:
        """What is sent while it is spoken, as ``StreamForm`` names it."""
        return "aac" if self.is_adts else self.output_format.value


def _of(fmt: OutputFormat, rate: int, bitrate: int | None, kind: str = "") -> VendorFormat:
    return VendorFormat(fmt, rate, bitrate, kind or CONTENT_TYPES[fmt])


OPENAI_FORMATS = {
    "mp3": replace(_of(OutputFormat.MP3, _OPENAI_RATE, 128), is_adaptive=True),
    "opus": _of(OutputFormat.OPUS, _OPENAI_RATE, 64),
    "aac": _of(OutputFormat.M4A, _OPENAI_RATE, 96, "audio/aac"),
    "flac": _of(OutputFormat.FLAC, _OPENAI_RATE, None),
    "wav": _of(OutputFormat.WAV, _OPENAI_RATE, None),
    "pcm": _of(OutputFormat.PCM, _OPENAI_RATE, None),
}

_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
_BITRATES = (32, 64, 96, 128, 192)
ELEVENLABS_DEFAULT = "mp3_44100_128"
ELEVENLABS_FORMATS = {
    "mp3_22050_32": _of(OutputFormat.MP3, 22050, 32),
    "mp3_24000_48": _of(OutputFormat.MP3, 24000, 48),
    **{f"mp3_44100_{kbps}": _of(OutputFormat.MP3, 44100, kbps) for kbps in _BITRATES},
    **{f"opus_48000_{kbps}": _of(OutputFormat.OPUS, 48000, kbps) for kbps in _BITRATES},
    **{f"pcm_{rate}": _of(OutputFormat.PCM, rate, None) for rate in _RATES},
    **{f"wav_{rate}": _of(OutputFormat.WAV, rate, None) for rate in _RATES},
    "ulaw_8000": _of(OutputFormat.ULAW, 8000, None),
    "alaw_8000": _of(OutputFormat.ALAW, 8000, None),
}
