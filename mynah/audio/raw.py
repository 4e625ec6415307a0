"""Files that are nothing but samples: PCM of 16 bits, and G.711 for telephones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from mynah.audio.formats import OutputLayout
from mynah.audio.g711 import Law, decode_g711, encode_g711
from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import InvalidAudio

RAW_FORMATS = (OutputFormat.PCM, OutputFormat.ULAW, OutputFormat.ALAW)
_LAWS: dict[OutputFormat, Law] = {OutputFormat.ULAW: "ulaw", OutputFormat.ALAW: "alaw"}
_BLOCK_FRAMES = 65536


class RawFileWriter:
    """Writes blocks into ``output`` without a header: a reader has to know the layout.

    ``pcm``: little-endian int16, channels interleaved. ``ulaw``, ``alaw``: one byte a sample.
    """

    def __init__(self, output: BinaryIO, fmt: OutputFormat) -> None:
        self._output = output
        self._law = _LAWS.get(fmt)
        self._size_bytes = 0

    def add(self, block: Waveform) -> None:
        """Append a block."""
        data = block.to_pcm16() if self._law is None else encode_g711(block.to_int16(), self._law)
        self._size_bytes += self._output.write(data)

    def finish(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None:  # noqa: ARG002
        """There is no place for tags. Raises InvalidAudio when nothing was added."""
        if not self._size_bytes:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")

    def close(self) -> None:
        """Nothing is held beside the output."""


def iter_raw_blocks(file: BinaryIO, layout: OutputLayout) -> Iterator[Waveform]:
    """The samples of a file as ``RawFileWriter`` writes it."""
    law, channels = _LAWS.get(layout.format), layout.channels
    frame_bytes = 1 if law else 2 * channels
    while data := file.read(_BLOCK_FRAMES * frame_bytes):
        if law:
            samples = decode_g711(data, law)
        else:
            pcm = np.frombuffer(data[: len(data) // frame_bytes * frame_bytes], "<i2")
            samples = pcm if channels == 1 else np.ascontiguousarray(pcm.reshape(-1, channels).T)
        yield Waveform.from_int16(samples, layout.sample_rate)
