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

from mynah.engines.chatterbox.s3gen.estimator import Estimator
from mynah.engines.chatterbox.s3gen.layout import MELS

STEPS: Final = 10
MEANFLOW_STEPS: Final = 2
GUIDANCE: Final = 0.7  # "inference_cfg_rate" of the library's CFM_PARAMS


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
        self, estimator: Estimator, *, is_meanflow: bool, steps: int | None = None
    ) -> None:
        self.steps = steps or (MEANFLOW_STEPS if is_meanflow else STEPS)
        self._estimator = estimator
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
            inputs = self._inputs(states)
            rows = len(inputs) // len(states)
            steps = torch.tensor([state.step for state in states]).to(inputs.device)
            bias = self._biases[steps].repeat(rows, 1, 1)
            velocity = self._estimator(inputs, bias, _key_mask(states, rows, inputs.device)).float()
            if self._is_guided:
                guided, free = velocity.chunk(2)
                velocity = (1.0 + GUIDANCE) * guided - GUIDANCE * free
            moves = velocity * self._durations[steps]
            for state, move in zip(states, moves, strict=True):
                state.mel = state.mel + move[: state.frames]
                state.step += 1

    def _inputs(self, states: Sequence[FlowState]) -> torch.Tensor:
        """(rows, longest, 4 MELS): guided rows first, then the rows that know no condition."""
        longest = max(state.frames for state in states)
        first = states[0]
        channels = MELS + first.condition.shape[1]
        rows = len(states) * (2 if self._is_guided else 1)
        inputs = torch.zeros(
            (rows, longest, channels), dtype=self._estimator.dtype, device=first.mel.device
        )
        for row, state in enumerate(states):
            inputs[row, : state.frames, :MELS] = state.mel
            inputs[row, : state.frames, MELS:] = state.condition
        if self._is_guided:
            inputs[len(states) :, :, :MELS] = inputs[: len(states), :, :MELS]
        return inputs


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


def _key_mask(states: Sequence[FlowState], rows: int, device: torch.device) -> torch.Tensor | None:
    lengths = [state.frames for state in states]
    if min(lengths) == max(lengths):
        return None
    own = torch.tensor(lengths * rows).to(device)[:, None]
    return (torch.arange(max(lengths), device=device)[None] < own)[:, None, None]
