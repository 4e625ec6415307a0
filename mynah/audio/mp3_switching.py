"""One MP3 stream whose bitrate changes on the way, without a gap and without a sample too many.

An encoder of LAME has one bitrate. To change it a second encoder begins a little before the place
of the change, at the border of a frame: then its frames lie on the very samples on which the first
one's would, and where it has come into its stride one follows the other. The windows of two
neighbouring frames overlap; as both saw the same samples their halves fit, as within one stream.
"""

from __future__ import annotations

import numpy as np

from mynah.audio.mp3 import Mp3Encoder
from mynah.audio.mp3_format import choose_mp3_rate
from mynah.audio.mp3_frames import FrameSplitter, Mp3Frame, splice_frames
from mynah.audio.resample import StreamResampler
from mynah.audio.waveform import Samples, Waveform

#: Frames for which a new encoder runs beside the old one: its filters and its ear look back.
RUN_UP_FRAMES = 6
#: How late a change may make the stream, in frames.
HELD_FRAMES = 4


class SwitchingMp3Encoder:
    """Turns mono blocks into MP3 frames at a bitrate that may change. One object per listener.

    The stream's rate is chosen by the first bitrate (``choose_mp3_rate``) and stays. Whole
    frames come out, the first after about 60 ms of audio. See Mp3Encoder for ``headroom_db``.
    """

    def __init__(self, sample_rate: int, bitrate_kbps: int, headroom_db: float) -> None:
        self.bitrate_kbps = bitrate_kbps
        self._headroom_db = headroom_db
        rate = choose_mp3_rate(sample_rate, bitrate_kbps)
        self._rate = rate
        self._resampler = StreamResampler(sample_rate, rate) if rate != sample_rate else None
        self._current = self._open(bitrate_kbps)
        self._next: _RunUp | None = None
        self._frames = 0  # that came out
        self._held: list[bytes] = []
        self._recent: Samples = np.zeros(0, np.float32)
        self._recent_start = 0  # in samples of the stream
        self._frame_samples = 1152 if rate >= 32000 else 576

    def switch(self, bitrate_kbps: int) -> None:
        """Go on with another bitrate, from one of the next frames on.

        It must be legal at the stream's rate. While a change is under way nothing happens.
        """
        if self._next is not None or bitrate_kbps == self.bitrate_kbps:
            return
        self.bitrate_kbps = bitrate_kbps
        self._begin_run_up()

    def encode(self, block: Waveform) -> bytes:
        """The frames that this block completes, perhaps none. ValueError for another layout."""
        return self._push(self._resampler.process(block) if self._resampler else block)

    def flush(self) -> bytes:
        """The last frames; the encoder is spent afterwards. A change under way is given up."""
        rest = self._push(self._resampler.flush()) if self._resampler else b""
        return rest + b"".join([*self._held, *self._current.flush()])

    def _open(self, bitrate_kbps: int) -> _Track:
        return _Track(
            Mp3Encoder(self._rate, bitrate_kbps=bitrate_kbps, headroom_db=self._headroom_db)
        )

    def _push(self, block: Waveform) -> bytes:
        if not block.frames:
            return b""
        self._recent = np.concatenate([self._recent, block.samples])
        frames = self._current.encode(block)
        if self._next is not None:
            self._next.encode(block)
            frames = self._changed(self._next, frames)
        self._frames += len(frames)
        self._forget()
        return b"".join(frames)

    def _changed(self, following: _RunUp, frames: list[bytes]) -> list[bytes]:
        """What comes next while a change is under way.

        Both encoders are equally late; so the old one's last frames are held until it is known
        whether the new one's can stand in their place.
        """
        self._held += frames
        for kept in range(len(self._held) + 1):
            spliced = following.frames_from(self._frames + kept)
            if spliced is not None:
                out = [*self._held[:kept], *(frame.data for frame in spliced)]
                self._current, self._next, self._held = following.track, None, []
                return out
        settled = max(0, len(self._held) - HELD_FRAMES)
        out, self._held = self._held[:settled], self._held[settled:]
        following.forget(self._frames + settled)
        return out

    def _begin_run_up(self) -> None:
        following = _RunUp(self._open(self.bitrate_kbps), self._recent_start // self._frame_samples)
        if self._recent.size:
            following.encode(Waveform(self._recent, self._rate))
        self._next = following

    def _forget(self) -> None:
        """Keep the samples from which a new encoder would begin."""
        start = max(0, self._frames - RUN_UP_FRAMES) * self._frame_samples
        self._recent = self._recent[start - self._recent_start :]
        self._recent_start = start


class _Track:
    """An encoder and the whole frames that it has made."""

    def __init__(self, encoder: Mp3Encoder) -> None:
        self._encoder = encoder
        self._splitter = FrameSplitter()

    def encode(self, block: Waveform) -> list[bytes]:
        return self._splitter.split(self._encoder.encode(block))

    def flush(self) -> list[bytes]:
        return self._splitter.split(self._encoder.flush())


class _RunUp:
    """The next encoder until its frames can follow. ``offset``: the stream's frame at its first."""

    def __init__(self, track: _Track, offset: int) -> None:
        self.track = track
        self._offset = offset
        self._frames: list[Mp3Frame] = []

    def encode(self, block: Waveform) -> None:
        self._frames += map(Mp3Frame.parse, self.track.encode(block))

    def frames_from(self, number: int) -> list[Mp3Frame] | None:
        """The frames from the stream's frame ``number`` on, if they can stand alone."""
        return splice_frames(self._frames, number - self._offset)

    def forget(self, number: int) -> None:
        """Nobody will ask for a frame before the stream's frame ``number``."""
        dropped = max(0, number - RUN_UP_FRAMES - self._offset)
        self._frames = self._frames[dropped:]
        self._offset += dropped
