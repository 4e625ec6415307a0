"""OGG Vorbis and FLAC by libsndfile: exact to the sample, played by every browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import soundfile

from mynah.audio.formats import OutputLayout
from mynah.audio.tags import Chapter, SpeechTags, write_comments
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import InvalidAudio

# libsndfile keeps a whole write on the stack: long ones overflow it.
_WRITE_FRAMES = 8192

# Vorbis is set by a level of 0 (best) to 1, not by a bitrate. What levels 0, 0.1 … 1 gave for
# mono speech, in kbit/s, by the highest sample rate the row is for (measured, libsndfile 1.2.2).
_LEVELS = np.linspace(0.0, 1.0, 11)
_KBPS_BY_RATE = (
    (12000, (37, 35, 33, 31, 29, 27, 24, 22, 19, 17, 14)),
    (32000, (77, 71, 65, 59, 53, 47, 43, 38, 34, 29, 25)),
    (192000, (125, 99, 83, 74, 65, 57, 52, 50, 47, 45, 38)),
)


class SoundFileWriter:
    """Writes blocks as one OGG Vorbis or FLAC file (16 bits) into ``output``.

    Vorbis varies its bitrate around the wished one; a bitrate beyond what it spends on speech
    at the sample rate (77 kbit/s at 24 kHz) gives its best quality.
    """

    def __init__(self, output: BinaryIO, layout: OutputLayout) -> None:
        self._output = output
        self._format = layout.format
        self._file = soundfile.SoundFile(
            output,
            mode="w",
            samplerate=layout.sample_rate,
            channels=layout.channels,
            **_codec_options(layout),
        )

    def add(self, block: Waveform) -> None:
        """Append a block."""
        interleaved = block.to_int16().T
        if self._format is OutputFormat.OGG:
            interleaved = np.clip(block.samples.T, -1.0, 1.0)
        for start in range(0, block.frames, _WRITE_FRAMES):
            self._file.write(interleaved[start : start + _WRITE_FRAMES])

    def finish(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None:
        """Complete the file, then its comments. Raises InvalidAudio when nothing was added."""
        is_empty = self._file.frames == 0
        self._file.close()
        if is_empty:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        write_comments(self._output, self._format, tags, chapters)

    def close(self) -> None:
        """Let go of the output; ``finish`` has done so already."""
        self._file.close()


def _codec_options(layout: OutputLayout) -> dict[str, Any]:
    if layout.format is OutputFormat.FLAC:
        return {"format": "FLAC", "subtype": "PCM_16"}
    kbps = (layout.bitrate_kbps or 0) / layout.channels
    level = vorbis_level(layout.sample_rate, kbps)
    return {"format": "OGG", "subtype": "VORBIS", "compression_level": level}


def vorbis_level(sample_rate: int, kbps_per_channel: float) -> float:
    """The compression level, 0 to 1, that comes nearest to a bitrate for speech."""
    row = next((kbps for rate, kbps in _KBPS_BY_RATE if sample_rate <= rate), _KBPS_BY_RATE[-1][1])
    return float(np.interp(kbps_per_channel, row[::-1], _LEVELS[::-1]))
