"""Real workers say that they live, and what they can speak with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mynah.contracts.workers import EngineReport
from mynah.messaging.presence import SILENCE_S, Presence
from tests.integration.recovery.conftest import Workers
from tests.parts import wait_for


@pytest.fixture
def presence(workers: Workers) -> Iterator[Presence]:
    opened = Presence(workers.settings)
    yield opened
    opened.close()


def names(presence: Presence) -> set[str]:
    return {name.partition("@")[0] for name in presence.reports()}


def test_workers_tell_which_engines_they_serve(workers: Workers, presence: Presence) -> None:
    wait_for(lambda: {"speaker", "audio"} <= names(presence), 10, "the workers are seen")
    told = {name.partition("@")[0]: report for name, report in presence.reports().items()}
    assert told["speaker"].engines == {
        "espeak": EngineReport(available=True, queues=("tts.espeak.batch",))
    }
    assert told["audio"].engines == {}


def test_a_worker_is_seen_at_once_and_gone_when_it_ends(
    workers: Workers, presence: Presence
) -> None:
    second = workers.start_speaker("second")
    wait_for(lambda: "second" in names(presence), 5, "the worker is seen")
    second.stop()
    assert "second" not in names(presence)


def test_a_killed_worker_is_forgotten_within_half_a_minute(
    workers: Workers, presence: Presence
) -> None:
    third = workers.start_speaker("third")
    wait_for(lambda: "third" in names(presence), 5, "the worker is seen")
    third.kill()
    [name] = [name for name in presence.reports() if name.startswith("third@")]
    with workers.redis.client() as client:
        assert 0 < client.pttl(f"mynah:worker:{name}") <= SILENCE_S * 1000 < 30_000
