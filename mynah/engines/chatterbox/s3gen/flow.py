"""The flow solver: mel frames out of noise, a step at a time, for all requests together.

Steps of one request follow each other; rows of different requests go through the network side
by side, each at its own step. Requests may join and leave between any two steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from mynah.engines.chatterbox.recordings import (
    Recordings,
    recordings_for,
    round_up_to_power,
    upload,
)
from mynah.engines.chatterbox.s3gen.estimator import Estimator
from mynah.engines.chatterbox.s3gen.layout import MELS

STEPS: Final = 10
MEANFLOW_STEPS: Final = 2
GUIDANCE: Final = 0.7  # "inference_cfg_rate" of the library's CFM_PARAMS
_RECORDED_FRAMES: Final = 64  # recorded steps are of multiples of this: fewer recordings


@dataclass(slots=True)
class FlowState:
    """One request's mel on its way. It belongs to whoever made it; only the solver changes it.

    ``mel`` (frames, MELS) float32: noise at first, speech at the end, the prompt's frames in
    front. ``condition`` (frames, 3 MELS): encoder output, speaker, prompt mel. ``step``: how
    many are done.
    """

    mel: torch.Tensor
    condition: torch.Tensor
    prompt_frames: int
    step: int = 0

    @property
    def frames(self) -> int:
        """Frames including the prompt's."""
        return int(self.mel.shape[0])

    @property
    def speech(self) -> torch.Tensor:
        """The frames after the prompt, (frames, MELS)."""
        return self.mel[self.prompt_frames :]


class FlowSolver:
    """Euler's method over a fixed schedule of times.

    Guided (classifier-free guidance, two rows a request) unless the estimator is a mean-flow
    model, which is distilled with it.
    """

    def __init__(
        self,
        estimator: Estimator,
        *,
        is_meanflow: bool,
        steps: int | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        """``recordings`` None: those of the estimator's device, if it has any."""
        self.steps = steps or (MEANFLOW_STEPS if is_meanflow else STEPS)
        self._estimator = estimator
        self._recordings = recordings or recordings_for(estimator.device)
        self._is_guided = not is_meanflow
        device = estimator.device
        with torch.inference_mode():
            times = torch.linspace(0, 1, self.steps + 1, device=device)
            if not is_meanflow:
                times = 1 - torch.cos(times * 0.5 * math.pi)
            self._biases = estimator.time_biases(times)
            self._durations = (times[1:] - times[:-1])[:, None, None]

    def is_done(self, state: FlowState) -> bool:
        """Whether ``state`` has taken all its steps."""
        return state.step >= self.steps

    def solve(self, states: Sequence[FlowState]) -> None:
        """Bring all ``states`` to the end."""
        while unfinished := [state for state in states if not self.is_done(state)]:
            self.advance(unfinished)

    def advance(self, states: Sequence[FlowState]) -> None:
        """One step for each of ``states``, which may differ in length and in step."""
        with torch.inference_mode():
            requests, frames = self._shape(states)
            rows = 2 if self._is_guided else 1
            numbers = [state.step for state in states] + [0] * (requests - len(states))
            steps = upload(numbers, states[0].mel.device)
            inputs = self._inputs(states, requests, frames)
            bias = self._biases[steps].repeat(rows, 1, 1)
            velocity = self._velocity(inputs, bias, self._own_frames(states, requests, frames))
            if self._is_guided:
                guided, free = velocity.chunk(2)
                velocity = (1.0 + GUIDANCE) * guided - GUIDANCE * free
            moves = velocity * self._durations[steps]
            for state, move in zip(states, moves[: len(states)], strict=True):
                state.mel = state.mel + move[: state.frames]
                state.step += 1

    def _velocity(
        self, inputs: torch.Tensor, bias: torch.Tensor, own: torch.Tensor | None
    ) -> torch.Tensor:
        """(rows, frames, MELS) float32; ``own`` (rows, frames), None where all are full."""
        key_mask = None if own is None else own[:, None, None]
        if self._recordings is None:
            return self._estimator(inputs, bias, key_mask).float()
        key = tuple(inputs.shape)
        velocity: torch.Tensor = self._recordings.run(key, self._estimator, inputs, bias, key_mask)
        return velocity.float()

    def _shape(self, states: Sequence[FlowState]) -> tuple[int, int]:
        """Requests and frames of a step; of few different sizes where steps are recorded."""
        longest = max(state.frames for state in states)
        if self._recordings is None:
            return len(states), longest
        rounded = -(-longest // _RECORDED_FRAMES) * _RECORDED_FRAMES
        return round_up_to_power(len(states)), rounded

    def _inputs(self, states: Sequence[FlowState], requests: int, frames: int) -> torch.Tensor:
        """(rows, frames, 4 MELS): guided rows first, then the rows that know no condition."""
        first = states[0]
        channels = MELS + first.condition.shape[1]
        rows = requests * (2 if self._is_guided else 1)
        inputs = torch.zeros(
            (rows, frames, channels), dtype=self._estimator.dtype, device=first.mel.device
        )
        for row, state in enumerate(states):
            inputs[row, : state.frames, :MELS] = state.mel
            inputs[row, : state.frames, MELS:] = state.condition
        if self._is_guided:
            inputs[requests:, :, :MELS] = inputs[:requests, :, :MELS]
        return inputs

    def _own_frames(
        self, states: Sequence[FlowState], requests: int, frames: int
    ) -> torch.Tensor | None:
        """Which frames are a row's own, (rows, frames); None: all. A free row owns them all."""
        lengths = [state.frames for state in states]
        if self._recordings is None and min(lengths) == frames:
            return None
        lengths += [frames] * (requests - len(states))
        own = upload(lengths * (2 if self._is_guided else 1), states[0].mel.device)
        is_own: torch.Tensor = torch.arange(frames, device=own.device)[None] < own[:, None]
        return is_own


def group_by_length(
    states: Iterable[FlowState], max_padding: float = 0.25
) -> list[list[FlowState]]:
    """``states`` in groups whose shortest row is padded by at most ``max_padding`` of its length.

    Padding costs as much as speech does; where the device is busy anyway, two batches of like
    rows are faster than one of unlike rows.
    """
    groups: list[list[FlowState]] = []
    for state in sorted(states, key=lambda state: state.frames):
        if groups and state.frames <= groups[-1][0].frames * (1 + max_padding):
            groups[-1].append(state)
        else:
            groups.append([state])
    return groups
