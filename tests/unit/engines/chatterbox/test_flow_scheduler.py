"""Many utterances, one flow: nobody gets another's audio, nobody's error is another's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("chatterbox")

from mynah.audio.waveform import Waveform  # noqa: E402
from mynah.engines.chatterbox.output import release_speech  # noqa: E402
from mynah.engines.chatterbox.s3gen.decoder import SpeechDecoder  # noqa: E402
from mynah.engines.chatterbox.s3gen.scheduler import FlowLimits, FlowScheduler  # noqa: E402
from mynah.engines.chatterbox.streaming import StreamDecoder  # noqa: E402
from mynah.engines.chatterbox.watermark import Watermarker  # noqa: E402
from mynah.errors import EngineFailed, EngineUnavailable  # noqa: E402
from tests.unit.engines.chatterbox.s3gen_parts import (  # noqa: E402
    make_profile,
    make_tokens,
    small_s3gen,
)


@pytest.fixture(scope="module")
def decoder():
    return SpeechDecoder(small_s3gen(meanflow=True))


class GatedSolver:
    """A solver whose steps wait for the test, and that notes who was in each."""

    def __init__(self, steps=2):
        self.steps = steps
        self.seen = []
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)

    def is_done(self, state):
        return state.step >= self.steps

    def advance(self, states):
        self.seen.append([id(state) for state in states])
        self.entered.release()
        assert self.gate.acquire(timeout=30)
        if any(getattr(state, "is_broken", False) for state in states):
            raise RuntimeError("broken")
        for state in states:
            state.step += 1


class FakeState:
    def __init__(self, frames=10, *, is_broken=False):
        self.frames, self.step, self.is_broken = frames, 0, is_broken


@pytest.fixture
def gated():
    solver = GatedSolver()
    scheduler = FlowScheduler(solver, FlowLimits(frames=25, requests=4))
    yield solver, scheduler
    for _ in range(50):
        solver.gate.release()
    scheduler.close()


def allow(solver, steps):
    for _ in range(steps):
        solver.gate.release()


def test_thirty_two_callers_get_their_own_audio(decoder):
    scheduler = FlowScheduler(decoder.solver)

    def solve(state):
        scheduler.submit(state, is_live=True).result(timeout=60)

    def speak(caller):
        profile, tokens = make_profile(8, caller), make_tokens(6 + caller % 5, caller)
        decoding = StreamDecoder(decoder, profile, caller, solve=solve)
        blocks = [*decoding.add(tokens), *decoding.finish()]
        return np.concatenate([block.samples for block in blocks])

    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(speak, range(32)))
    scheduler.close()
    for caller, heard in enumerate(together):
        tokens = make_tokens(6 + caller % 5, caller)
        alone = decoder.decode(tokens, make_profile(8, caller), caller).samples
        np.testing.assert_allclose(heard, alone, atol=5e-5)


def test_a_request_joins_between_two_steps(gated):
    solver, scheduler = gated
    first, second = FakeState(), FakeState()
    one = scheduler.submit(first, is_live=False)
    assert solver.entered.acquire(timeout=30)
    two = scheduler.submit(second, is_live=False)
    allow(solver, 3)
    one.result(timeout=30)
    two.result(timeout=30)
    assert solver.seen == [[id(first)], [id(first), id(second)], [id(second)]]


def test_live_requests_go_first_and_batch_keeps_its_steps(gated):
    solver, scheduler = gated
    batch, live = FakeState(20), FakeState(20)
    waiting = scheduler.submit(batch, is_live=False)
    assert solver.entered.acquire(timeout=30)
    quick = scheduler.submit(live, is_live=True)
    allow(solver, 4)
    quick.result(timeout=30)
    waiting.result(timeout=30)
    assert solver.seen == [[id(batch)], [id(live)], [id(live)], [id(batch)]]


def test_one_requests_fault_is_not_the_others(gated):
    solver, scheduler = gated
    first = scheduler.submit(FakeState(), is_live=True)
    assert solver.entered.acquire(timeout=30)
    good, broken = FakeState(), FakeState(is_broken=True)
    futures = [scheduler.submit(state, is_live=True) for state in (good, broken)]
    allow(solver, 10)
    first.result(timeout=30)
    futures[0].result(timeout=30)
    with pytest.raises(EngineFailed):
        futures[1].result(timeout=30)


def test_a_cancelled_request_leaves_before_the_next_step(gated):
    solver, scheduler = gated
    kept, dropped = FakeState(), FakeState()
    future = scheduler.submit(kept, is_live=True)
    assert solver.entered.acquire(timeout=30)
    assert scheduler.submit(dropped, is_live=True).cancel()
    allow(solver, 2)
    future.result(timeout=30)
    assert all(id(dropped) not in step for step in solver.seen)


def test_too_many_requests_are_refused(gated):
    _, scheduler = gated
    for _ in range(4):
        scheduler.submit(FakeState(), is_live=False)
    with pytest.raises(EngineUnavailable) as raised:
        scheduler.submit(FakeState(), is_live=True)
    assert raised.value.code == "engine_busy"


def test_closing_fails_what_waits():
    solver = GatedSolver()
    scheduler = FlowScheduler(solver)
    future = scheduler.submit(FakeState(), is_live=True)
    assert solver.entered.acquire(timeout=30)
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    while not scheduler._is_closed:
        pass
    allow(solver, 1)
    closing.join(timeout=30)
    with pytest.raises(EngineUnavailable):
        future.result(timeout=30)
    with pytest.raises(EngineUnavailable):
        scheduler.submit(FakeState(), is_live=True)


def test_released_speech_is_marked_and_its_noisy_end_is_gone():
    at = np.arange(24_000) / 24_000
    word = (0.2 * np.sin(2 * np.pi * 180 * at)).astype(np.float32)
    hiss = np.random.default_rng(1).normal(0, 5e-4, 48_000).astype(np.float32)
    speech = np.concatenate([word, hiss])
    blocks = [Waveform(speech[start : start + 9600], 24_000) for start in range(0, 72_000, 9600)]
    watermarker = Watermarker()
    heard = np.concatenate([block.samples for block in release_speech(blocks, watermarker)])
    assert len(heard) == pytest.approx(1.25 * 24_000, abs=480)
    assert watermarker.confidence(Waveform(heard, 24_000)) > 0.9


def test_silence_is_not_released():
    silence = [Waveform(np.zeros(9600, np.float32), 24_000)]
    with pytest.raises(EngineFailed):
        list(release_speech(silence, Watermarker()))
