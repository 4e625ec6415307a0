"""Where somebody speaks, as the Silero VAD hears it: its ONNX model on onnxruntime, no torch.

The model (Silero Team, "Silero VAD", https://github.com/snakers4/silero-vad, MIT) comes in the
wheel of ``silero-vad``, whose Python code needs torch and is never imported: only the file is
used. It is the form of the model that takes a sequence of windows at once, twice as fast as one
call per window and equal to it bit by bit. Noise, hum and tones are not speech to it, singing and
voices in the background are.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from scipy.ndimage import binary_closing, binary_dilation, binary_opening

from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform

HOP_S = 0.01

SPEECH_RATE = 16_000
_HOP = 160
SPEECH_WINDOW = 512  # new samples per window of the model
_CONTEXT = 64  # samples of the window before, which the model wants again
_STATE_SHAPE = (1, 1, 128)
_CHUNK_WINDOWS = 1024  # bounds the memory of the windows
ONSET, OFFSET = 0.5, 0.35  # the model's own defaults: speech begins above one, ends below other
_BRIDGED_HOPS = 15  # gaps between syllables belong to speech
_SHORTEST_HOPS = 8  # clicks do not

Mask = npt.NDArray[np.bool_]
Powers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SpeechActivity:
    """``is_speech``: one value per hop of 10 ms, shape ``(hops,)``."""

    is_speech: Mask

    @property
    def speech_s(self) -> float:
        """Seconds of speech, the gaps between syllables included."""
        return float(np.count_nonzero(self.is_speech)) * HOP_S

    def is_pause(self, margin_s: float = 0.05) -> Mask:
        """Hops that lie at least ``margin_s`` away from speech."""
        reach = round(margin_s / HOP_S)
        return ~binary_dilation(self.is_speech, np.ones(2 * reach + 1, bool))

    def stretches(self) -> list[tuple[int, int]]:
        """Stretches of speech as (first hop, hop after the last)."""
        starts, ends = mask_runs(self.is_speech)
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


def mask_runs(mask: Mask) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where runs of True begin and end (exclusive)."""
    padded = np.pad(mask, 1)
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[::2], edges[1::2]


def find_speech(waveform: Waveform) -> SpeechActivity:
    """Speech activity of a mono waveform of any rate."""
    samples = resample(waveform, SPEECH_RATE).samples
    hops = -(-len(samples) // _HOP)
    if hops == 0:
        return SpeechActivity(np.zeros(0, bool))
    stream, size = SpeechStream(), _CHUNK_WINDOWS * SPEECH_WINDOW
    parts = [stream.push(samples[at : at + size]) for at in range(0, len(samples), size)]
    is_spoken = _with_hysteresis(np.concatenate([*parts, stream.flush()]))
    centres = (np.arange(hops) * _HOP + _HOP // 2) // SPEECH_WINDOW
    is_speech = is_spoken[np.minimum(centres, len(is_spoken) - 1)]
    is_speech = binary_opening(is_speech, np.ones(_SHORTEST_HOPS, bool))
    padded = np.pad(is_speech, _BRIDGED_HOPS)
    closed: Mask = binary_closing(padded, np.ones(_BRIDGED_HOPS, bool))
    return SpeechActivity(closed[_BRIDGED_HOPS:-_BRIDGED_HOPS])


class SpeechStream:
    """The model on one stream of sound at 16 kHz; its state runs over the borders of the blocks.

    One object per stream. A window is 32 ms (``SPEECH_WINDOW`` samples).
    """

    def __init__(self) -> None:
        self._session = _load_model()
        self._hidden = self._cell = np.zeros(_STATE_SHAPE, np.float32)
        self._before = np.zeros(_CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Samples:
        """The probability of speech, 0-1, of each window that this block completes."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // SPEECH_WINDOW * SPEECH_WINDOW
        self._rest = samples[whole:].copy()
        return self._run(samples[:whole])

    def flush(self) -> Samples:
        """The probability of the last window, silence added to its end; none when none is begun."""
        if not len(self._rest):
            return self._rest
        window = np.zeros(SPEECH_WINDOW, np.float32)
        window[: len(self._rest)] = self._rest
        self._rest = self._rest[:0]
        return self._run(window)

    def _run(self, samples: Samples) -> Samples:
        if not len(samples):
            return samples
        padded = np.concatenate([self._before, samples])
        every = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + SPEECH_WINDOW)
        windows = every[::SPEECH_WINDOW]
        fed = {"input": np.ascontiguousarray(windows), "h": self._hidden, "c": self._cell}
        probabilities: Samples
        probabilities, self._hidden, self._cell = self._session.run(None, fed)
        self._before = padded[-_CONTEXT:].copy()
        return probabilities


def _with_hysteresis(probabilities: Samples) -> Mask:
    """Speech from the first window above the onset to the last before one below the offset."""
    # What lies between both thresholds goes on as it was: it repeats the last decided window.
    decided = np.where(probabilities >= ONSET, 1, np.where(probabilities < OFFSET, 0, -1))
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(decided)), 0))
    is_spoken: Mask = decided[last] == 1
    return is_spoken


@lru_cache(maxsize=1)
def _load_model() -> onnxruntime.InferenceSession:
    """The model, once per process; one thread, since workers are processes."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("silero-vad is not installed: pip install --no-deps silero-vad")
    path = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad_16k_sequence.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
