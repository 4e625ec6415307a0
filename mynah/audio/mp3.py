"""MP3 by LAME, in process: frames of a stream as they are made, and complete files.

A file is the stream with an Info frame in front. Feed one encoder all blocks of one file or
listener: an encoder per block would put 1,344 samples of silence at every join.
"""

from __future__ import annotations

from collections.abc import Iterable

import lameenc

from mynah.audio.mp3_format import choose_mp3_rate
from mynah.audio.mp3_info import InfoTag, with_info_frame
from mynah.audio.resample import StreamResampler
from mynah.audio.tags import SpeechTags, build_id3
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio

DEFAULT_BITRATE_KBPS = 96
# LAME's speed setting, 0 (slowest) to 9. 7 leaves out noise shaping and takes 0.7 times as long
# as 5, ffmpeg's default. On speech the noise in every band is the same from 96 kbit/s per channel
# on (measured at 16 and 24 kHz); below that 7 leaves more noisy bands.
_SPARING_QUALITY = 7
_CAREFUL_QUALITY = 5
_SPARING_FROM_KBPS = 96


class Mp3Encoder:
    """Turns blocks of PCM into MP3 frames. One object per file or listener.

    ``sample_rate`` is that of the blocks. The stream has the nearest rate that MP3 knows and at
    which the bitrate is legal (``output_rate``); blocks are resampled when it differs.
    ``vbr_quality`` 0 (best) to 9 makes the bitrate variable and ``bitrate_kbps`` without
    meaning. The first frames come out after about 40 ms of audio.

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
        return bytes(self._lame.encode(block.to_pcm16()))


class Mp3FileWriter:
    """Collects blocks into one complete MP3 file. Holds the compressed bytes only."""

    def __init__(self, encoder: Mp3Encoder) -> None:
        self._encoder = encoder
        self._frames: list[bytes] = []

    def add(self, block: Waveform) -> None:
        """Append a block."""
        self._frames.append(self._encoder.encode(block))

    def finish(self, tags: SpeechTags) -> bytes:
        """The file: ID3 tag, Info frame, audio. Raises InvalidAudio when nothing was added."""
        self._frames.append(self._encoder.flush())
        if self._encoder.samples_encoded == 0:
            raise InvalidAudio("There is no audio to encode.", code="empty_audio")
        frames = b"".join(self._frames)
        encoder = self._encoder
        info = InfoTag(encoder.samples_encoded, encoder.vbr_quality, encoder.lame_quality)
        return build_id3(tags) + with_info_frame(frames, info)


def encode_mp3(
    audio: Waveform | Iterable[Waveform],
    bitrate_kbps: int = DEFAULT_BITRATE_KBPS,
    *,
    vbr_quality: int | None = None,
    tags: SpeechTags | None = None,
) -> bytes:
    """A complete MP3 file from a waveform or from blocks of one sample rate.

    More than two channels become one. Raises InvalidAudio when there is no audio,
    UnsupportedFormat for an illegal bitrate.
    """
    blocks = (audio,) if isinstance(audio, Waveform) else audio
    writer: Mp3FileWriter | None = None
    for block in blocks:
        playable = block if block.channels <= 2 else block.to_mono()
        if writer is None:
            writer = Mp3FileWriter(
                Mp3Encoder(
                    playable.sample_rate,
                    channels=playable.channels,
                    bitrate_kbps=bitrate_kbps,
                    vbr_quality=vbr_quality,
                )
            )
        writer.add(playable)
    if writer is None:
        raise InvalidAudio("There is no audio to encode.", code="empty_audio")
    return writer.finish(tags or SpeechTags())
