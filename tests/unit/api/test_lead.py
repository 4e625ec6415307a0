"""Who has sound to spare can wait a little, where many listen."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.api.live import lead
from services.api.live.lead import CROWD, LONGEST_REST_S, SPARE_S, Lead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(lead, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_in_a_crowd_who_has_sound_to_spare_waits_while_half_of_it_is_played(
    clock: SimpleNamespace,
) -> None:
    listener = Lead()
    listener.give(1.2)
    assert listener.rest_s(CROWD) == pytest.approx(0.6)
    clock.now += 0.5
    assert listener.rest_s(CROWD) == pytest.approx(0.1)
    clock.now += 0.2
    assert listener.rest_s(CROWD) == 0


def test_nobody_waits_for_long(clock: SimpleNamespace) -> None:
    listener = Lead()
    listener.give(60.0)
    assert listener.rest_s(CROWD) == pytest.approx(LONGEST_REST_S)


def test_who_has_nothing_to_spare_never_waits(clock: SimpleNamespace) -> None:
    listener = Lead()
    assert listener.rest_s(CROWD) == 0
    for _ in range(20):  # an engine that just keeps up
        listener.give(SPARE_S / 2)
        assert listener.rest_s(CROWD) == 0
        clock.now += SPARE_S / 2


def test_sound_to_spare_is_used_up_by_playing(clock: SimpleNamespace) -> None:
    listener = Lead()
    listener.give(10.0)
    clock.now += 10.5
    listener.give(SPARE_S)
    assert listener.rest_s(CROWD) == 0


def test_few_listeners_never_wait(clock: SimpleNamespace) -> None:
    listener = Lead()
    listener.give(60.0)
    assert listener.rest_s(CROWD - 1) == 0
