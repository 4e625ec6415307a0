"""Which engines can speak: what the living workers say, not what the gateway has installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.engines.registry import Availability, availability
from mynah.messaging.presence import Announcer, Presence
from mynah.settings import Settings
from services.api.use_cases import engines
from tests.integration.api.conftest import REDIS_DATABASE
from tests.integration.api.gateway import Account, Gateway, open_gateway
from tests.parts import RedisPart, wait_for

ABLE = WorkerReport(engines={"espeak": EngineReport(available=True)})
UNABLE = WorkerReport(engines={"espeak": EngineReport(available=False, reason="no voice today")})
SOMETHING_ELSE = WorkerReport()


@pytest.fixture
def presence(redis: RedisPart, redis_url: str) -> Iterator[Presence]:
    """The list of workers, empty; a worker is forgotten after half a second of silence."""
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    opened = Presence(Settings(redis_url=redis_url), silence_s=0.5)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def bare_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has the engine's parts; the gateway's image does not."""
    lacking = Availability(False, "not installed: pyworld")
    monkeypatch.setattr(engines, "availability", lambda _: lacking)


def espeak(gateway: Gateway, account: Account) -> tuple[bool, str | None, int]:
    """Availability, reason and number of workers, the same in the list and by itself."""
    path = "/api/tts/models/available"
    listed = gateway.client.get(path, headers=account.auth).get_json()["items"]
    [one] = [item for item in listed if item["id"] == "espeak"]
    shown = shown_espeak(gateway, account)
    assert (one["available"], one["reason"], one["workers"]) == shown
    return shown


def shown_espeak(gateway: Gateway, account: Account) -> tuple[bool, str | None, int]:
    """The same of one answer: between two of them a worker may say something else."""
    path = "/api/tts/models/espeak/info"
    shown: dict[str, Any] = gateway.client.get(path, headers=account.auth).get_json()
    return shown["available"], shown["reason"], shown["workers"]


def test_an_engine_is_available_where_a_living_worker_has_it(
    api: Gateway, ann: Account, presence: Presence
) -> None:
    presence.announce("one@here", ABLE)
    presence.announce("two@here", UNABLE)
    presence.announce("three@there", ABLE)
    presence.announce("audio@here", SOMETHING_ELSE)
    assert espeak(api, ann) == (True, None, 2)
    shown = api.client.get("/api/tts/models/espeak/info", headers=ann.auth).get_json()
    assert shown["faults"] == ["no voice today"]


def test_an_engine_that_no_worker_can_load_says_why(
    api: Gateway, ann: Account, presence: Presence
) -> None:
    presence.announce("one@here", UNABLE)
    assert espeak(api, ann) == (False, "no voice today", 0)


def test_an_engine_that_no_living_worker_serves_is_unavailable(
    api: Gateway, ann: Account, presence: Presence
) -> None:
    presence.announce("audio@here", SOMETHING_ELSE)
    assert espeak(api, ann) == (False, engines.NO_WORKER, 0)


def test_a_worker_that_falls_silent_or_ends_is_forgotten(
    api: Gateway, ann: Account, presence: Presence
) -> None:
    presence.announce("killed@here", ABLE)
    announcer = Announcer(presence, interval_s=0.05)
    announcer.start("one@here", lambda: ABLE)
    wait_for(lambda: set(presence.reports()) == {"one@here"}, 5, "the silent one is forgotten")
    announcer.stop()
    assert presence.reports() == {}
    assert espeak(api, ann)[2] == 0


def test_what_a_worker_says_of_itself_may_change(
    api: Gateway, ann: Account, presence: Presence
) -> None:
    says = [UNABLE]
    announcer = Announcer(presence, interval_s=0.05)
    announcer.start("one@here", lambda: says[-1])
    wait_for(lambda: shown_espeak(api, ann) == (False, "no voice today", 0), 5, "it cannot speak")
    says.append(ABLE)
    wait_for(lambda: shown_espeak(api, ann) == (True, None, 1), 5, "it was repaired")
    announcer.stop()


def test_without_word_from_any_worker_the_gateway_looks_for_itself(
    api: Gateway, ann: Account, presence: Presence
) -> None:
    assert espeak(api, ann) == (False, "not installed: pyworld", 0)


def test_a_report_of_another_release_is_passed_over(
    api: Gateway, ann: Account, presence: Presence, redis: RedisPart
) -> None:
    presence.announce("old@here", ABLE)
    presence.announce("new@here", ABLE)
    with redis.client(REDIS_DATABASE) as client:
        client.set("mynah:worker:old@here", '{"engines": ["espeak"]}')
    assert espeak(api, ann) == (True, None, 1)


def test_without_a_broker_the_gateway_looks_for_itself(fresh_database: str, tmp_path: Path) -> None:
    with open_gateway(fresh_database, "redis://127.0.0.1:1/0", tmp_path / "objects") as gateway:
        assert espeak(gateway, gateway.register()) == (False, "not installed: pyworld", 0)


def test_engines_that_cannot_speak_are_listed_with_the_reason(
    api: Gateway, ann: Account, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "availability", availability)
    answer = api.client.get("/api/tts/models/available", headers=ann.auth).get_json()
    shown = {item["id"]: item for item in answer["items"]}
    for engine_id in ("chatterbox", "chatterbox-multilingual", "chatterbox-turbo"):
        found = availability(engine_id)
        assert (shown[engine_id]["available"], shown[engine_id]["reason"]) == (
            found.available,
            found.reason,
        )
        assert found.available or found.reason
    assert shown["chatterbox-multilingual"]["language_count"] == 23
