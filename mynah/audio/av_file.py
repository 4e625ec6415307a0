"""Opus and AAC by FFmpeg's libraries, in process, into OGG and MP4 files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np

from mynah.audio.formats import OutputLayout
from mynah.audio.mp4 import copy_moov_first, write_mp4_tags
from mynah.audio.spool import open_spool
from mynah.audio.tags import Chapter, SpeechTags, spans_of_chapters, write_comments
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import InvalidAudio

# FFmpeg's documentation of its AAC encoder: "fast" is worse than "twoloop" at low bitrates, but
# better and much faster at higher ones (measured on speech at 24 kHz: 3.5 times as fast, the
# noise 3 dB lower at 64 kbit/s).
_FAST_AAC_FROM_KBPS = 48
_BRANDS = {OutputFormat.M4A: b"M4A ", OutputFormat.M4B: b"M4B "}
_MS = Fraction(1, 1000)


class AvFileWriter:
    """Writes blocks as one Opus, M4A or M4B file into ``output``.

    MP4 files get their index in front, so that they play while they come, and an edit list, and
    Opus its pre-skip and last granule, so that players leave out what the encoders add.
    """

    def __init__(self, output: BinaryIO, layout: OutputLayout) -> None:
        self._output = output
        self._layout = layout
        self._frames = 0
        self._is_mp4 = layout.format is not OutputFormat.OPUS
        self._body = open_spool() if self._is_mp4 else output
        self._container = av.open(self._body, "w", format="ipod" if self._is_mp4 else "opus")
        self._stream = self._open_stream()

    def add(self, block: Waveform) -> None:
        """Append a block."""
        if block.frames == 0:
            return
        samples = np.ascontiguousarray(np.atleast_2d(block.samples))
        name = "mono" if block.channels == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=name)
        frame.sample_rate = block.sample_rate
        # Without times the edit list would not know of the encoder's delay.
        frame.pts, frame.time_base = self._frames, Fraction(1, block.sample_rate)
        self._container.mux(self._stream.encode(frame))
        self._frames += block.frames

    def finish(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None:
        """Complete the file with its tags. Raises InvalidAudio when nothing was added."""
        if self._frames == 0:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        self._container.mux(self._stream.encode(None))
        if self._is_mp4:
            self._finish_mp4(tags, chapters)
        else:
            self._container.close()
            write_comments(self._output, self._layout.format, tags, chapters)

    def close(self) -> None:
        """Drop what an unfinished file holds."""
        self._container.close()
        if self._is_mp4:
            self._body.close()

    def _open_stream(self) -> Any:
        layout = self._layout
        options = {"application": "audio"}
        if self._is_mp4:
            is_fast = (layout.bitrate_kbps or 0) >= _FAST_AAC_FROM_KBPS * layout.channels
            options = {"aac_coder": "fast" if is_fast else "twoloop"}
        stream = self._container.add_stream(
            "aac" if self._is_mp4 else "libopus",
            rate=layout.sample_rate,
            layout="mono" if layout.channels == 1 else "stereo",
            options=options,
        )
        stream.bit_rate = (layout.bitrate_kbps or 0) * 1000
        return stream

    def _finish_mp4(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None:
        if self._layout.format is OutputFormat.M4B:
            duration_s = self._frames / self._layout.sample_rate
            self._container.set_chapters(
                [
                    {
                        "id": number,
                        "start": start,
                        "end": end,
                        "time_base": _MS,
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(
                        spans_of_chapters(chapters, duration_s), 1
                    )
                ]
            )
        self._container.close()
        write_mp4_tags(self._body, tags)
        copy_moov_first(self._body, self._output, _BRANDS[self._layout.format])
