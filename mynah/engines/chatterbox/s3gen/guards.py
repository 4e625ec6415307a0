"""What is cut from synthetic speech before anyone hears it: quiet noise behind the last word.

The model may go on after the text with breath or hum (chatterbox issue 388).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mynah.audio.waveform import Samples, Waveform
from mynah.errors import EngineFailed

_FRAME_S: Final = 0.01
_ABSOLUTE_FLOOR: Final = 10 ** (-60 / 20)
_RELATIVE_FLOOR: Final = 10 ** (-38 / 20)  # below the loudest frame so far
_KEPT_S: Final = 0.25  # of what is quiet at the end
_FADE_S: Final = 0.02


class TailGuard:
    """Passes blocks of one utterance on and keeps back what is quiet until it knows that
    speech follows. One object per utterance."""

    def __init__(self, sample_rate: int) -> None:
        self._frame = round(sample_rate * _FRAME_S)
        self._kept = round(sample_rate * _KEPT_S)
        self._fade = round(sample_rate * _FADE_S)
        self._sample_rate = sample_rate
        self._held = np.zeros(0, np.float32)
        self._loudest = 0.0

    def process(self, block: Waveform) -> Waveform:
        """The part of the speech that is now certain to be heard.

        Raises EngineFailed (``engine_failed``) for samples that are not numbers.
        """
        if not np.isfinite(block.samples).all():
            raise EngineFailed("The vocoder gave samples that are not numbers.")
        samples = np.concatenate([self._held, block.samples])
        certain = self._end_of_speech(samples)
        self._held = samples[certain:]
        return Waveform(samples[:certain], self._sample_rate)

    def finish(self) -> Waveform:
        """The end, faded out where something was cut. The object is spent afterwards.

        Raises EngineFailed when nothing was audible at all.
        """
        if self._loudest < _ABSOLUTE_FLOOR:
            raise EngineFailed("The model gave silence for this text.")
        tail: Samples = self._held[: self._kept].copy()
        if len(self._held) > self._kept:
            tail[-self._fade :] *= np.linspace(1.0, 0.0, self._fade, dtype=np.float32)
        return Waveform(tail, self._sample_rate)

    def _end_of_speech(self, samples: Samples) -> int:
        """How many samples there are up to the last loud frame's end."""
        count = len(samples) // self._frame
        frames = samples[: count * self._frame].reshape(count, self._frame)
        levels = np.sqrt(np.square(frames).mean(axis=1))
        self._loudest = max(self._loudest, float(levels.max(initial=0.0)))
        floor = max(_ABSOLUTE_FLOOR, self._loudest * _RELATIVE_FLOOR)
        loud = np.flatnonzero(levels >= floor)
        return 0 if len(loud) == 0 else (int(loud[-1]) + 1) * self._frame
