"""The forms in which a listener gets speech, each with an encoder of the listener's own.

This module brings numpy and the encoders: the gateway imports it after its start.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from mynah.audio.g711 import Law, encode_g711
from mynah.audio.levelling import SPEECH_CEILING_DBTP
from mynah.audio.mp3 import Mp3Encoder
from mynah.audio.mp3_format import choose_mp3_rate, legal_bitrates_kbps
from mynah.audio.mp3_switching import SwitchingMp3Encoder
from mynah.audio.resample import StreamResampler
from mynah.audio.tags import SpeechTags, build_id3
from mynah.audio.wav import wav_header
from mynah.audio.waveform import Waveform
from services.api.live.adapting import bitrates_below

OPUS_RATE = 48_000


class StreamEncoder(Protocol):
    """Turns blocks of one stream into bytes."""

    def encode(self, block: Waveform) -> bytes:
        """The bytes that this block completes, perhaps none."""
        ...

    def flush(self) -> bytes:
        """The last bytes."""
        ...


def split_block(block: Waveform, longest_s: float) -> Iterator[Waveform]:
    """A block in parts, so that what is to be sent does not wait for the encoding of the rest."""
    start = 0
    while start < block.frames:
        yield (part := block.part(start, longest_s))
        start += part.frames


class PcmEncoder:
    """16-bit little-endian samples as they are."""

    def encode(self, block: Waveform) -> bytes:
        """See StreamEncoder."""
        return block.to_pcm16()

    def flush(self) -> bytes:
        """See StreamEncoder."""
        return b""


class G711Encoder:
    """One byte a sample, for telephones."""

    def __init__(self, law: Law) -> None:
        self._law = law

    def encode(self, block: Waveform) -> bytes:
        """See StreamEncoder."""
        return encode_g711(block.to_int16(), self._law)

    def flush(self) -> bytes:
        """See StreamEncoder."""
        return b""


@dataclass(frozen=True, slots=True)
class _Codec:
    """One of FFmpeg's encoders, and the container in which its sound is sent.

    ``rate`` None = the stream's own. ``sample_format``: "fltp" (float) or "s16".
    """

    container: str
    encoder: str
    rate: int | None = None
    sample_format: str = "fltp"
    container_options: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


_CODECS = {
    # OGG (RFC 7845), with a page for each 20 ms so that nothing waits in the muxer.
    "opus": _Codec(
        *("opus", "libopus", OPUS_RATE),
        container_options={"page_duration": "20000"},
        options={"application": "voip"},
    ),
    # ADTS frames, which need no head. "fast": see ``mynah.audio.av_file``.
    "aac": _Codec("adts", "aac", options={"aac_coder": "fast"}),
    # Its head says that the length is not known (RFC 9639, 8.2).
    "flac": _Codec("flac", "flac", sample_format="s16"),
}


class AvEncoder:
    """A stream of one of FFmpeg's encoders; each packet goes out as soon as it is there."""

    def __init__(self, codec: _Codec, sample_rate: int, bitrate_kbps: int) -> None:
        self._codec = codec
        self._rate = codec.rate or sample_rate
        self._resampler = StreamResampler(sample_rate, self._rate)
        self._output = _Output()
        options = {"flush_packets": "1", **codec.container_options}
        self._container = av.open(self._output, "w", format=codec.container, options=options)
        stream = self._container.add_stream(
            codec.encoder, rate=self._rate, layout="mono", options=dict(codec.options)
        )
        self._stream = cast(AudioStream, stream)
        self._stream.bit_rate = bitrate_kbps * 1000
        self._frames = 0

    def encode(self, block: Waveform) -> bytes:
        """See StreamEncoder."""
        return self._push(self._resampler.process(block))

    def flush(self) -> bytes:
        """See StreamEncoder."""
        rest = self._push(self._resampler.flush())
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return rest + self._output.take()

    def _push(self, block: Waveform) -> bytes:
        if block.frames:
            frame = _frame_of(block, self._codec.sample_format)
            frame.sample_rate = self._rate
            frame.pts, frame.time_base = self._frames, Fraction(1, self._rate)
            self._frames += block.frames
            self._container.mux(self._stream.encode(frame))
        return self._output.take()


def _frame_of(block: Waveform, sample_format: str) -> av.AudioFrame:
    if sample_format == "s16":
        whole = np.ascontiguousarray(block.to_int16()[None])
        return av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
    samples = np.ascontiguousarray(block.samples[None])
    return av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")


class _Output(io.RawIOBase):
    """What a muxer writes, until it is taken; it cannot go back."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        written = bytes(cast(bytes, data))
        self._data += written
        return len(written)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


@dataclass(frozen=True, slots=True)
class StreamForm:
    """What a listener gets, mono at ``sample_rate``.

    ``format``: "mp3", "wav", "pcm", "opus" (played at 48 kHz), "aac" (ADTS), "flac", "ulaw" or
    "alaw".
    """

    format: str
    sample_rate: int
    bitrate_kbps: int
    tags: SpeechTags

    @property
    def output_rate(self) -> int:
        """The rate at which it is to be played."""
        return OPUS_RATE if self.format == "opus" else self.sample_rate

    def start(self) -> bytes:
        """What can be sent before any audio is there: a tag, a header of open length."""
        if self.format == "mp3":
            return build_id3(self.tags)
        return wav_header(self.sample_rate, 1, None) if self.format == "wav" else b""

    @property
    def has_bitrates(self) -> bool:
        """Whether its bitrate can follow its listener's connection."""
        return self.format == "mp3"

    @property
    def bitrates_kbps(self) -> tuple[int, ...]:
        """The bitrates among which an MP3's may follow its connection, the highest first."""
        rate = choose_mp3_rate(self.sample_rate, self.bitrate_kbps)
        return bitrates_below(self.bitrate_kbps, legal_bitrates_kbps(rate))

    def show_bitrates(self, *, is_adaptive: bool) -> str:
        """The bitrates that an MP3's listener may get, for a header."""
        shown = self.bitrates_kbps if is_adaptive else (self.bitrate_kbps,)
        return ", ".join(map(str, shown))

    def switching_encoder(self) -> SwitchingMp3Encoder:
        """An MP3 encoder for one listener, whose bitrate may change."""
        return SwitchingMp3Encoder(self.sample_rate, self.bitrate_kbps, -SPEECH_CEILING_DBTP)

    def encoder(self) -> StreamEncoder:
        """An encoder for one listener."""
        if self.format == "mp3":
            return Mp3Encoder(
                self.sample_rate,
                bitrate_kbps=self.bitrate_kbps,
                headroom_db=-SPEECH_CEILING_DBTP,
            )
        if self.format in _CODECS:
            return AvEncoder(_CODECS[self.format], self.sample_rate, self.bitrate_kbps)
        if self.format in ("ulaw", "alaw"):
            return G711Encoder(cast(Law, self.format))
        return PcmEncoder()
