"""Who has sound to spare can wait a little, where many listen."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.api.live import lead
from services.api.live.lead import CROWD, REST_S, SPARE_S, Lead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(lead, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_in_a_crowd_who_has_sound_to_spare_waits_but_not_for_long(clock: SimpleNamespace) -> None:
    listener = Lead()
    listener.give(SPARE_S + 2 * REST_S)
    clock.now += 0.8 * REST_S
    assert listener.is_enough(CROWD)
    clock.now += 0.4 * REST_S
    assert not listener.is_enough(CROWD)


def test_who_has_nothing_to_spare_never_waits(clock: SimpleNamespace) -> None:
    listener = Lead()
    assert not listener.is_enough(CROWD)
    for _ in range(20):  # an engine that just keeps up
        listener.give(0.2)
        assert not listener.is_enough(CROWD)
        clock.now += 0.2


def test_sound_to_spare_is_used_up_by_playing(clock: SimpleNamespace) -> None:
    listener = Lead()
    listener.give(SPARE_S + 10.0)
    clock.now += 10.5
    listener.give(0.1)
    assert not listener.is_enough(CROWD)


def test_few_listeners_never_wait(clock: SimpleNamespace) -> None:
    listener = Lead()
    listener.give(60.0)
    assert not listener.is_enough(CROWD - 1)
