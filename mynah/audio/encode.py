"""From blocks of audio to a file: the one place that knows which writer makes which format.

An encoder that fails does not lose the speech: the result is a WAV file then and says why.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeVar

import numpy as np

from mynah.audio.av_file import AvFileWriter
from mynah.audio.channels import remix
from mynah.audio.formats import OutputLayout, OutputSpec
from mynah.audio.mp3 import DEFAULT_BITRATE_KBPS, Mp3Encoder, Mp3FileWriter
from mynah.audio.raw import RAW_FORMATS, RawFileWriter
from mynah.audio.resample import StreamResampler
from mynah.audio.sndfile import SoundFileWriter
from mynah.audio.spool import open_spool, size_of
from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.wav import WavFileWriter
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat
from mynah.errors import InvalidAudio, MynahError, OutputRejected

_T = TypeVar("_T")

CD_BYTES_PER_S = 44100 * 2 * 2


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """A finished file; close it when it is stored.

    ``layout.format`` is what was made: WAV after a fallback, whose cause ``fallback_reason``
    tells. ``encode_s`` is the time the encoder took, without the making of the blocks.
    """

    file: BinaryIO
    size_bytes: int
    layout: OutputLayout
    duration_s: float
    encode_s: float
    fallback_reason: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.file.close()

    def rewound(self) -> BinaryIO:
        """The file, at its start."""
        self.file.seek(0)
        return self.file

    @property
    def data(self) -> bytes:
        """The whole file in memory; for short ones."""
        return self.rewound().read()

    def in_memory(self) -> EncodedAudio:
        """The same with its file as bytes in memory, which need not be closed; for short ones."""
        with self:
            return replace(self, file=io.BytesIO(self.data))

    @property
    def format(self) -> str:
        """The format's name."""
        return self.layout.format.value

    @property
    def content_type(self) -> str:
        """The format's media type."""
        return self.layout.content_type

    @property
    def bitrate_kbps(self) -> int:
        """The constant bitrate of an MP3, else the mean."""
        layout = self.layout
        is_constant = layout.format is OutputFormat.MP3 and layout.vbr_quality is None
        if is_constant and layout.bitrate_kbps is not None:
            return layout.bitrate_kbps
        return round(self.size_bytes * 8 / self.duration_s / 1000)

    @property
    def saved_share(self) -> float:
        """How much smaller this is than CD-quality WAV (44.1 kHz, stereo) of the same length."""
        return 1.0 - self.size_bytes / (self.duration_s * CD_BYTES_PER_S)


def encode_file(
    blocks: Iterable[Waveform],
    spec: OutputSpec,
    tags: SpeechTags | None = None,
    *,
    chapters: Callable[[], Sequence[Chapter]] = tuple,
    headroom_db: float = 0.0,
) -> EncodedAudio:
    """Encode a stream of blocks of one layout, in bounded memory.

    ``blocks`` is gone through again, for WAV, when the encoder fails; when it cannot be (an
    iterator), that is OutputRejected. Tags and ``chapters``, asked for when all blocks have
    come, go into formats that have room for them. ``headroom_db``: see ``Mp3Encoder``.

    Raises InvalidAudio when there is no audio; errors of the blocks' own making pass through.
    """
    encoding = _Encoding(tags or SpeechTags(), chapters, headroom_db)
    try:
        return encoding.run(blocks, spec)
    except _EncoderFailed as failure:
        reason = f"{spec.format} encoding failed ({failure})"
        if spec.format is OutputFormat.WAV or iter(blocks) is blocks:
            raise OutputRejected(f"The {reason}.") from failure
        wav = OutputSpec(OutputFormat.WAV, sample_rate=spec.sample_rate, channels=spec.channels)
        return replace(encoding.run(blocks, wav), fallback_reason=reason)


class _EncoderFailed(Exception):
    """The encoder failed; the audio is as good as before."""


class _FileWriter(Protocol):
    def add(self, block: Waveform) -> None: ...
    def finish(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None: ...
    def close(self) -> None: ...


class _Encoding:
    """What is to be encoded how, and the time that it took."""

    def __init__(
        self, tags: SpeechTags, chapters: Callable[[], Sequence[Chapter]], headroom_db: float
    ) -> None:
        self._tags = tags
        self._chapters = chapters
        self._headroom_db = headroom_db
        self._encode_s = 0.0

    def run(self, blocks: Iterable[Waveform], spec: OutputSpec) -> EncodedAudio:
        """One pass over the blocks. Raises _EncoderFailed."""
        output, remaining = open_spool(), iter(blocks)
        try:
            fitting = self._write(remaining, spec, output)
        except BaseException:
            output.close()
            raise
        finally:
            if isinstance(remaining, Generator):
                remaining.close()  # its thread, if it has one, is not to go on for nothing
        duration_s = fitting.frames / fitting.layout.sample_rate
        return EncodedAudio(output, size_of(output), fitting.layout, duration_s, self._encode_s)

    def _write(self, remaining: Iterator[Waveform], spec: OutputSpec, output: BinaryIO) -> _Fitting:
        first = next(remaining, None)
        if first is None:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        fitting = _Fitting(first, spec)
        writer = self._attempt(lambda: self._open(output, fitting.layout))
        try:
            for block in chain((first,), remaining):
                self._add(writer, fitting.fit(block))
            self._add(writer, fitting.flush())
            if fitting.frames == 0:
                raise InvalidAudio("There is no audio to encode.", code="empty_audio")
            chapters = self._chapters()
            self._attempt(lambda: writer.finish(self._tags, chapters))
        finally:
            writer.close()
        return fitting

    def _add(self, writer: _FileWriter, block: Waveform) -> None:
        self._attempt(lambda: writer.add(block))

    def _open(self, output: BinaryIO, layout: OutputLayout) -> _FileWriter:
        rate, channels = layout.sample_rate, layout.channels
        if layout.format is OutputFormat.WAV:
            return WavFileWriter(output, rate, channels)
        if layout.format in RAW_FORMATS:
            return RawFileWriter(output, layout.format)
        if layout.format in (OutputFormat.OGG, OutputFormat.FLAC):
            return SoundFileWriter(output, layout)
        if layout.format is not OutputFormat.MP3:
            return AvFileWriter(output, layout)
        encoder = Mp3Encoder(
            rate,
            channels=channels,
            bitrate_kbps=layout.bitrate_kbps or DEFAULT_BITRATE_KBPS,
            vbr_quality=layout.vbr_quality,
            headroom_db=self._headroom_db,
        )
        return Mp3FileWriter(output, encoder)

    def _attempt(self, step: Callable[[], _T]) -> _T:
        """Run a step of the encoder. Raises _EncoderFailed when it fails."""
        started = time.perf_counter()
        try:
            return step()
        except MynahError:
            raise
        except Exception as error:
            raise _EncoderFailed(f"{type(error).__name__}: {error}") from error
        finally:
            self._encode_s += time.perf_counter() - started


class _Fitting:
    """Brings blocks to the layout of the file."""

    def __init__(self, first: Waveform, spec: OutputSpec) -> None:
        self._source = (first.sample_rate, first.channels)
        self.layout = spec.resolve(first.sample_rate, first.channels)
        self.frames = 0  # of the file
        rate, channels = self.layout.sample_rate, self.layout.channels
        self._resampler = (
            StreamResampler(first.sample_rate, rate, channels)
            if first.sample_rate != rate
            else None
        )

    def fit(self, block: Waveform) -> Waveform:
        """The next block. ValueError for another layout than the first block's."""
        if (block.sample_rate, block.channels) != self._source:
            raise ValueError("all blocks of a file must have one sample rate and channel count")
        playable = block if block.channels <= 2 else block.to_mono()
        fitted = remix(playable, self.layout.channels)
        if self._resampler is not None:
            fitted = self._resampler.process(fitted)
        self.frames += fitted.frames
        return fitted

    def flush(self) -> Waveform:
        """What the resampler held back, perhaps nothing."""
        if self._resampler is None:
            shape = (0,) if self.layout.channels == 1 else (self.layout.channels, 0)
            return Waveform(np.zeros(shape, np.float32), self.layout.sample_rate)
        rest = self._resampler.flush()
        self.frames += rest.frames
        return rest
