"""MP3 by LAME, in process: frames of a stream as they are made, and complete files.

A file is the stream with an Info frame in front. Feed one encoder all blocks of one file or
listener: an encoder per block would put 1,344 samples of silence at every join.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import closing
from io import SEEK_CUR
from itertools import chain
from typing import BinaryIO

import lameenc
import numpy as np

from mynah.audio.mp3_format import choose_mp3_rate
from mynah.audio.mp3_info import FrameIndex, InfoFrame, InfoTag, crc16
from mynah.audio.resample import StreamResampler
from mynah.audio.spool import open_spool
from mynah.audio.tags import Chapter, SpeechTags, build_id3
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio

DEFAULT_BITRATE_KBPS = 96
# LAME's speed setting, 0 (slowest) to 9. 7 leaves out noise shaping and takes 0.7 times as long
# as 5, ffmpeg's default. On speech the noise in every band is the same from 96 kbit/s per channel
# on (measured at 16 and 24 kHz); below that 7 leaves more noisy bands.
_SPARING_QUALITY = 7
_CAREFUL_QUALITY = 5
_SPARING_FROM_KBPS = 96
_COPY_BYTES = 256 * 1024
# LAME turns constant bitrates down, the lower the more, so that a decoder does not clip
# (presets.c of LAME 3.100; measured the same): from this bitrate per file on by so much.
_LAME_SCALE_BY_KBPS = ((256, 1.0), (192, 0.97), (0, 0.95))


class Mp3Encoder:
    """Turns blocks of PCM into MP3 frames. One object per file or listener.

    ``sample_rate`` is that of the blocks. The stream has the nearest rate that MP3 knows and at
    which the bitrate is legal (``output_rate``); blocks are resampled when it differs.
    ``vbr_quality`` 0 (best) to 9 makes the bitrate variable and ``bitrate_kbps`` without
    meaning. The first frames come out after about 40 ms of audio.

    LAME makes constant bitrates up to 0.45 dB softer, to be safe with audio at full scale.
    ``headroom_db`` says that the loudest sample lies so far below it: then that is undone, as
    far as the headroom allows.

    Raises UnsupportedFormat for a bitrate that MP3 does not have, ValueError for more than two
    channels.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        channels: int = 1,
        bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
        vbr_quality: int | None = None,
        headroom_db: float = 0.0,
    ) -> None:
        if channels not in (1, 2):
            raise ValueError(f"MP3 has 1 or 2 channels, not {channels}")
        if vbr_quality is not None and not 0 <= vbr_quality <= 9:
            raise ValueError(f"vbr_quality is 0 to 9, not {vbr_quality}")
        self.sample_rate = sample_rate
        self.channels = channels
        self.vbr_quality = vbr_quality
        self.output_rate = choose_mp3_rate(
            sample_rate, bitrate_kbps if vbr_quality is None else None
        )
        self.samples_encoded = 0  # per channel, at output_rate
        self._resampler = (
            StreamResampler(sample_rate, self.output_rate, channels)
            if sample_rate != self.output_rate
            else None
        )
        is_generous = vbr_quality is None and bitrate_kbps >= _SPARING_FROM_KBPS * channels
        self.lame_quality = _SPARING_QUALITY if is_generous else _CAREFUL_QUALITY
        self._gain = 1.0
        if vbr_quality is None:
            scale = next(scale for kbps, scale in _LAME_SCALE_BY_KBPS if bitrate_kbps >= kbps)
            self._gain = min(1 / scale, 10 ** (headroom_db / 20))
        self._lame = self._open_lame(bitrate_kbps)

    def encode(self, block: Waveform) -> bytes:
        """The frames that this block completes, perhaps none. ValueError for another layout."""
        if block.sample_rate != self.sample_rate or block.channels != self.channels:
            raise ValueError(
                f"expected {self.channels} channel(s) at {self.sample_rate} Hz, "
                f"got {block.channels} at {block.sample_rate} Hz"
            )
        return self._push(self._resampler.process(block) if self._resampler else block)

    def flush(self) -> bytes:
        """The last frames, none when nothing was encoded; the encoder is spent afterwards."""
        rest = self._push(self._resampler.flush()) if self._resampler else b""
        return rest + bytes(self._lame.flush()) if self.samples_encoded else b""

    def _open_lame(self, bitrate_kbps: int) -> lameenc.Encoder:
        lame = lameenc.Encoder()
        lame.silence()  # no log lines on stdout
        lame.set_channels(self.channels)
        lame.set_in_sample_rate(self.output_rate)
        lame.set_out_sample_rate(self.output_rate)  # else LAME lowers it for low bitrates
        lame.set_quality(self.lame_quality)
        if self.vbr_quality is None:
            lame.set_bit_rate(bitrate_kbps)
        else:
            lame.set_vbr(lameenc.VBR_MTRH)
            lame.set_vbr_quality(self.vbr_quality)
        return lame

    def _push(self, block: Waveform) -> bytes:
        if block.frames == 0:
            return b""
        self.samples_encoded += block.frames
        louder = block
        if self._gain > 1.0:
            louder = Waveform(block.samples * np.float32(self._gain), block.sample_rate)
        return bytes(self._lame.encode(louder.to_pcm16()))


class Mp3FileWriter:
    """Writes blocks as one complete MP3 file into ``output``.

    The frames wait in a spool: what goes in front of them, ID3 tag and Info frame, tells of
    their end. Memory does not grow with the length.
    """

    def __init__(self, output: BinaryIO, encoder: Mp3Encoder) -> None:
        self._output = output
        self._encoder = encoder
        self._index = FrameIndex()
        self._frames = open_spool()

    def add(self, block: Waveform) -> None:
        """Append a block."""
        self._append(self._encoder.encode(block))

    def finish(self, tags: SpeechTags, chapters: Sequence[Chapter]) -> None:
        """Write the file: ID3 tag, Info frame, audio. InvalidAudio when nothing was added."""
        self._append(self._encoder.flush())
        encoder = self._encoder
        if encoder.samples_encoded == 0:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        duration_s = encoder.samples_encoded / encoder.output_rate
        tag = InfoTag(encoder.samples_encoded, encoder.vbr_quality, encoder.lame_quality)
        info = InfoFrame(self._index, tag)
        self._output.write(build_id3(tags, chapters, duration_s))
        info_at = self._output.tell()
        self._output.seek(info.size_bytes, SEEK_CUR)
        crc = self._copy_frames(info.audio_bytes)
        self._output.seek(info_at)
        self._output.write(info.build(crc))

    def close(self) -> None:
        """Drop the spool."""
        self._frames.close()

    def _append(self, frames: bytes) -> None:
        self._index.add(frames)
        self._frames.write(frames)

    def _copy_frames(self, size_bytes: int) -> int:
        """Copy so many bytes from the spool; returns their checksum."""
        crc = 0
        self._frames.seek(0)
        while size_bytes > 0 and (part := self._frames.read(min(_COPY_BYTES, size_bytes))):
            crc = crc16(part, crc)
            self._output.write(part)
            size_bytes -= len(part)
        return crc


def encode_mp3(
    audio: Waveform | Iterable[Waveform],
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
    *,
    vbr_quality: int | None = None,
    tags: SpeechTags | None = None,
) -> bytes:
    """A complete MP3 file from a waveform or from blocks of one sample rate, in memory.

    More than two channels become one. Raises InvalidAudio when there is no audio,
    UnsupportedFormat for an illegal bitrate.
    """
    blocks = iter((audio,) if isinstance(audio, Waveform) else audio)
    first = next(blocks, None)
    if first is None:
        raise InvalidAudio("There is no audio to encode.", code="empty_audio")
    output = io.BytesIO()
    encoder = Mp3Encoder(
        first.sample_rate,
        channels=first.channels if first.channels <= 2 else 1,
        bitrate_kbps=bitrate_kbps,
        vbr_quality=vbr_quality,
    )
    with closing(Mp3FileWriter(output, encoder)) as writer:
        for block in chain((first,), blocks):
            writer.add(block if block.channels <= 2 else block.to_mono())
        writer.finish(tags or SpeechTags(), ())
    return output.getvalue()
