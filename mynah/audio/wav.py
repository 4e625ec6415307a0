"""WAV with 16-bit PCM: writing, reading what was written, the header of a stream."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio

_HEADER_BYTES = 44
_MAX_DATA_BYTES = 0xFFFFFFFF - _HEADER_BYTES
_PCM = 1


def wav_header(sample_rate: int, channels: int, data_bytes: int | None) -> bytes:
    """The 44 bytes before the samples.

    ``data_bytes=None`` writes the largest length, which players take as "until the stream ends".
    Raises InvalidAudio when the samples do not fit into a WAV file (4 GiB).
    """
    if data_bytes is not None and data_bytes > _MAX_DATA_BYTES:
        raise InvalidAudio("The audio is too long for a WAV file.", code="too_long")
    size = _MAX_DATA_BYTES if data_bytes is None else data_bytes
    frame_bytes = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        size + _HEADER_BYTES - 8,
        b"WAVE",
        b"fmt ",
        16,
        _PCM,
        channels,
        sample_rate,
        sample_rate * frame_bytes,
        frame_bytes,
        16,
        b"data",
        size,
    )


def encode_wav(waveform: Waveform) -> bytes:
    """A complete WAV file, 16-bit PCM."""
    pcm = waveform.to_pcm16()
    return wav_header(waveform.sample_rate, waveform.channels, len(pcm)) + pcm


class WavFileWriter:
    """Writes blocks of one layout as one WAV file into ``output``, at which it may seek."""

    def __init__(self, output: BinaryIO, sample_rate: int, channels: int) -> None:
        self._output = output
        self._sample_rate = sample_rate
        self._channels = channels
        self._data_bytes = 0
        output.write(wav_header(sample_rate, channels, None))

    def add(self, block: Waveform) -> None:
        """Append a block."""
        self._data_bytes += self._output.write(block.to_pcm16())

    def finish(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None:  # noqa: ARG002
        """Write the header, which has no room for tags. InvalidAudio when nothing was added or
        more than fits.
        """
        if not self._data_bytes:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        self._output.seek(0)
        self._output.write(wav_header(self._sample_rate, self._channels, self._data_bytes))

    def close(self) -> None:
        """Nothing is held beside the output."""


def decode_wav(data: bytes) -> Waveform:
    """A 16-bit PCM WAV file as a waveform; chunks other than format and data are skipped.

    Raises InvalidAudio for anything else. Recordings of others go through the full decoder.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise InvalidAudio("This is not a WAV file.", code="not_audio")
    layout: tuple[int, int] | None = None
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + size]
        if name == b"fmt ":
            layout = _parse_format(body)
        elif name == b"data" and layout is not None:
            channels, sample_rate = layout
            pcm = np.frombuffer(body[: len(body) // (2 * channels) * 2 * channels], dtype="<i2")
            samples = pcm if channels == 1 else np.ascontiguousarray(pcm.reshape(-1, channels).T)
            return Waveform.from_int16(samples, sample_rate)
        position += 8 + size + size % 2
    raise InvalidAudio("The WAV file holds no samples.", code="corrupt_audio")


def _parse_format(body: bytes) -> tuple[int, int]:
    """Channels and sample rate of a ``fmt`` chunk. Raises InvalidAudio."""
    if len(body) < 16:
        raise InvalidAudio("The WAV header is cut off.", code="corrupt_audio")
    encoding, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if encoding != _PCM or bits != 16 or channels == 0 or sample_rate == 0:
        raise InvalidAudio("The WAV file is not 16-bit PCM.", code="unsupported_format")
    return channels, sample_rate
