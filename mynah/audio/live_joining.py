"""Speech joined while it is spoken: trimmed, levelled and with its pauses, block by block.

``SpeechAssembler`` looks at whole segments; here nothing waits for the end of one. So the sound
differs from the finished file's in this: the loudness is that of the voice so far rather than of
each segment, approached within the first second; silence is what lies below -60 dBFS rather than
45 dB below the segment's own loud parts. No sample of speech is left out or said twice in either.

What comes out does not depend on how the input is cut into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mynah.audio.joining import FADE_MS, GUARD_MS
from mynah.audio.levelling import SPEECH_CEILING_DBTP
from mynah.audio.loudness import MAX_GAIN_DB, KWeighting, to_linear
from mynah.audio.resample import StreamResampler
from mynah.audio.waveform import Samples, Waveform

_FRAMES_PER_S = 100
_SILENCE = to_linear(-60)
_OFFSET_LUFS = -0.691  # ITU-R BS.1770-4
# Only what is loud enough tells how loud a voice is; a gate below the mean needs the whole.
_GATE_LUFS = -40.0
# A voice that nobody heard yet counts as this loud, with the weight of half a second, which
# fades as the voice is heard.
_USUAL_LUFS = -20.0
_USUAL_FRAMES = 50
_RISE_PER_FRAME = to_linear(0.4)  # of the gain behind a peak: 40 dB/s


@dataclass(slots=True)
class _Level:
    """How loud a voice was so far: the sum of its frames' power, and their number."""

    power: float = 0.0
    frames: float = 0.0


class LiveJoiner:
    """Makes one mono stream of pieces that come in blocks.

    For each piece: ``begin_piece``, ``add`` its blocks, ``end_piece``. Blocks are held back by
    20 ms, and silence until something follows.
    """

    def __init__(self, loudness_lufs: float, sample_rate: int) -> None:
        self._loudness_lufs = loudness_lufs
        self._sample_rate = sample_rate
        self._levels: dict[str, _Level] = {}
        self._piece = self._open("")
        self.frames = 0

    def begin_piece(self, voice: str) -> None:
        """The blocks that follow are spoken by ``voice``."""
        self._piece = self._open(voice)

    @property
    def lead_trimmed_s(self) -> float:
        """How much of the piece's start was silence and left out."""
        return self._piece.trimmed_frames / self._sample_rate

    def add(self, block: Waveform) -> Waveform:
        """The next samples of the stream, perhaps none. ``block`` is mono."""
        return self._made(self._piece.add(block))

    def end_piece(self, pause_after_ms: int) -> Waveform:
        """The rest of the piece, and its pause."""
        rest = self._piece.finish()
        pause = round(self._sample_rate * pause_after_ms / 1000)
        return self._made(np.pad(rest, (0, pause)))

    def _open(self, voice: str) -> _Piece:
        level = self._levels.setdefault(voice, _Level())
        return _Piece(self._sample_rate, _Leveller(self._sample_rate, self._loudness_lufs, level))

    def _made(self, samples: Samples) -> Waveform:
        self.frames += len(samples)
        return Waveform(samples, self._sample_rate)


class _Piece:
    """One piece: resampled, without its own silence, levelled, faded at both ends."""

    def __init__(self, sample_rate: int, leveller: _Leveller) -> None:
        self._sample_rate = sample_rate
        self._frame = sample_rate // _FRAMES_PER_S
        self._guard = round(GUARD_MS * _FRAMES_PER_S / 1000) * self._frame
        self._leveller = leveller
        self._resampler: StreamResampler | None = None
        self._pending = np.zeros(0, np.float32)  # less than a frame
        self._held = np.zeros(0, np.float32)  # silence, whole frames
        self._has_begun = False
        self._is_faded_in = False
        self.trimmed_frames = 0

    def add(self, block: Waveform) -> Samples:
        return self._take(self._resampled(block))

    def finish(self) -> Samples:
        """What is left: the held silence is cut to the guard and fades out."""
        rest = self._take(self._resampler.flush().samples if self._resampler else self._held[:0])
        last = self._pending
        if self._has_begun:
            last = np.concatenate([self._held, last])[: self._guard]
            if _level(self._pending) >= _SILENCE:
                last = np.concatenate([self._held, self._pending])
        elif _level(last) < _SILENCE:
            return rest
        levelled = np.concatenate([self._leveller.level(last), self._leveller.finish()])
        faded = _faded_out(self._faded_in(levelled), self._sample_rate)
        return np.concatenate([rest, faded])

    def _resampled(self, block: Waveform) -> Samples:
        if block.sample_rate == self._sample_rate:
            return block.samples
        if self._resampler is None:
            self._resampler = StreamResampler(block.sample_rate, self._sample_rate)
        return self._resampler.process(block).samples

    def _take(self, samples: Samples) -> Samples:
        joined = np.concatenate([self._pending, samples])
        whole = len(joined) // self._frame * self._frame
        self._pending = joined[whole:]
        audible = np.flatnonzero(_levels(joined[:whole], self._frame) >= _SILENCE)
        waiting = np.concatenate([self._held, joined[:whole]])
        if len(audible) == 0:
            kept = len(waiting) if self._has_begun else min(self._guard, len(waiting))
            self.trimmed_frames += len(waiting) - kept
            self._held = waiting[len(waiting) - kept :]
            return waiting[:0]
        end = len(self._held) + (int(audible[-1]) + 1) * self._frame
        start = 0
        if not self._has_begun:
            start = max(0, len(self._held) + int(audible[0]) * self._frame - self._guard)
            self.trimmed_frames += start
        self._held = waiting[end:]
        self._has_begun = True
        return self._faded_in(self._leveller.level(waiting[start:end]))

    def _faded_in(self, spoken: Samples) -> Samples:
        """``spoken``, faded in where the piece begins with it."""
        if self._is_faded_in or len(spoken) == 0:
            return spoken
        self._is_faded_in = True
        return _faded_out(spoken[::-1], self._sample_rate)[::-1]


class _Leveller:
    """Brings a voice to the target loudness as far as it was heard, and keeps peaks below -2 dBFS.

    By frames of 10 ms; the gain goes linearly from border to border, and at a border it is what
    the louder frame beside it can take, so it is nowhere too high. A frame waits for the next.
    """

    def __init__(self, sample_rate: int, target_lufs: float, level: _Level) -> None:
        self._frame = sample_rate // _FRAMES_PER_S
        self._target_lufs = target_lufs
        self._level = level
        self._weighting = KWeighting(sample_rate)
        self._waiting = np.zeros(0, np.float32)
        self._gain: float | None = None  # that of the waiting frame
        self._border: float | None = None  # the gain at its start

    def level(self, samples: Samples) -> Samples:
        """The next samples but for the last frame. Only the last call may give a part of one."""
        count = -(-len(samples) // self._frame)
        if count == 0:
            return samples
        gains = self._frame_gains(samples, count)
        if self._gain is not None:
            gains = np.concatenate([[self._gain], gains])
        first = gains[0] if self._border is None else self._border
        borders = np.concatenate([[first], np.minimum(gains[:-1], gains[1:])])
        borders = _slowly_rising(borders)
        ready = np.concatenate([self._waiting, samples])
        self._waiting = ready[(len(gains) - 1) * self._frame :]
        self._gain, self._border = float(gains[-1]), float(borders[-1])
        return self._apply(ready[: (len(gains) - 1) * self._frame], borders)

    def finish(self) -> Samples:
        """The last frame."""
        if self._border is None:
            return self._waiting
        return (self._waiting * np.float32(self._border)).astype(np.float32)

    def _frame_gains(self, samples: Samples, count: int) -> npt.NDArray[np.float64]:
        padding = (0, count * self._frame - len(samples))
        weighted = self._weighting.process(samples)[0]
        powers = np.square(np.pad(weighted, padding)).reshape(count, self._frame).mean(axis=1)
        counted = powers >= 10 ** ((_GATE_LUFS - _OFFSET_LUFS) / 10)
        level = self._level
        sums = np.cumsum(np.concatenate([[level.power], np.where(counted, powers, 0.0)]))[1:]
        frames = np.cumsum(np.concatenate([[level.frames], counted]))[1:]
        level.power, level.frames = float(sums[-1]), float(frames[-1])
        wished_db = np.minimum(self._target_lufs - _loudness_lufs(sums, frames), MAX_GAIN_DB)
        peaks = np.abs(np.pad(samples, padding)).reshape(count, self._frame).max(axis=1)
        limited = to_linear(SPEECH_CEILING_DBTP) / np.maximum(peaks, 1e-9)
        return np.asarray(np.minimum(10 ** (wished_db / 20), limited), np.float64)

    def _apply(self, samples: Samples, borders: npt.NDArray[np.float64]) -> Samples:
        if len(samples) == 0:
            return samples
        ramp = (np.arange(self._frame) + 0.5) / self._frame
        gains = borders[:-1, None] + (borders[1:] - borders[:-1])[:, None] * ramp
        return (samples * gains.reshape(-1)).astype(np.float32)


def _loudness_lufs(
    powers: npt.NDArray[np.float64], frames: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The loudness of a voice of which so much was heard."""
    heard = _OFFSET_LUFS + 10 * np.log10(np.maximum(powers, 1e-12) / np.maximum(frames, 1))
    usual = _USUAL_FRAMES**2 / (_USUAL_FRAMES + frames)
    share = usual / (usual + frames)
    return np.asarray(share * _USUAL_LUFS + (1 - share) * heard, np.float64)


def _slowly_rising(gains: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The largest gains nowhere above these that rise no faster than a voice's does."""
    slope = np.log(_RISE_PER_FRAME) * np.arange(len(gains))
    return np.asarray(np.exp(np.minimum.accumulate(np.log(gains) - slope) + slope), np.float64)


def _levels(samples: Samples, frame: int) -> npt.NDArray[np.float32]:
    """RMS of each frame."""
    by_frame = samples.reshape(-1, frame)
    levels: npt.NDArray[np.float32] = np.sqrt(np.einsum("nf,nf->n", by_frame, by_frame) / frame)
    return levels


def _level(samples: Samples) -> float:
    return float(_levels(samples, len(samples))[0]) if len(samples) else 0.0


def _faded_out(samples: Samples, sample_rate: int) -> Samples:
    length = min(round(sample_rate * FADE_MS / 1000), len(samples))
    if length == 0:
        return samples
    ramp = 0.5 + 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
    faded = samples.copy()
    faded[len(samples) - length :] *= ramp.astype(np.float32)
    return faded
