"""From blocks of audio to a file: the one place that knows the output formats.

A lossy encoder that fails does not lose the speech: the result is a WAV file then and says why.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import av

from mynah.audio.av_frames import iter_blocks
from mynah.audio.mp3 import DEFAULT_BITRATE_KBPS, Mp3Encoder, Mp3FileWriter
from mynah.audio.mp3_format import choose_mp3_rate
from mynah.audio.ogg import OggFileWriter
from mynah.audio.tags import SpeechTags
from mynah.audio.wav import WavFileWriter
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio, MynahError, OutputRejected, UnsupportedFormat

_T = TypeVar("_T")

CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg"}

_CD_BYTES_PER_S = 44100 * 2 * 2
_DURATION_TOLERANCE_S = 0.1
_DURATION_TOLERANCE_SHARE = 0.01
_SILENCE_PEAK = 10 ** (-50 / 20)


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """A finished file.

    ``format`` is what was made: "wav" after a fallback, whose cause ``fallback_reason`` tells.
    ``bitrate_kbps`` is the constant bitrate or the mean of a variable one. ``encode_s`` is the
    time the encoder took, without the making of the blocks.
    """

    data: bytes
    format: str
    content_type: str
    duration_s: float
    sample_rate: int
    channels: int
    bitrate_kbps: int
    encode_s: float
    fallback_reason: str | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        return len(self.data)

    @property
    def saved_share(self) -> float:
        """How much smaller this is than CD-quality WAV (44.1 kHz, stereo) of the same length."""
        return 1.0 - self.size_bytes / (self.duration_s * _CD_BYTES_PER_S)


def encode_file(
    blocks: Iterable[Waveform],
    fmt: str,
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
    tags: SpeechTags | None = None,
    *,
    vbr_quality: int | None = None,
) -> EncodedAudio:
    """Encode a stream of blocks of one layout as "mp3", "wav" or "ogg".

    Memory: the compressed file, and 2 bytes per sample for the fallback. ``tags`` go into MP3
    and OGG. ``vbr_quality`` (0 best to 9) makes an MP3's bitrate variable.

    Raises UnsupportedFormat for another format or a bitrate that MP3 does not have, InvalidAudio
    when there is no audio; errors of the blocks' own making pass through.
    """
    if fmt not in CONTENT_TYPES:
        raise UnsupportedFormat(f"The output format {fmt!r} is not supported.")
    if fmt == "mp3" and vbr_quality is None:
        choose_mp3_rate(44100, bitrate_kbps)  # an illegal bitrate is refused before any work
    encoding: _Encoding | None = None
    for block in blocks:
        playable = block if block.channels <= 2 else block.to_mono()
        if encoding is None:
            encoding = _Encoding(fmt, playable, bitrate_kbps, vbr_quality)
        encoding.add(playable)
    if encoding is None:
        raise InvalidAudio("There is no audio to encode.", code="empty_audio")
    return encoding.finish(tags or SpeechTags())


class _LossyWriter(Protocol):
    def add(self, block: Waveform) -> None: ...
    def finish(self, tags: SpeechTags) -> bytes: ...


class _Encoding:
    """One file being made: the chosen writer, and the WAV that stands by in case it fails."""

    def __init__(
        self, fmt: str, first: Waveform, bitrate_kbps: int, vbr_quality: int | None
    ) -> None:
        self._sample_rate = first.sample_rate
        self._channels = first.channels
        self._constant_kbps = bitrate_kbps if fmt == "mp3" and vbr_quality is None else None
        self._format = fmt
        self._frames = 0
        self._encode_s = 0.0
        self._fallback_reason: str | None = None
        self._wav = WavFileWriter(first.sample_rate, first.channels)
        self._lossy: _LossyWriter | None = None
        if fmt != "wav":
            self._attempt(lambda: self._open(bitrate_kbps, vbr_quality))

    def add(self, block: Waveform) -> None:
        """Append a block. ValueError for another layout than the first block's."""
        if block.sample_rate != self._sample_rate or block.channels != self._channels:
            raise ValueError("all blocks of a file must have one sample rate and channel count")
        self._frames += block.frames
        self._wav.add(block)
        if (lossy := self._lossy) is not None:
            self._attempt(lambda: lossy.add(block))

    def finish(self, tags: SpeechTags) -> EncodedAudio:
        """The file, or the WAV instead."""
        if self._frames == 0:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        data: bytes | None = None
        if (lossy := self._lossy) is not None:
            data = self._attempt(lambda: lossy.finish(tags))
        is_fallback = data is None and self._format != "wav"
        if data is None:
            started = time.perf_counter()
            data = self._wav.finish()
            self._encode_s += time.perf_counter() - started
        duration_s = self._frames / self._sample_rate
        made = "wav" if is_fallback else self._format
        mean_kbps = round(len(data) * 8 / duration_s / 1000)
        return EncodedAudio(
            data=data,
            format=made,
            content_type=CONTENT_TYPES[made],
            duration_s=duration_s,
            sample_rate=self._sample_rate,
            channels=self._channels,
            bitrate_kbps=mean_kbps if is_fallback else self._constant_kbps or mean_kbps,
            encode_s=self._encode_s,
            fallback_reason=self._fallback_reason,
        )

    def _open(self, bitrate_kbps: int, vbr_quality: int | None) -> None:
        if self._format == "ogg":
            self._lossy = OggFileWriter(self._sample_rate, self._channels, bitrate_kbps)
            return
        encoder = Mp3Encoder(
            self._sample_rate,
            channels=self._channels,
            bitrate_kbps=bitrate_kbps,
            vbr_quality=vbr_quality,
        )
        self._lossy = Mp3FileWriter(encoder)

    def _attempt(self, step: Callable[[], _T]) -> _T | None:
        """Run a step of the lossy encoder; when it fails, note why and go on as WAV."""
        started = time.perf_counter()
        try:
            return step()
        except MynahError:
            raise
        except Exception as error:
            self._lossy = None
            cause = f"{type(error).__name__}: {error}"
            self._fallback_reason = f"{self._format} encoding failed ({cause})"
            return None
        finally:
            self._encode_s += time.perf_counter() - started


def check_output(data: bytes, fmt: str, expected_duration_s: float) -> None:
    """Decode a finished file to its end and raise OutputRejected when it is not as it should be.

    It must decode without an error, last as long as expected (within 0.1 s or 1 %) and not be
    silent (peak above -50 dBFS).
    """
    frames, peak, sample_rate = 0, 0.0, 0
    try:
        with av.open(io.BytesIO(data), mode="r", format=fmt) as container:
            for block in iter_blocks(container.decode(audio=0)):
                samples, sample_rate = block.samples, block.sample_rate
                frames += samples.shape[-1]
                peak = max(peak, float(samples.max()), -float(samples.min()))
    except (av.FFmpegError, IndexError) as error:
        raise OutputRejected(f"The finished {fmt} file does not decode.") from error
    duration_s = frames / sample_rate if sample_rate else 0.0
    tolerance_s = max(_DURATION_TOLERANCE_S, _DURATION_TOLERANCE_SHARE * expected_duration_s)
    if abs(duration_s - expected_duration_s) > tolerance_s:
        raise OutputRejected(
            f"The finished {fmt} file lasts {duration_s:.2f} s instead of "
            f"{expected_duration_s:.2f} s."
        )
    if peak < _SILENCE_PEAK:
        raise OutputRejected(f"The finished {fmt} file is silent.")
