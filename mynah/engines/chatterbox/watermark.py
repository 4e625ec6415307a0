"""The watermark that says "made by a machine": Resemble's Perth, in whole speech and in streams.

Perth adds to the spectrum below 2 kHz a pattern that its detector finds again after MP3. The
network sees about 0.2 s to each side, so a stream is marked block by block with that much of
what came before and a little of what is held back; the detector finds it as in whole speech.
It runs in the thread of the request, never in the one that drives the device.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any, Final

import numpy as np
import torch

from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform
from mynah.errors import EngineUnavailable

DETECTION_THRESHOLD: Final = 0.5  # Perth's own: its confidence is rounded

_CONTEXT_S: Final = 0.32  # 5 convolutions of 7 frames of 10 ms, and the STFT's window
_HELD_S: Final = 0.03
_CROSSFADE_S: Final = 0.01
_SHORTEST_S: Final = 0.1  # below this the STFT has nothing to reflect


class Watermarker:
    """Perth's network. Stateless and thread-safe after loading."""

    def __init__(self) -> None:
        """Raises EngineUnavailable (``watermarker_missing``): nothing is spoken unmarked."""
        self._perth = _load_perth()
        self._net = self._perth.perth_net

    def apply(self, speech: Waveform) -> Waveform:
        """``speech`` (mono) with the watermark; same rate and length."""
        samples = speech.samples
        shortest = round(_SHORTEST_S * speech.sample_rate)
        padded = np.pad(samples, (0, max(0, shortest - len(samples))))
        with torch.inference_mode():
            marked = self._perth.apply_watermark(padded, sample_rate=speech.sample_rate)
        kept: Samples = np.zeros(len(samples), np.float32)
        count = min(len(samples), len(marked))
        kept[:count] = marked[:count]
        # What the trip through the other rate lacks at the end.
        kept[count:] = samples[count:]
        return Waveform(kept, speech.sample_rate)

    def confidence(self, speech: Waveform) -> float:
        """How sure Perth's detector is that ``speech`` (mono) is marked, 0–1."""
        at_rate = resample(speech, int(self._net.hp.sample_rate))
        with torch.inference_mode():
            found = self._perth.get_watermark(
                at_rate.samples, sample_rate=at_rate.sample_rate, round=False
            )
        return float(np.mean(found))


class StreamWatermarker:
    """Marks one stream's blocks; holds 30 ms back. ``flush`` gives them."""

    def __init__(self, watermarker: Watermarker, sample_rate: int) -> None:
        self._watermarker = watermarker
        self._rate = sample_rate
        self._context = round(_CONTEXT_S * sample_rate)
        self._held = round(_HELD_S * sample_rate)
        self._fade = round(_CROSSFADE_S * sample_rate)
        self._past: Samples = np.zeros(0, np.float32)  # unmarked; its end is not out yet
        self._waiting = 0  # samples of _past that are not out yet
        self._tail: Samples = np.zeros(0, np.float32)  # the last marking of what comes next

    def process(self, block: Waveform) -> Waveform:
        """The part of the stream that is marked for good. ValueError for another rate."""
        return self._mark(block, self._held)

    def flush(self) -> Waveform:
        """The rest; the object is spent afterwards."""
        return self._mark(Waveform(np.zeros(0, np.float32), self._rate), 0)

    def _mark(self, block: Waveform, held: int) -> Waveform:
        if block.sample_rate != self._rate:
            raise ValueError(f"expected {self._rate} Hz, got {block.sample_rate}")
        window = np.concatenate([self._past, block.samples])
        waiting = self._waiting + block.frames
        ready = max(0, waiting - held)
        if ready == 0:
            self._past, self._waiting = window, waiting
            return Waveform(np.zeros(0, np.float32), self._rate)
        marked = self._watermarker.apply(Waveform(window, self._rate)).samples
        fresh = marked[len(window) - waiting :]
        spoken = fresh[:ready].copy()
        length = min(len(self._tail), ready)
        rise = ((np.arange(length) + 0.5) / max(1, length)).astype(np.float32)
        spoken[:length] = self._tail[:length] + rise * (spoken[:length] - self._tail[:length])
        self._tail = fresh[ready : ready + self._fade]
        self._waiting = waiting - ready
        self._past = window[-(self._context + self._waiting) :]
        return Waveform(spoken, self._rate)


def _load_perth() -> Any:
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # it imports pkg_resources
            import perth  # noqa: PLC0415  heavy, and may be missing

            # The package swallows its own import errors and leaves None.
            if perth.PerthImplicitWatermarker is None:
                raise ImportError("its network could not be imported")
            return perth.PerthImplicitWatermarker()
    except Exception as error:
        raise EngineUnavailable(
            f"The watermarker (resemble-perth) cannot be loaded: {error}.",
            code="watermarker_missing",
        ) from error
