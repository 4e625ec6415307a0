"""Engines are warmed up, let speak a test, and told of where they do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import numpy as np
import pytest

from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.errors import EngineFailed
from mynah.messaging.intake import QueueIntake
from mynah.settings import Settings
from services.worker_tts import engine_queues
from services.worker_tts.engine_care import EngineCare
from services.worker_tts.engine_host import EngineHost
from services.worker_tts.engine_queues import EngineQueues, queues_of
from services.worker_tts.engine_test import mumble
from services.worker_tts.health import find_fault
from tests.parts import wait_for
from tests.unit.worker_tts.engines import FakeEngine

SETTINGS = Settings(warm_engines="espeak", engine_test_interval_s=0.05)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine("espeak")


@pytest.fixture
def host(engine: FakeEngine) -> Iterator[EngineHost]:
    opened = EngineHost(load=lambda _: engine)
    yield opened
    engine.gate.set()
    opened.close()


class FakeIntake:
    """A worker's queues, without a worker."""

    def __init__(self) -> None:
        self.given_back: set[str] = set()

    def give_back(self, queues: Iterable[str]) -> bool:
        self.given_back |= set(queues)
        return True

    def take_again(self, queues: Iterable[str]) -> None:
        self.given_back -= set(queues)

    def settle(self) -> None:
        """Nothing to settle."""


@pytest.fixture
def intake() -> FakeIntake:
    return FakeIntake()


@pytest.fixture
def queues(intake: FakeIntake, monkeypatch: pytest.MonkeyPatch) -> EngineQueues:
    monkeypatch.setattr(engine_queues, "FIRST_LOOK_S", 0.02)
    return EngineQueues(cast(QueueIntake, intake))


@pytest.fixture
def care(host: EngineHost, queues: EngineQueues) -> EngineCare:
    return EngineCare(host, queues, SETTINGS, ["espeak"])


def look_until(care: EngineCare, condition: Callable[[], object], message: str) -> None:
    def look() -> bool:
        care.look_after()
        return bool(condition())

    wait_for(look, 5, message)


def test_a_warm_engine_is_loaded_and_speaks_before_anybody_asks(
    host: EngineHost, care: EngineCare, engine: FakeEngine
) -> None:
    assert care.is_warming("espeak")
    look_until(care, lambda: engine.spoken, "it speaks")
    look_until(care, lambda: not care.is_warming("espeak"), "it is warm")
    assert host.state("espeak").problem is None


def test_an_engine_is_tested_again_only_when_it_was_silent(
    host: EngineHost, care: EngineCare, engine: FakeEngine
) -> None:
    look_until(care, lambda: engine.spoken == 1, "it speaks")
    look_until(care, lambda: care._test is None, "the test is over")
    with host.using("espeak"):
        pass
    care.look_after()
    assert care._test is None
    look_until(care, lambda: engine.spoken == 2, "it is tested again")


def test_an_engine_that_fails_its_test_is_unloaded_told_of_and_tried_again(
    host: EngineHost, care: EngineCare, engine: FakeEngine, intake: FakeIntake
) -> None:
    engine.is_broken = True
    look_until(care, lambda: not care.is_warming("espeak"), "it was tried")
    assert "It is broken" in str(host.state("espeak").problem)
    assert not host.state("espeak").is_loaded
    assert intake.given_back == set(queues_of("espeak"))
    engine.is_broken = False
    look_until(care, lambda: not intake.given_back, "it takes work again")
    assert engine.spoken
    assert host.state("espeak").problem is None


def test_what_stays_broken_is_looked_at_ever_more_rarely(
    care: EngineCare, queues: EngineQueues, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_queues, "FIRST_LOOK_S", 100.0)
    queues.give_back("espeak", EngineFailed("It is broken."))
    now = time.monotonic()
    pauses = []
    for _ in range(4):
        queues.begin_look("espeak")
        pauses.append(queues._given_back["espeak"].look_at - now)
    assert pauses == pytest.approx([200, 300, 300, 300], abs=1)
    assert not queues.due()


def test_what_stays_broken_for_days_is_still_looked_at(queues: EngineQueues) -> None:
    queues.give_back("espeak", EngineFailed("It is broken."))
    for _ in range(1100):
        queues.begin_look("espeak")
    queues._given_back["espeak"].look_at = 0.0
    assert queues.due() == ["espeak"]


def test_an_engine_that_is_not_warm_is_looked_at_again_as_well(
    host: EngineHost, queues: EngineQueues, engine: FakeEngine, intake: FakeIntake
) -> None:
    care = EngineCare(host, queues, Settings(warm_engines="", engine_test_interval_s=0), ["espeak"])
    fault = EngineFailed("It is broken.")
    host.accuse("espeak", fault, unload=False)
    queues.give_back("espeak", fault)
    look_until(care, lambda: not intake.given_back, "it takes work again")
    assert engine.spoken


def test_a_faulty_engine_without_memory_for_a_test_is_left_to_the_next_request(
    engine: FakeEngine, queues: EngineQueues, intake: FakeIntake
) -> None:
    host = EngineHost(100, load=lambda _: engine, measure=lambda _: 60)
    with host.using("chatterbox"):
        care = EngineCare(host, queues, Settings(warm_engines=""), ["espeak"])
        fault = EngineFailed("It is broken.")
        host.accuse("espeak", fault, unload=False)
        queues.give_back("espeak", fault)
        look_until(care, lambda: not intake.given_back, "requests may try it")
        assert host.state("espeak").problem is None
    host.close()


def test_an_engine_that_requests_try_in_vain_counts_as_given_back_all_the_while(
    queues: EngineQueues, intake: FakeIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_queues, "FIRST_LOOK_S", 100.0)
    fault = EngineFailed("It is broken.")
    queues.give_back("espeak", fault)
    queues.begin_look("espeak")
    time.sleep(0.05)
    queues.try_again("espeak")
    assert not intake.given_back
    assert queues.given_back_s("espeak") is None
    queues.give_back("espeak", fault)
    assert intake.given_back
    assert (queues.given_back_s("espeak") or 0.0) >= 0.05
    assert queues._given_back["espeak"].looks == 1


def test_an_engine_that_speaks_for_a_request_that_tries_it_is_mended(
    queues: EngineQueues, intake: FakeIntake
) -> None:
    fault = EngineFailed("It is broken.")
    queues.give_back("espeak", fault)
    queues.note_speech("espeak")  # somebody who was still using it
    assert queues.given_back_s("espeak") is not None
    time.sleep(0.05)
    queues.try_again("espeak")
    queues.note_speech("espeak")
    queues.give_back("espeak", fault)
    assert (queues.given_back_s("espeak") or 1.0) < 0.05
    assert intake.given_back


def test_an_engine_that_hangs_is_told_of_and_not_tested_twice(
    host: EngineHost, queues: EngineQueues, engine: FakeEngine, intake: FakeIntake
) -> None:
    settings = SETTINGS.model_copy(update={"engine_test_timeout_s": 0.1})
    care = EngineCare(host, queues, settings, ["espeak"])
    engine.gate.clear()
    look_until(care, lambda: host.state("espeak").problem, "the fault is known")
    assert host.state("espeak").is_loaded
    assert intake.given_back
    time.sleep(0.1)
    care.look_after()
    assert care._test is None
    engine.gate.set()
    look_until(care, lambda: not intake.given_back, "it speaks after all")
    assert host.state("espeak").problem is None


def test_an_engine_for_which_there_is_no_memory_is_not_faulty(
    engine: FakeEngine, queues: EngineQueues
) -> None:
    host = EngineHost(100, load=lambda _: engine, measure=lambda _: 60)
    with host.using("chatterbox"):
        care = EngineCare(host, queues, SETTINGS, ["espeak"])
        look_until(care, lambda: not care.is_warming("espeak"), "it was tried")
        assert host.state("espeak").problem is None
    host.close()


def test_what_is_not_to_be_warm_is_left_to_the_first_request(
    host: EngineHost, queues: EngineQueues
) -> None:
    care = EngineCare(host, queues, Settings(warm_engines="espeak"), ["chatterbox"])
    care.look_after()
    assert not host.loaded()
    assert not care.is_warming("espeak")


def test_a_worker_is_faulty_when_it_is_silent_or_a_loaded_engine_is_mute() -> None:
    well, unable = EngineReport(available=True), EngineReport(available=False, reason="no file")
    mute = EngineReport(available=False, reason="silent", loaded=True)
    assert find_fault(None)
    assert find_fault(WorkerReport(engines={"a": well, "b": unable})) is None
    assert find_fault(WorkerReport(engines={"a": well, "b": mute})) == "b: silent"
    assert find_fault(WorkerReport(engines={"b": unable})) == "b: no file"
    assert find_fault(WorkerReport()) is None


def test_the_mumbled_reference_is_long_and_loud_enough_to_clone() -> None:
    reference = mumble()
    assert reference.duration_s >= 5
    assert 0.4 < float(np.abs(reference.samples).max()) <= 1.0
