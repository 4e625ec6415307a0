"""Many callers at a time: each gets its own tokens, and nobody disturbs another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from mynah.engines.chatterbox.sampling import ENGLISH_SAMPLING, SamplingSettings
from mynah.engines.chatterbox.scheduler import SchedulerLimits, SpeechScheduler, TokenRequest
from mynah.engines.chatterbox.t3.batch import DecodeBatch
from mynah.engines.chatterbox.t3.guards import Ending
from mynah.errors import EngineFailed, EngineUnavailable, InvalidRequest, TextTooLong

if TYPE_CHECKING:
    from tests.unit.engines.chatterbox.conftest import Case


@pytest.fixture
def scheduler(english: Case) -> Iterator[SpeechScheduler]:
    started = SpeechScheduler(english.ours)
    yield started
    started.close()


def request(case: Case, number: int = 1, **changes: Any) -> TokenRequest:
    """Everything about it is its number's own: voice, text, length, seed, guidance."""
    sampling = replace(
        ENGLISH_SAMPLING,
        seed=number,
        guidance=(0.0, 0.5, 0.8)[number % 3],
        temperature=0.6 + 0.02 * number,
    )
    base = TokenRequest(
        voice=case.voice(number),
        text=case.text(number, 3 + number % 17),
        sampling=sampling,
        max_tokens=20 + number,
        live=number % 2 == 0,
    )
    return replace(base, **changes)


def tokens_of(stream: Any) -> list[int]:
    return [token for block in stream for token in block]


def alone(case: Case, wanted: TokenRequest) -> list[int]:
    assert wanted.max_tokens
    return case.speak(wanted.sampling, wanted.max_tokens, voice=wanted.voice, text=wanted.text)


def hold_first_step(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """(reached, go on): the scheduler waits inside of its next step."""
    reached, go_on = threading.Event(), threading.Event()
    step = DecodeBatch.step

    def held(batch: DecodeBatch) -> None:
        reached.set()
        assert go_on.wait(60)
        step(batch)

    monkeypatch.setattr(DecodeBatch, "step", held)
    return reached, go_on


def test_thirty_two_callers_each_get_the_tokens_that_they_get_alone(
    english: Case, scheduler: SpeechScheduler
) -> None:
    requests = [request(english, number) for number in range(32)]
    with ThreadPoolExecutor(32) as callers:
        spoken = list(callers.map(lambda r: tokens_of(scheduler.submit(r)), requests))
    assert spoken == [alone(english, wanted) for wanted in requests]
    assert len({tuple(tokens) for tokens in spoken}) == 32
    figures = scheduler.statistics()
    assert figures.requests == 32
    assert figures.tokens / figures.steps > 3  # they really shared steps
    assert figures.running == figures.waiting == 0


def test_turbo_callers_each_get_the_tokens_that_they_get_alone(turbo: Case) -> None:
    sampling = SamplingSettings(guidance=0, min_p=0, top_p=0.95, top_k=50)
    requests = [
        request(turbo, number, sampling=replace(sampling, seed=number)) for number in range(12)
    ]
    scheduler = SpeechScheduler(turbo.ours, SchedulerLimits(steps_per_readback=3))
    with ThreadPoolExecutor(12) as callers:
        spoken = list(callers.map(lambda r: tokens_of(scheduler.submit(r)), requests))
    scheduler.close()
    assert spoken == [alone(turbo, wanted) for wanted in requests]


def test_as_many_join_between_two_steps_as_speak(
    english: Case, scheduler: SpeechScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = hold_first_step(monkeypatch)
    spoke: list[int] = []
    step = DecodeBatch.step
    monkeypatch.setattr(
        DecodeBatch, "step", lambda batch: (spoke.append(batch.streams), step(batch))
    )
    streams = [scheduler.submit(request(english, 0, max_tokens=10))]
    assert reached.wait(60)
    streams += [scheduler.submit(request(english, n, max_tokens=10)) for n in range(1, 7)]
    go_on.set()
    assert [len(tokens_of(stream)) for stream in streams] == [10] * 7
    assert spoke[:4] == [1, 2, 4, 7]


@pytest.mark.parametrize("steps", [1, 4])
def test_tokens_read_late_are_cut_at_the_end(english: Case, steps: int) -> None:
    scheduler = SpeechScheduler(english.ours, SchedulerLimits(steps_per_readback=steps))
    stream = scheduler.submit(request(english, 3, max_tokens=10))
    blocks = list(stream)
    scheduler.close()
    assert tokens_of(blocks) == alone(english, request(english, 3, max_tokens=10))
    assert [len(block) for block in blocks[:-1]] == [steps] * (len(blocks) - 1)
    assert stream.ending is Ending.LENGTH


def test_a_faulty_request_fails_alone(english: Case, scheduler: SpeechScheduler) -> None:
    good = [request(english, number) for number in (1, 2, 3)]
    bad_text = request(english, 4, text=torch.tensor([255, 99_999, 0]))
    bad_voice = request(english, 5, voice=replace(english.voice(5), speaker=torch.ones(3)))
    nan_voice = request(
        english, 6, voice=replace(english.voice(6), speaker=torch.full((256,), torch.nan))
    )
    streams = [scheduler.submit(r) for r in (good[0], bad_text, good[1], bad_voice, nan_voice)]
    streams.append(scheduler.submit(good[2]))
    for bad in (1, 3, 4):
        with pytest.raises(InvalidRequest):
            tokens_of(streams[bad])
    assert [tokens_of(streams[i]) for i in (0, 2, 5)] == [alone(english, r) for r in good]


def test_a_row_whose_numbers_overflow_fails_and_leaves_nothing_behind(
    english: Case, scheduler: SpeechScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = type(english.ours).compute_prefix

    def poisoned(model: Any, voice: Any, exaggeration: float) -> Any:
        prefix = compute(model, voice, exaggeration)
        if voice.key == "voice-13":
            prefix.keys.fill_(torch.nan)
        return prefix

    monkeypatch.setattr(type(english.ours), "compute_prefix", poisoned)
    requests = [request(english, number, max_tokens=25) for number in (1, 13, 2, 4)]
    streams = [scheduler.submit(r) for r in requests]
    with pytest.raises(EngineFailed):
        tokens_of(streams[1])
    later = request(english, 7)  # takes the place that the poisoned row had
    spoken = [tokens_of(streams[i]) for i in (0, 2, 3)] + [tokens_of(scheduler.submit(later))]
    monkeypatch.undo()
    wanted = [requests[0], requests[2], requests[3], later]
    assert spoken == [alone(english, r) for r in wanted]


def test_a_cancelled_request_leaves_and_the_others_go_on(
    english: Case, scheduler: SpeechScheduler
) -> None:
    going = scheduler.submit(request(english, 1, max_tokens=120))
    left = scheduler.submit(request(english, 2, max_tokens=4000))
    blocks = iter(left)
    next(blocks)
    blocks.close()  # as a caller does that forgets its iterator
    assert left.is_cancelled
    assert tokens_of(going) == alone(english, request(english, 1, max_tokens=120))
    assert scheduler.statistics().endings[Ending.CANCELLED] == 1


def test_live_requests_are_let_in_before_batch_requests(
    english: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = hold_first_step(monkeypatch)
    limits = SchedulerLimits(rows=2, rows_for_live=0)
    scheduler = SpeechScheduler(english.ours, limits)
    ended: list[str] = []

    def follow(name: str, stream: Any) -> None:
        tokens_of(stream)
        ended.append(name)

    def submit(name: str, number: int, live: bool) -> threading.Thread:
        wanted = request(english, number, live=live, max_tokens=5)
        wanted = replace(wanted, sampling=replace(wanted.sampling, guidance=0.5))
        thread = threading.Thread(target=follow, args=(name, scheduler.submit(wanted)))
        thread.start()
        return thread

    threads = [submit("first", 1, False)]
    assert reached.wait(60)
    threads += [submit("batch", 2, False), submit("live", 3, True)]
    go_on.set()
    for thread in threads:
        thread.join(60)
    scheduler.close()
    assert ended.index("live") < ended.index("batch")


def test_the_queue_is_bounded(english: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = hold_first_step(monkeypatch)
    scheduler = SpeechScheduler(english.ours, SchedulerLimits(waiting=2))
    streams = [scheduler.submit(request(english, 1))]
    assert reached.wait(60)
    streams += [scheduler.submit(request(english, n)) for n in (2, 3)]
    with pytest.raises(EngineUnavailable) as refused:
        scheduler.submit(request(english, 4))
    assert refused.value.code == "engine_busy"
    go_on.set()
    assert all(tokens_of(stream) for stream in streams)
    scheduler.close()


def test_memory_bounds_how_many_speak_at_a_time(english: Case) -> None:
    config = english.config
    for_one_pair = 2 * 4 * config.layers * config.width * 2 * 128
    scheduler = SpeechScheduler(english.ours, SchedulerLimits(cache_bytes=2 * for_one_pair))
    sampling = replace(ENGLISH_SAMPLING, guidance=0.5)
    requests = [
        request(english, n, max_tokens=40, sampling=replace(sampling, seed=n)) for n in range(5)
    ]
    streams = [scheduler.submit(r) for r in requests]
    assert [tokens_of(s) for s in streams] == [alone(english, r) for r in requests]
    figures = scheduler.statistics()
    assert figures.tokens / figures.steps <= 2
    with pytest.raises(TextTooLong):
        scheduler.submit(request(english, 1, max_tokens=3000))
    scheduler.close()


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"guidance": 9.0},
        {"min_p": 1.5},
        {"top_p": -0.1},
        {"repetition_penalty": 0.0},
        {"top_k": -1},
        {"seed": 2**70},
    ],
)
def test_settings_out_of_range_are_refused_at_once(
    english: Case, scheduler: SpeechScheduler, sampling: dict[str, float]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        scheduler.submit(request(english, sampling=replace(ENGLISH_SAMPLING, **sampling)))
    assert list(refused.value.fields) == list(sampling)


def test_a_voice_s_prefix_is_computed_once(english: Case, scheduler: SpeechScheduler) -> None:
    for seed in range(3):
        sampling = replace(ENGLISH_SAMPLING, seed=seed)
        tokens_of(scheduler.submit(request(english, 1, sampling=sampling, max_tokens=2)))
    tokens_of(scheduler.submit(request(english, 1, exaggeration=0.9, max_tokens=2)))
    figures = scheduler.statistics()
    assert (figures.prefix_hits, figures.prefix_misses) == (2, 2)


def test_the_voices_that_are_kept_ready_stay_within_their_memory(english: Case) -> None:
    config = english.config
    position = 2 * 4 * config.layers * config.width
    guided = replace(ENGLISH_SAMPLING, guidance=0.5)
    # Three short texts' places fit; a long text makes its voice's prefix longer than that.
    limit = 3 * position * (config.prefix_length + 64)
    scheduler = SpeechScheduler(english.ours, SchedulerLimits(prefix_bytes=limit))
    for number, length in ((1, 10), (2, 10), (3, 10), (1, 120), (2, 250), (4, 10)):
        wanted = request(
            english, number, text=english.text(number, length), sampling=guided, max_tokens=2
        )
        assert tokens_of(scheduler.submit(wanted)) == alone(english, wanted)
        assert scheduler._prefixes.size_bytes <= limit
    assert scheduler._prefixes.size_bytes
    scheduler.close()


def test_a_fault_of_the_batch_fails_who_is_in_it_and_the_next_is_served(
    english: Case, scheduler: SpeechScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = DecodeBatch.step

    def broken(batch: DecodeBatch) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(DecodeBatch, "step", broken)
    with pytest.raises(EngineFailed):
        tokens_of(scheduler.submit(request(english, 1)))
    monkeypatch.setattr(DecodeBatch, "step", step)
    assert tokens_of(scheduler.submit(request(english, 2))) == alone(english, request(english, 2))


def test_closing_fails_what_waits_and_refuses_what_comes(english: Case) -> None:
    scheduler = SpeechScheduler(english.ours)
    stream = scheduler.submit(request(english, 1, max_tokens=4000))
    next(iter(stream))
    other = scheduler.submit(request(english, 2, max_tokens=4000))
    scheduler.close()
    with pytest.raises(EngineUnavailable):
        tokens_of(other)
    with pytest.raises(EngineUnavailable):
        scheduler.submit(request(english, 3))
