"""Functions of tensors, recorded once for each set of shapes and replayed: CUDA graphs.

A step is hundreds of small kernels whose launches cost a GPU's host more time than their work
costs the GPU. Recorded, they are launched as one. What that asks for, inputs in fixed places and
few different shapes, is here and in the callers, and does not depend on the recorder: with one
that only calls the function again it runs on a CPU. So is the way by which a step's numbers get to
a device without waiting for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

Recorder = Callable[[Callable[[], Any]], tuple[Any, Callable[[], object]]]
"""Takes a function of nothing; gives its output, a tensor that each call of the second part
computes anew in place."""

_MOST: Final = 64
_WARM_UPS: Final = 2


@dataclass(frozen=True, slots=True)
class _Recording:
    inputs: tuple[Any, ...]
    output: Any
    replay: Callable[[], object]


class Recordings:
    """The functions that one owner replays. The ``_MOST`` used last are kept. Thread-safe."""

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self._kept: OrderedDict[Hashable, _Recording] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, key: Hashable, function: Callable[..., Any], *inputs: Any) -> Any:
        """``function(*inputs)``, tensors to a tensor.

        ``key`` stands for the function, all shapes and all that it sees besides its inputs.
        Computing it more than once from the same inputs must do no harm.
        """
        with self._lock:
            recording = self._kept.get(key)
            if recording is None:
                recording = self._kept[key] = self._recorded(function, inputs)
            self._kept.move_to_end(key)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
            for place, given in zip(recording.inputs, inputs, strict=True):
                place.copy_(given)
            recording.replay()
            return recording.output.clone()  # the next replay writes where this one wrote

    def clear(self) -> None:
        """Forget all: what the functions see besides their inputs has moved."""
        with self._lock:
            self._kept.clear()

    def _recorded(self, function: Callable[..., Any], inputs: tuple[Any, ...]) -> _Recording:
        places = tuple(given.clone() for given in inputs)
        output, replay = self._record(lambda: function(*places))
        return _Recording(places, output, replay)


def recordings_for(device: Any) -> Recordings | None:
    """Those of a CUDA device; None where launches need no recording."""
    return Recordings(_CudaRecorder(device)) if device.type == "cuda" else None


def round_up_to_power(count: int) -> int:
    """To a power of two: few different shapes."""
    return 1 << (count - 1).bit_length()


def upload(numbers: Sequence[Any], device: Any) -> Any:
    """Whole numbers, nested or not, as a tensor on the device; does not wait for its work."""
    tensor = torch.tensor(numbers)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class _CudaRecorder:
    """Captures into CUDA graphs that share one pool of memory: they never run at a time."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], Any]) -> tuple[Any, Callable[[], object]]:
        with torch.cuda.device(self._device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):  # what is set up once must not be recorded
                    function()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads go on using the device meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                output = function()
        return output, graph.replay
