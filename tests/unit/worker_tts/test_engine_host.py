"""Which engines are in memory: on demand, within a budget, never taken from who uses them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from mynah.errors import EngineUnavailable
from services.worker_tts import engine_host
from services.worker_tts.engine_host import EngineHost
from tests.parts import wait_for
from tests.unit.worker_tts.engines import FakeEngine


class Loader:
    """Loads fake engines, and remembers all that it ever loaded."""

    def __init__(self) -> None:
        self.loaded: list[FakeEngine] = []
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, engine_id: str) -> FakeEngine:
        self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        self.loaded.append(FakeEngine(engine_id))
        return self.loaded[-1]


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def host(loader: Loader) -> Iterator[EngineHost]:
    """Room for two engines of 40 bytes."""
    opened = EngineHost(100, load=loader, measure=lambda _: 40, wait_s=0.3)
    yield opened
    opened.close()


def use(host: EngineHost, engine_id: str) -> None:
    with host.using(engine_id):
        pass


def test_an_engine_is_loaded_once_however_many_ask_at_a_time(
    host: EngineHost, loader: Loader
) -> None:
    loader.gate.clear()
    threads = [threading.Thread(target=use, args=(host, "a")) for _ in range(8)]
    for thread in threads:
        thread.start()
    loader.gate.set()
    for thread in threads:
        thread.join(10)
    assert len(loader.loaded) == 1
    assert host.state("a").is_loaded


def test_the_least_recently_used_makes_room(host: EngineHost, loader: Loader) -> None:
    for engine_id in ("a", "b", "a", "c"):
        use(host, engine_id)
    assert set(host.loaded()) == {"a", "c"}
    assert [engine.info.id for engine in loader.loaded if engine.is_closed] == ["b"]


def test_an_engine_in_use_is_not_unloaded_and_who_needs_its_memory_waits(
    host: EngineHost, loader: Loader
) -> None:
    with host.using("a"), host.using("b"):
        with pytest.raises(EngineUnavailable) as busy, host.using("c"):
            pass
        assert busy.value.code == "engine_busy"
        assert not any(engine.is_closed for engine in loader.loaded)
    use(host, "c")
    assert "c" in host.loaded()


def test_the_memory_is_had_as_soon_as_its_user_leaves(loader: Loader) -> None:
    host = EngineHost(100, load=loader, measure=lambda _: 60, wait_s=10)
    with host.using("a"):
        waiting = threading.Thread(target=use, args=(host, "b"))
        waiting.start()
        wait_for(lambda: host._slots["a"].is_leaving, 5, "it is asked to leave")
    waiting.join(5)
    assert set(host.loaded()) == {"b"}
    host.close()


def test_an_engine_larger_than_the_budget_is_refused(loader: Loader) -> None:
    host = EngineHost(100, load=loader, measure=lambda _: 101)
    for ask in (partial(use, host), host.warm):  # trying again later would not help
        with pytest.raises(EngineUnavailable) as refused:
            ask("a")
        assert refused.value.code == "engine_too_large"
    assert host.state("a").code == "engine_too_large"


def test_an_engine_whose_memory_cannot_be_told_is_faulty(loader: Loader) -> None:
    def find_damage(_: str) -> int:
        raise EngineUnavailable("Its file x is damaged.", code="checkpoint_damaged")

    host = EngineHost(100, load=loader, measure=find_damage)
    with pytest.raises(EngineUnavailable):
        use(host, "a")
    assert host.state("a").code == "checkpoint_damaged"


def test_warming_up_unloads_nothing(host: EngineHost) -> None:
    for engine_id in ("a", "b"):
        host.warm(engine_id)
    with pytest.raises(EngineUnavailable):
        host.warm("c")
    assert set(host.loaded()) == {"a", "b"}


def test_a_failed_load_is_told_and_not_tried_again_at_once(
    host: EngineHost, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader.failure = EngineUnavailable("A file is damaged.", code="checkpoint_damaged")
    for _ in range(3):
        with pytest.raises(EngineUnavailable) as refused:
            use(host, "a")
        assert refused.value.code == "checkpoint_damaged"
    assert host.state("a").problem == "A file is damaged"
    loader.failure = None
    with suppress(EngineUnavailable):
        use(host, "a")
    assert not host.loaded()
    monkeypatch.setattr(engine_host, "RETRY_AFTER_S", 0.0)
    use(host, "a")
    assert host.state("a").problem is None


def test_a_load_that_crashes_leaves_the_others_alone(host: EngineHost, loader: Loader) -> None:
    use(host, "a")
    loader.failure = RuntimeError("out of memory")
    with pytest.raises(EngineUnavailable) as refused:
        use(host, "b")
    assert "out of memory" in refused.value.message
    use(host, "a")
    assert set(host.loaded()) == {"a"}


def test_what_nobody_uses_is_unloaded_unless_it_is_to_be_kept(host: EngineHost) -> None:
    for engine_id in ("a", "b"):
        use(host, engine_id)
    host.unload_idle(3600)
    assert len(host.loaded()) == 2
    host.unload_idle(0, kept=frozenset({"a"}))
    assert set(host.loaded()) == {"a"}
    with host.using("a"):
        host.unload_idle(-1)
        assert set(host.loaded()) == {"a"}


def test_nothing_holds_an_engine_that_was_unloaded() -> None:
    made: list[weakref.ref[FakeEngine]] = []

    def load(engine_id: str) -> FakeEngine:
        engine = FakeEngine(engine_id)
        made.append(weakref.ref(engine))
        return engine

    host = EngineHost(100, load=load, measure=lambda _: 60)
    for engine_id in ("a", "b"):
        use(host, engine_id)
    assert made[0]() is None
    host.close()
    assert made[1]() is None


def test_a_closed_host_has_closed_its_engines_and_refuses(host: EngineHost, loader: Loader) -> None:
    with host.using("a"):
        host.close()
    assert all(engine.is_closed for engine in loader.loaded)
    with pytest.raises(EngineUnavailable):
        use(host, "a")


def test_an_engine_that_is_loaded_too_late_is_closed(host: EngineHost, loader: Loader) -> None:
    loader.gate.clear()
    failures: list[EngineUnavailable] = []

    def late() -> None:
        try:
            use(host, "a")
        except EngineUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    wait_for(lambda: "a" in host._slots, 5, "it is being loaded")
    host.close()
    loader.gate.set()
    thread.join(5)
    assert failures
    assert [engine.is_closed for engine in loader.loaded] == [True]
