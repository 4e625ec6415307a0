"""Decode a recording by its content, whatever its name says, within limits.

FFmpeg sees bytes in memory, the demuxer that the first bytes call for and the decoders listed
here: no playlists, no other files, no network.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.container
import numpy as np

from mynah.audio.av_frames import DecodedBlock, FrameBatcher
from mynah.audio.mp3_format import parse_frame_header
from mynah.audio.waveform import Samples, Waveform
from mynah.errors import InvalidAudio

MIN_DURATION_S = 0.1
MAX_CHANNELS = 8
MIN_SAMPLE_RATE = 1000
MAX_SAMPLE_RATE = 384_000
# Broken packets are skipped; a recording with more broken than whole ones is refused.
MAX_DAMAGED_SHARE = 0.5

# First bytes -> FFmpeg's name of the demuxer; no others are ever opened.
_STARTS = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"\x1aE\xdf\xa3": "matroska",
    b"FORM": "aiff",
}
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
# Audio of other kinds (WMA, AU, AMR, CAF, MIDI), so that the message can be clearer.
_KNOWN_OTHERS = (b"\x30\x26\xb2\x75", b".snd", b"#!AMR", b"caff", b"MThd")
_PCM_CODECS = [
    *(f"pcm_{kind}" for kind in ("alaw", "mulaw", "s8", "u8")),
    *(
        f"pcm_{kind}{order}"
        for kind in ("s16", "s24", "s32", "f32", "f64")
        for order in ("le", "be")
    ),
]
_CODECS = frozenset(
    [
        *("aac", "alac", "flac", "mp3", "mp3float", "opus", "libopus", "vorbis"),
        *("adpcm_ima_wav", "adpcm_ms"),
        *_PCM_CODECS,
    ]
)
_OPTIONS = {
    "protocol_whitelist": "none",
    "codec_whitelist": ",".join(sorted(_CODECS)),  # also keeps video from being looked into
}
_SYNC_SEARCH_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What a recording may take when decoded: seconds, and bytes as float32."""

    max_duration_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class DecodedRecording:
    """A recording at its own rate and with its own channels.

    ``damaged_share`` (0–1) of it could not be decoded and is missing. ``bit_rate`` is the whole
    file's mean, in bit/s.
    """

    waveform: Waveform
    container: str
    codec: str
    bit_rate: int
    damaged_share: float


def decode_recording(data: bytes, limits: DecodingLimits) -> DecodedRecording:
    """Decode a whole recording; of a video, its first audio track.

    Raises InvalidAudio with one of the codes ``empty_audio``, ``not_audio``, ``corrupt_audio``,
    ``too_short``, ``too_long``, ``unsupported_format``. The header's length is not believed:
    the limits are checked on what comes out, as it comes.
    """
    if not data:
        raise InvalidAudio("The file is empty.", code="empty_audio")
    demuxer = sniff_container(data)
    try:
        with av.open(
            io.BytesIO(data), mode="r", format=demuxer, options=_OPTIONS, metadata_errors="ignore"
        ) as container:
            stream = _audio_stream(container)
            decoding = _Decoding(limits)
            for block in decoding.blocks(container, stream):
                decoding.keep(block)
            waveform, damaged_share = decoding.result()
            codec = stream.codec_context.name
    except (av.FFmpegError, ValueError) as error:
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio") from error
    return DecodedRecording(
        waveform=waveform,
        container=demuxer,
        codec=codec,
        bit_rate=round(len(data) * 8 / waveform.duration_s),
        damaged_share=damaged_share,
    )


def sniff_container(data: bytes) -> str:
    """FFmpeg's name of the container, from the first bytes.

    Raises InvalidAudio: ``unsupported_format`` for audio of another kind, else ``not_audio``.
    """
    body = _after_id3(data) if data.startswith(b"ID3") else data
    head = body[:16]
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[8:12] == b"WAVE" and head[:4] in (b"RIFF", b"RF64"):
        return "wav"
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    if head.startswith(_KNOWN_OTHERS):
        raise InvalidAudio(
            "This kind of audio is not supported. Send WAV, MP3, M4A, FLAC, OGG or WebM.",
            code="unsupported_format",
        )
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"  # ADTS: the sync word of MP3 with layer 0
    if _has_mp3_frames(body):
        return "mp3"
    if body is not data:  # an ID3 tag is there, what it was the tag of is not
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio")
    raise InvalidAudio("The file is not audio.", code="not_audio")


def _after_id3(data: bytes) -> bytes:
    """What follows an ID3 tag, whose length is four groups of seven bits."""
    if len(data) < 10:
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio")
    groups = zip(data[6:10], (21, 14, 7, 0), strict=True)
    size = 10 + sum((byte & 0x7F) << shift for byte, shift in groups)
    return data[size : size + 2 * _SYNC_SEARCH_BYTES]


def _has_mp3_frames(data: bytes) -> bool:
    """Whether one frame follows another near the start; zeros or a cut frame may come before."""
    position = data.find(b"\xff", 0, _SYNC_SEARCH_BYTES)
    while position >= 0:
        header = parse_frame_header(data, position)
        if header is not None:
            following = position + header.size_bytes
            if following >= len(data) or parse_frame_header(data, following) is not None:
                return True
        position = data.find(b"\xff", position + 1, _SYNC_SEARCH_BYTES)
    return False


def _audio_stream(container: av.container.InputContainer) -> av.AudioStream:
    """The first audio track. Raises InvalidAudio when there is none that may be decoded."""
    if not container.streams.audio:
        raise InvalidAudio("The file holds no audio.", code="not_audio")
    stream = container.streams.audio[0]
    if stream.codec_context is None or stream.codec_context.name not in _CODECS:
        raise InvalidAudio("The audio's codec is not supported.", code="unsupported_format")
    return stream


class _Decoding:
    """One recording being decoded: its blocks by layout, its damage, its limits."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits
        self._by_layout: dict[tuple[int, int], list[Samples]] = {}
        self._packets = 0
        self._broken_packets = 0
        self._duration_s = 0.0
        self._size_bytes = 0

    def blocks(
        self, container: av.container.InputContainer, stream: av.AudioStream
    ) -> Iterator[DecodedBlock]:
        """What decodes of the stream, in order; broken packets are counted and skipped."""
        batcher = FrameBatcher()
        for packet in self._packets_of(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._broken_packets += 1
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and (block := batcher.add(frame)) is not None:
                    yield block
        if (block := batcher.flush()) is not None:
            yield block

    def _packets_of(
        self, container: av.container.InputContainer, stream: av.AudioStream
    ) -> Iterator[av.Packet[av.AudioStream]]:
        """The packets up to the end or to where the container itself breaks off."""
        try:
            for packet in container.demux(stream):
                self._packets += 1
                yield packet
        except av.FFmpegError:
            self._packets += 1
            self._broken_packets += 1

    def keep(self, block: DecodedBlock) -> None:
        """Add a block. Raises InvalidAudio when the recording grows beyond its limits."""
        channels, frames = block.samples.shape
        self._duration_s += frames / block.sample_rate
        self._size_bytes += block.samples.nbytes
        if self._duration_s > self._limits.max_duration_s:
            raise InvalidAudio(
                f"The recording is longer than {self._limits.max_duration_s:g} s.", code="too_long"
            )
        if self._size_bytes > self._limits.max_bytes:
            raise InvalidAudio("The recording is too large when decoded.", code="too_long")
        layout = (block.sample_rate, channels)
        self._by_layout.setdefault(layout, []).append(block.samples)

    def result(self) -> tuple[Waveform, float]:
        """The waveform and the damaged share. Raises InvalidAudio when too little is left.

        A damaged frame may claim another rate or channel count; what is not of the prevailing
        layout is left out.
        """
        if not self._by_layout:
            if self._broken_packets:
                raise InvalidAudio("The audio is damaged.", code="corrupt_audio")
            raise InvalidAudio("The recording holds no sound.", code="empty_audio")
        lengths_s = {
            layout: sum(samples.shape[1] for samples in blocks) / layout[0]
            for layout, blocks in self._by_layout.items()
        }
        layout = max(lengths_s, key=lambda one: lengths_s[one])
        whole = 1.0 - self._broken_packets / max(self._packets, 1)
        damaged_share = 1.0 - whole * lengths_s[layout] / max(self._duration_s, 1e-9)
        if damaged_share > MAX_DAMAGED_SHARE:
            raise InvalidAudio("The audio is damaged.", code="corrupt_audio")
        _check_layout(*layout)
        if lengths_s[layout] < MIN_DURATION_S:
            raise InvalidAudio("The recording is too short.", code="too_short")
        joined = np.concatenate(self._by_layout.pop(layout), axis=1)
        samples = joined[0] if layout[1] == 1 else joined
        return Waveform(samples, layout[0]), round(damaged_share, 4)


def _check_layout(sample_rate: int, channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS or not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise InvalidAudio(
            f"{channels} channels at {sample_rate} Hz are not supported.",
            code="unsupported_format",
        )
