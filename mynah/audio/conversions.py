"""The conversions by name: a model's tensor, files and chunks to MP3, all in memory.

Nothing here writes a file: speech goes from the model's tensor to MP3 without a WAV in between.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import av
import numpy as np
import numpy.typing as npt

from mynah.audio.av_frames import iter_blocks
from mynah.audio.mp3 import DEFAULT_BITRATE_KBPS, encode_mp3
from mynah.audio.resample import resample
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio

_NO_OTHER_FILES = {"protocol_whitelist": "none"}  # a playlist is not followed


@runtime_checkable
class Tensor(Protocol):
    """What of a torch tensor is needed here, so that torch is not."""

    def detach(self) -> Any:
        """The tensor without its history."""
        ...


def tensor_to_waveform(tensor: Tensor | npt.ArrayLike, sample_rate: int) -> Waveform:
    """A model's output as a waveform.

    ``tensor``: a torch tensor or an array, shape ``(n,)``, ``(1, n)`` or ``(c, n)``, floats in
    [-1, 1] or int16. ``(1, n)`` becomes mono. NaN and infinities become 0. ValueError for
    another shape.
    """
    array = np.asarray(_to_array(tensor))
    if array.ndim == 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim not in (1, 2):
        raise ValueError(f"expected shape (n,), (1, n) or (c, n), got {array.shape}")
    if array.dtype == np.int16:
        return Waveform.from_int16(array, sample_rate)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"expected floats or int16, got {array.dtype}")
    samples = np.asarray(array, np.float32)
    if not np.isfinite(samples).all():  # five times as fast as putting zeros where none are
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return Waveform(samples, sample_rate)


def tensor_to_mp3_bytes(
    tensor: Tensor | npt.ArrayLike,
    sample_rate: int,
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
    tags: SpeechTags | None = None,
) -> bytes:
    """A complete MP3 file from a model's output (shapes: ``tensor_to_waveform``)."""
    return encode_mp3(tensor_to_waveform(tensor, sample_rate), bitrate_kbps, tags=tags)


def tensor_to_audiosegment(tensor: Tensor | npt.ArrayLike, sample_rate: int) -> Any:
    """A pydub ``AudioSegment`` (16 bit) of a model's output, for code that works on those.

    ImportError, naming the remedy, when pydub is not installed: Mynah itself does not need it.
    """
    try:
        from pydub import AudioSegment  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise ImportError("tensor_to_audiosegment needs pydub: pip install pydub") from error
    waveform = tensor_to_waveform(tensor, sample_rate)
    return AudioSegment(
        data=waveform.to_pcm16(),
        sample_width=2,
        frame_rate=waveform.sample_rate,
        channels=waveform.channels,
    )


def convert_audio_file_to_mp3(
    source: str | Path | bytes | BinaryIO,
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
    tags: SpeechTags | None = None,
) -> bytes:
    """Any audio file of the operator's own as a complete MP3, block by block.

    ``source``: a path, the file's bytes or an open binary file. For files of strangers use the
    decoder of uploads, which limits what it opens. Raises InvalidAudio when it does not decode.
    """
    stream: BinaryIO = (
        io.BytesIO(Path(source).read_bytes())
        if isinstance(source, str | Path)
        else io.BytesIO(source)
        if isinstance(source, bytes)
        else source
    )
    return encode_mp3(decode_blocks(stream), bitrate_kbps, tags=tags)


def stitch_mp3_chunks(
    chunks: Iterable[bytes],
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
    tags: SpeechTags | None = None,
) -> bytes:
    """Complete MP3 files, played one after the other, as one MP3 without gaps.

    Byte-joined MP3s click and drift: frames overlap, and every file brings the encoder's delay.
    So the chunks are decoded, their padding cut, and all of it encoded once. The first chunk
    sets the sample rate and the channels. Where the speech is at hand as segments, assemble
    those instead. Raises InvalidAudio when a chunk does not decode.
    """
    return encode_mp3(_joined_blocks(chunks), bitrate_kbps, tags=tags)


def decode_blocks(stream: BinaryIO) -> Iterator[Waveform]:
    """The first audio track of a file of ours, decoded in blocks, encoder padding cut.

    Raises InvalidAudio when it does not decode.
    """
    try:
        with av.open(stream, mode="r", options=_NO_OTHER_FILES) as container:
            for block in iter_blocks(container.decode(audio=0)):
                yield block.to_waveform()
    except (av.FFmpegError, IndexError) as error:
        raise InvalidAudio("The audio does not decode.", code="corrupt_audio") from error


def _joined_blocks(chunks: Iterable[bytes]) -> Iterator[Waveform]:
    first: Waveform | None = None
    for chunk in chunks:
        for block in decode_blocks(io.BytesIO(chunk)):
            first = first or block
            aligned = block
            if block.channels != first.channels:
                aligned = _with_channels(block, first.channels)
            yield resample(aligned, first.sample_rate)


def _with_channels(block: Waveform, channels: int) -> Waveform:
    """``block`` with its mean on each of ``channels`` channels."""
    mono = block.to_mono()
    if channels == 1:
        return mono
    return Waveform(np.repeat(mono.samples[None], channels, axis=0), mono.sample_rate)


def _to_array(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else tensor
