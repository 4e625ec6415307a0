"""Decode a recording by its content, whatever its name says, within limits.

FFmpeg sees bytes in memory and only the demuxers listed here: no playlists, no other files,
no network.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np

from mynah.audio.av_frames import frame_samples
from mynah.audio.waveform import Samples, Waveform
from mynah.errors import InvalidAudio, UnsupportedFormat

MIN_DURATION_S = 0.1
MAX_CHANNELS = 8
MAX_SAMPLE_RATE = 384_000
_SNIFFED_BYTES = 1 << 20
# Broken packets are skipped; a recording with more broken than whole ones is refused.
_MAX_BROKEN_SHARE = 0.5

# First bytes -> FFmpeg's name of the demuxer; no others are ever opened.
_STARTS = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"\x1aE\xdf\xa3": "matroska",
    b"FORM": "aiff",
}
_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
# Audio that is told from garbage, so that the message can be clearer.
_KNOWN_OTHERS = (b"\x30\x26\xb2\x75", b".snd", b"#!AMR", b"caff", b"MThd")


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What a recording may take when decoded: seconds, and bytes as float32."""

    max_duration_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class DecodedRecording:
    """A recording at its own rate and with its own channels."""

    waveform: Waveform
    container: str
    codec: str


def decode_recording(data: bytes, limits: DecodingLimits) -> DecodedRecording:
    """Decode a whole recording.

    Raises InvalidAudio (``empty_audio``, ``not_audio``, ``corrupt_audio``, ``too_short``,
    ``too_long``) and UnsupportedFormat. The header's length is not believed: limits are checked
    on what comes out.
    """
    if not data:
        raise InvalidAudio("The file is empty.", code="empty_audio")
    try:
        with _open(data) as container:
            if not container.streams.audio:
                raise InvalidAudio("The file holds no audio.", code="not_audio")
            stream = container.streams.audio[0]
            waveform = _join(_decode(container, stream), limits)
            return DecodedRecording(waveform, container.format.name, stream.codec_context.name)
    except av.FFmpegError as error:
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio") from error


def _open(data: bytes) -> av.container.InputContainer:
    name = _sniff(data)
    try:
        return av.open(io.BytesIO(data), mode="r", format=name)
    except (av.FFmpegError, ValueError) as error:
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio") from error


def _sniff(data: bytes) -> str:
    """FFmpeg's name of the container, from the first bytes."""
    head = data[:16]
    if head.startswith(b"ID3"):
        head = _after_id3(data)
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    if head[8:12] == b"WAVE" and head[:4] in (b"RIFF", b"RF64"):
        return "wav"
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    stripped = data[:_SNIFFED_BYTES].lstrip(b"\x00")[:2] if head[:1] == b"\x00" else head[:2]
    if len(stripped) == 2 and stripped[0] == 0xFF and stripped[1] & 0xE0 == 0xE0:
        return "aac" if stripped[1] & 0x06 == 0 else "mp3"  # layer 0 is AAC's ADTS
    if head.startswith(_KNOWN_OTHERS):
        raise UnsupportedFormat("Send WAV, MP3, M4A, FLAC, OGG or WebM.")
    raise InvalidAudio("The file is not audio.", code="not_audio")


def _after_id3(data: bytes) -> bytes:
    """The first bytes behind an ID3 tag; its length is four groups of seven bits."""
    if len(data) < 14:
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio")
    groups = zip(data[6:10], (21, 14, 7, 0), strict=True)
    size = 10 + sum((byte & 0x7F) << shift for byte, shift in groups)
    # Some writers pad after the tag; what is left then is most likely MP3.
    return data[size : size + 16].lstrip(b"\x00") or b"\xff\xfb"


def _decode(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[av.AudioFrame]:
    whole = broken = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
            whole += 1
        except av.InvalidDataError:
            broken += 1
            continue
        yield from (frame for frame in frames if isinstance(frame, av.AudioFrame))
    if broken and broken >= _MAX_BROKEN_SHARE * (whole + broken):
        raise InvalidAudio("The audio is damaged.", code="corrupt_audio")


def _join(frames: Iterator[av.AudioFrame], limits: DecodingLimits) -> Waveform:
    blocks: list[Samples] = []
    sample_rate = channels = count = 0
    for frame in frames:
        samples = frame_samples(frame)
        if not blocks:
            sample_rate, channels = frame.sample_rate, samples.shape[0]
            _check_layout(sample_rate, channels)
        if frame.sample_rate != sample_rate or samples.shape[0] != channels:
            raise InvalidAudio("The audio changes its layout midway.", code="corrupt_audio")
        count += samples.shape[1]
        if count > limits.max_duration_s * sample_rate:
            raise InvalidAudio(
                f"The recording is longer than {limits.max_duration_s:g} s.", code="too_long"
            )
        if count * channels * 4 > limits.max_bytes:
            raise InvalidAudio("The recording is too large when decoded.", code="too_long")
        blocks.append(samples)
    if not blocks:
        raise InvalidAudio("The file holds no audio.", code="corrupt_audio")
    if count < MIN_DURATION_S * sample_rate:
        raise InvalidAudio("The recording is too short.", code="too_short")
    joined = np.concatenate(blocks, axis=1)
    return Waveform(joined[0] if channels == 1 else joined, sample_rate)


def _check_layout(sample_rate: int, channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS or not 1000 <= sample_rate <= MAX_SAMPLE_RATE:
        raise UnsupportedFormat(f"{channels} channels at {sample_rate} Hz are not supported.")
