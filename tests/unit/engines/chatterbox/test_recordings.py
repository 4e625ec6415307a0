"""Recorded steps give what plain ones give. Here a recording only calls its function again; the
static places, the padding and the forgetting are those of a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from mynah.engines.chatterbox import recordings
from mynah.engines.chatterbox.recordings import Recordings
from mynah.engines.chatterbox.s3gen.decoder import SpeechDecoder
from mynah.engines.chatterbox.s3gen.flow import FlowSolver, FlowState
from mynah.engines.chatterbox.sampling import ENGLISH_SAMPLING, TURBO_SAMPLING
from mynah.engines.chatterbox.t3.batch import DecodeBatch
from tests.unit.engines.chatterbox.s3gen_parts import make_profile, make_tokens, small_s3gen

if TYPE_CHECKING:
    from tests.unit.engines.chatterbox.conftest import Case


class CallingRecorder:
    """Keeps what a graph would keep: a function of nothing, and the place of its output."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, function: Any) -> Any:
        self.recorded += 1
        output = function()

        def replay() -> None:
            self.replayed += 1
            output.copy_(function())

        return output, replay


def speak_in_company(case: Case, batch: DecodeBatch) -> list[list[int]]:
    """Five texts that join and leave at different steps; the last makes the cache grow."""
    settings = TURBO_SAMPLING if case.config.is_gpt2 else ENGLISH_SAMPLING
    lengths = (8, 30, 12, 20, 150)
    there, spoken = {}, [[] for _ in lengths]
    prefix = case.ours.compute_prefix(case.voice(), 0.5)
    for step in range(40):
        if step % 5 == 0 and step // 5 < len(lengths):
            number = step // 5
            one = replace(settings, seed=number, guidance=0.0 if number == 1 else settings.guidance)
            there[batch.join(prefix, case.text(number, lengths[number]), one, 60)] = number
        if batch.streams:
            batch.step()
        for stream, tokens in zip(batch.order, batch.collect(), strict=True):
            spoken[there[stream]] += tokens
        for stream in [s for s in batch.order if s.steps >= 12 + there[s]]:
            batch.leave(stream)
    return spoken


@pytest.mark.parametrize("model", ["english", "turbo"])
def test_recorded_steps_draw_the_tokens_of_plain_ones(
    model: str, request: pytest.FixtureRequest
) -> None:
    case = request.getfixturevalue(model)
    recorder = CallingRecorder()
    with torch.inference_mode():
        expected = speak_in_company(case, DecodeBatch(case.ours))
        found = speak_in_company(case, DecodeBatch(case.ours, Recordings(recorder)))
    assert found == expected
    assert [len(tokens) for tokens in found] == [12, 13, 14, 15, 16]
    assert recorder.recorded <= 9  # 1, 2, 4 and 8 rows, again after the cache has grown


@pytest.mark.parametrize("meanflow", [False, True])
def test_recorded_flow_steps_move_each_request_as_plain_ones(meanflow: bool) -> None:
    decoder = SpeechDecoder(small_s3gen(meanflow=meanflow))
    prompt = decoder.prompt(make_profile())

    def begin() -> list[FlowState]:
        return [
            decoder.begin(prompt, decoder.encode(prompt, make_tokens(n), is_final=True), seed=n)
            for n in (12, 30, 17)
        ]

    plain, recorded = begin(), begin()
    recorder = CallingRecorder()
    solver = FlowSolver(
        decoder.solver._estimator, is_meanflow=meanflow, recordings=Recordings(recorder)
    )
    decoder.solver.solve(plain)
    solver.advance(recorded[:2])  # one joins later
    solver.solve(recorded)
    for one, other in zip(recorded, plain, strict=True):
        torch.testing.assert_close(one.speech, other.speech, atol=2e-5, rtol=0)
    assert recorder.recorded <= 3


def test_only_so_many_recordings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_MOST", 2)
    recorder = CallingRecorder()
    kept = Recordings(recorder)
    for size in (1, 2, 1, 3, 1, 2):
        given = torch.full((size,), float(size))
        assert torch.equal(kept.run(size, torch.square, given), given**2)
    assert recorder.recorded == 4  # 2 had to go when 3 came
    kept.clear()
    kept.run(2, torch.square, torch.ones(2))
    assert recorder.recorded == 5


def test_an_output_is_the_caller_s_own() -> None:
    kept = Recordings(CallingRecorder())
    first = kept.run("double", torch.neg, torch.ones(2))
    kept.run("double", torch.neg, torch.zeros(2))
    assert first.tolist() == [-1, -1]
