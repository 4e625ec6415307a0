"""OGG Vorbis by libsndfile, in memory: exact to the sample, played by every browser."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from mynah.audio.tags import SpeechTags, tag_ogg_vorbis
from mynah.audio.waveform import Waveform
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


class OggFileWriter:
    """Collects blocks into one OGG Vorbis file. Holds the compressed bytes only.

    The bitrate varies around ``bitrate_kbps``; a bitrate beyond what Vorbis spends on speech at
    the sample rate (77 kbit/s at 24 kHz) gives its best quality.
    """

    def __init__(self, sample_rate: int, channels: int, bitrate_kbps: int) -> None:
        self._output = io.BytesIO()
        self._file = soundfile.SoundFile(
            self._output,
            mode="w",
            samplerate=sample_rate,
            channels=channels,
            format="OGG",
            subtype="VORBIS",
            compression_level=vorbis_level(sample_rate, bitrate_kbps / channels),
        )

    def add(self, block: Waveform) -> None:
        """Append a block."""
        interleaved = np.clip(block.samples.T, -1.0, 1.0)
        for start in range(0, block.frames, _WRITE_FRAMES):
            self._file.write(interleaved[start : start + _WRITE_FRAMES])

    def finish(self, tags: SpeechTags) -> bytes:
        """The file with its comments. Raises InvalidAudio when nothing was added."""
        is_empty = self._file.frames == 0
        self._file.close()
        if is_empty:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        return tag_ogg_vorbis(self._output.getvalue(), tags)


def vorbis_level(sample_rate: int, kbps_per_channel: float) -> float:
    """The compression level, 0 to 1, that comes nearest to a bitrate for speech."""
    row = next((kbps for rate, kbps in _KBPS_BY_RATE if sample_rate <= rate), _KBPS_BY_RATE[-1][1])
    return float(np.interp(kbps_per_channel, row[::-1], _LEVELS[::-1]))
